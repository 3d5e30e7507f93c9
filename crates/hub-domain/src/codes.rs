//! The error codes of the service: number, name and HTTP status.
//!
//! Numbers and names are those of the service SDKs' `ErrorCode` enumerations and of the error code
//! documentation. A number is the HTTP status times 1000 plus a detail. Clients compare the name in
//! the body with the header `iothub-errorcode`, so both come from here.

use std::fmt;

macro_rules! error_codes {
    ($($number:literal $name:ident,)*) => {
        /// An error as the vendor numbers and names it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(
                #[doc = concat!("`", stringify!($number), "` ", stringify!($name), ".")]
                $name,
            )*
        }

        impl ErrorCode {
            /// Every code, by number.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The six-digit number.
            pub const fn number(self) -> u32 {
                match self {
                    $(Self::$name => $number,)*
                }
            }

            /// The name that clients compare.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }
    };
}

error_codes! {
    400000 GenericBadRequest,
    400001 InvalidProtocolVersion,
    400002 DeviceInvalidResultCount,
    400003 InvalidOperation,
    400004 ArgumentInvalid,
    400005 ArgumentNull,
    400006 IotHubFormatError,
    400007 DeviceStorageEntitySerializationError,
    400008 BlobContainerValidationError,
    400009 ImportWarningExistsError,
    400010 InvalidSchemaVersion,
    400011 DeviceDefinedMultipleTimes,
    400012 DeserializationError,
    400013 BulkRegistryOperationFailure,
    400014 DefaultStorageEndpointNotConfigured,
    400015 InvalidFileUploadCorrelationId,
    400016 ExpiredFileUploadCorrelationId,
    400017 InvalidStorageEndpoint,
    400018 InvalidMessagingEndpoint,
    400019 InvalidFileUploadCompletionStatus,
    400020 InvalidStorageEndpointOrBlob,
    400021 RequestCanceled,
    400022 InvalidStorageEndpointProperty,
    400023 EtagDoesNotMatch,
    400024 RequestTimedOut,
    400025 UnsupportedOperationOnReplica,
    400026 NullMessage,
    400027 ConnectionForcefullyClosedOnNewConnection,
    400028 InvalidDeviceScope,
    400029 ConnectionForcefullyClosedOnFaultInjection,
    400030 ConnectionRejectedOnFaultInjection,
    400031 InvalidEndpointAuthenticationType,
    400032 ManagedIdentityNotEnabled,
    400035 InvalidPolicyKey,
    400036 BulkRegenerateDeviceKeyOperationFailure,
    400100 InvalidRouteTestInput,
    400101 InvalidSourceOnRoute,
    400102 RoutingNotEnabled,
    400103 InvalidContentEncodingOrType,
    400301 CannotRegisterModuleToModule,
    400302 TenantHubRoutingNotEnabled,
    400401 InvalidConfigurationTargetCondition,
    400402 InvalidConfigurationContent,
    400403 CannotModifyImmutableConfigurationContent,
    400404 InvalidConfigurationCustomMetricsQuery,
    400501 InvalidPnPInterfaceDefinition,
    400502 InvalidPnPDesiredProperties,
    400503 InvalidPnPReportedProperties,
    400504 InvalidPnPWritableReportedProperties,
    400505 InvalidDigitalTwinJsonPatch,
    400506 InvalidDigitalTwinPayload,
    400507 InvalidDigitalTwinPatch,
    400508 InvalidDigitalTwinPatchPath,
    401000 GenericUnauthorized,
    401001 IotHubNotFound,
    401002 IotHubUnauthorizedAccess,
    401003 IotHubUnauthorized,
    401100 SystemModuleModifyUnauthorizedAccess,
    403000 GenericForbidden,
    403001 IotHubSuspended,
    403002 IotHubQuotaExceeded,
    403003 JobQuotaExceeded,
    403004 DeviceMaximumQueueDepthExceeded,
    403005 IotHubMaxCbsTokenExceeded,
    403006 DeviceMaximumActiveFileUploadLimitExceeded,
    403007 DeviceMaximumQueueSizeExceeded,
    403008 RoutingEndpointResponseForbidden,
    403009 InvalidMessageExpiryTime,
    403010 OperationNotAvailableInCurrentTier,
    403012 DeviceDisabled,
    403800 DeviceMaximumInflightMethodExceeded,
    404000 GenericNotFound,
    404001 DeviceNotFound,
    404002 JobNotFound,
    404004 QuotaMetricNotFound,
    404005 SystemPropertyNotFound,
    404006 AmqpAddressNotFound,
    404007 RoutingEndpointResponseNotFound,
    404008 CertificateNotFound,
    404010 ModuleNotFound,
    404012 IotHubFailingOver,
    404013 FeatureNotSupported,
    404014 DigitalTwinInterfaceNotFound,
    404101 QueryStoreClusterNotFound,
    404103 DeviceNotOnline,
    404104 DeviceConnectionClosedRemotely,
    404301 ConfigurationNotFound,
    404302 GroupNotFound,
    404401 DigitalTwinModelNotFound,
    404402 InterfaceNameModelNotFound,
    405000 GenericMethodNotAllowed,
    405102 OperationNotAllowedInCurrentState,
    405103 ImportDevicesNotSupported,
    405104 BulkAddDevicesNotSupported,
    409000 GenericConflict,
    409001 DeviceAlreadyExists,
    409002 LinkCreationConflict,
    409003 CallbackSubscriptionConflict,
    409101 ModelAlreadyExists,
    409102 DeviceLocked,
    409103 DeviceJobAlreadyExists,
    409104 JobAlreadyExists,
    409301 ModuleAlreadyExistsOnDevice,
    409401 ConfigurationAlreadyExists,
    409402 ApplyConfigurationAlreadyInProgressOnDevice,
    409501 DigitalTwinModelAlreadyExists,
    412000 GenericPreconditionFailed,
    412001 PreconditionFailed,
    412002 DeviceMessageLockLost,
    412003 JobRunPreconditionFailed,
    412004 InflightMessagesInLink,
    413000 GenericRequestEntityTooLarge,
    413001 MessageTooLarge,
    413002 TooManyDevices,
    413003 TooManyModulesOnDevice,
    413101 ConfigurationCountLimitExceeded,
    413201 DigitalTwinModelCountLimitExceeded,
    415000 GenericUnsupportedMediaType,
    415101 IncompatibleDataType,
    429000 GenericTooManyRequests,
    429001 ThrottlingException,
    429002 ThrottleBacklogLimitExceeded,
    429003 ThrottlingBacklogTimeout,
    429004 ThrottlingMaxActiveJobCountExceeded,
    429005 DeviceThrottlingLimitExceeded,
    499000 ClientClosedRequest,
    500001 ServerError,
    500002 JobCancelled,
    500008 GenericTimeout,
    500009 InvalidThrottleParameter,
    502000 GenericBadGateway,
    503000 GenericServiceUnavailable,
    503001 ServiceUnavailable,
    503003 PartitionNotFound,
    503004 IotHubActivationFailed,
    503005 ServerBusy,
    503006 IotHubRestoring,
    503008 ReceiveLinkOpensThrottled,
    504101 GatewayTimeout,
}

impl ErrorCode {
    /// The HTTP status of the code.
    pub const fn http_status(self) -> u16 {
        // Every number is between 400000 and 504999, so the quotient fits.
        (self.number() / 1000) as u16
    }

    /// The code of that number.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.number() == number)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_so_none_is_given_twice() {
        let numbers: Vec<u32> = ErrorCode::ALL.iter().map(|code| code.number()).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn the_status_is_the_number_without_its_detail() {
        let printed = |code: ErrorCode| format!("{} {code} {}", code.number(), code.http_status());
        assert_eq!(
            printed(ErrorCode::DeviceNotFound),
            "404001 DeviceNotFound 404"
        );
        assert_eq!(
            printed(ErrorCode::DeviceNotOnline),
            "404103 DeviceNotOnline 404"
        );
        assert_eq!(
            printed(ErrorCode::PreconditionFailed),
            "412001 PreconditionFailed 412"
        );
        assert_eq!(
            printed(ErrorCode::GatewayTimeout),
            "504101 GatewayTimeout 504"
        );
        assert!(
            ErrorCode::ALL
                .iter()
                .all(|code| (400..=504).contains(&code.http_status()))
        );
    }

    #[test]
    fn codes_are_found_by_number() {
        assert_eq!(
            ErrorCode::from_number(400_004),
            Some(ErrorCode::ArgumentInvalid)
        );
        assert_eq!(ErrorCode::from_number(400_999), None);
    }
}
