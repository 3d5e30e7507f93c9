//! What an operation is: one method and path of `/api/v1`.

mod list;

pub use list::OPERATIONS;

/// What all paths begin with.
pub const BASE_PATH: &str = "/api/v1";

/// One method and path.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// Its name, in programs and in the OpenAPI document.
    pub id: OperationId,
    /// The HTTP method.
    pub verb: Verb,
    /// The path below [`BASE_PATH`], with parameters in braces.
    pub path: &'static str,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// Who may.
    pub needs: Needs,
    /// What may stand behind `?`.
    pub query: &'static [Parameter],
    /// Whether `If-Match` guards it.
    pub guard: Guard,
    /// The name of the request body's type, when there is a body.
    pub request: Option<&'static str>,
    /// What a success looks like.
    pub answer: Answer,
}

impl Operation {
    /// The operation of that name.
    pub fn of(id: OperationId) -> &'static Self {
        OPERATIONS
            .iter()
            .find(|operation| operation.id == id)
            .expect("the list holds every operation")
    }

    /// The names of the path's parameters, in order.
    pub fn path_parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path
            .split('/')
            .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    }

    /// The path from the root of the server, its parameters replaced by `values`, percent-encoded.
    ///
    /// # Panics
    /// When there are not as many values as parameters.
    pub fn path_of(&self, values: &[&str]) -> String {
        let mut values = values.iter();
        let mut path = BASE_PATH.to_owned();
        for segment in self.path.split('/').skip(1) {
            path.push('/');
            if segment.starts_with('{') {
                let value = values
                    .next()
                    .expect("a path has a value for each parameter");
                path.extend(percent_encoding::utf8_percent_encode(
                    value,
                    percent_encoding::NON_ALPHANUMERIC,
                ));
            } else {
                path.push_str(segment);
            }
        }
        assert!(
            values.next().is_none(),
            "a path has a parameter for each value"
        );
        path
    }
}

macro_rules! operation_ids {
    ($($(#[$doc:meta])* $name:ident $text:literal,)*) => {
        /// The name of an operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum OperationId {
            $($(#[$doc])* $name,)*
        }

        impl OperationId {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The spelling in the OpenAPI document.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

operation_ids! {
    /// The hubs of the installation.
    ListHubs "listHubs",
    /// A new hub.
    CreateHub "createHub",
    /// One hub.
    GetHub "getHub",
    /// What of a hub may be set while it runs.
    GetSettings "getSettings",
    /// Other settings for a hub.
    PatchSettings "patchSettings",
    /// The device counts of a hub.
    GetStatistics "getStatistics",
    /// The authorities of a hub.
    ListCertificates "listCertificates",
    /// A new authority.
    CreateCertificate "createCertificate",
    /// One authority.
    GetCertificate "getCertificate",
    /// Another certificate under the same name.
    ReplaceCertificate "replaceCertificate",
    /// An authority goes.
    DeleteCertificate "deleteCertificate",
    /// A code to be certified.
    GenerateVerificationCode "generateVerificationCode",
    /// The proof of possession.
    VerifyCertificate "verifyCertificate",
    /// The devices of a hub.
    ListDevices "listDevices",
    /// A new device.
    CreateDevice "createDevice",
    /// One device.
    GetDevice "getDevice",
    /// Other settings for a device.
    ReplaceDevice "replaceDevice",
    /// A device goes.
    DeleteDevice "deleteDevice",
    /// The modules of a device.
    ListModules "listModules",
    /// A new module.
    CreateModule "createModule",
    /// One module.
    GetModule "getModule",
    /// Other settings for a module.
    ReplaceModule "replaceModule",
    /// A module goes.
    DeleteModule "deleteModule",
    /// New keys for a device.
    RollDeviceKeys "rollDeviceKeys",
    /// New keys for a module.
    RollModuleKeys "rollModuleKeys",
    /// New keys for several identities.
    RollIdentityKeys "rollIdentityKeys",
    /// A device's twin.
    GetDeviceTwin "getDeviceTwin",
    /// A merge into a device's twin.
    PatchDeviceTwin "patchDeviceTwin",
    /// Whole parts of a device's twin.
    ReplaceDeviceTwin "replaceDeviceTwin",
    /// A module's twin.
    GetModuleTwin "getModuleTwin",
    /// A merge into a module's twin.
    PatchModuleTwin "patchModuleTwin",
    /// Whole parts of a module's twin.
    ReplaceModuleTwin "replaceModuleTwin",
    /// A direct method of a device.
    InvokeDeviceMethod "invokeDeviceMethod",
    /// A direct method of a module.
    InvokeModuleMethod "invokeModuleMethod",
    /// A cloud-to-device message.
    SendMessage "sendMessage",
    /// An empty queue.
    PurgeMessages "purgeMessages",
    /// The next message of a device, in its place.
    ReceiveMessage "receiveMessage",
    /// A received message that is done with.
    CompleteMessage "completeMessage",
    /// A received message that is refused.
    RejectMessage "rejectMessage",
    /// A received message that goes back.
    AbandonMessage "abandonMessage",
    /// The next records of a queue for back ends.
    ReceiveBatch "receiveBatch",
    /// A batch that is done with.
    CompleteBatch "completeBatch",
    /// A batch that goes back.
    AbandonBatch "abandonBatch",
    /// What devices send and what happened to them.
    ReadEvents "readEvents",
    /// What devices uploaded.
    ListFiles "listFiles",
    /// The content of an uploaded file.
    GetFile "getFile",
    /// An uploaded file goes.
    DeleteFile "deleteFile",
    /// Where messages and events go.
    GetRouting "getRouting",
    /// What becomes of telemetry that no route takes.
    ReplaceFallbackRoute "replaceFallbackRoute",
    /// A property that is stamped on messages.
    PutEnrichment "putEnrichment",
    /// An enrichment goes.
    DeleteEnrichment "deleteEnrichment",
    /// A message that is tried and not sent.
    TestRouting "testRouting",
    /// The routes of a hub.
    ListRoutes "listRoutes",
    /// A new route.
    CreateRoute "createRoute",
    /// One route.
    GetRoute "getRoute",
    /// Other settings for a route.
    ReplaceRoute "replaceRoute",
    /// A route goes.
    DeleteRoute "deleteRoute",
    /// The provisioning service.
    GetProvisioning "getProvisioning",
    /// Other settings for the provisioning service.
    PatchProvisioning "patchProvisioning",
    /// The policies of the provisioning service.
    ListServicePolicies "listServicePolicies",
    /// One policy with its keys.
    GetServicePolicy "getServicePolicy",
    /// A new policy.
    CreateServicePolicy "createServicePolicy",
    /// Other rights or keys for a policy.
    PatchServicePolicy "patchServicePolicy",
    /// New keys for a policy.
    RollServicePolicyKeys "rollServicePolicyKeys",
    /// A policy goes.
    DeleteServicePolicy "deleteServicePolicy",
    /// The hubs that devices can be assigned to.
    ListLinkedHubs "listLinkedHubs",
    /// A hub of another installation.
    CreateLinkedHub "createLinkedHub",
    /// One linked hub.
    GetLinkedHub "getLinkedHub",
    /// Other settings for a linked hub.
    PatchLinkedHub "patchLinkedHub",
    /// Whether devices can be assigned to a linked hub.
    CheckLinkedHub "checkLinkedHub",
    /// A linked hub goes.
    DeleteLinkedHub "deleteLinkedHub",
    /// Where callers are.
    ListAddressRanges "listAddressRanges",
    /// All ranges at once.
    ReplaceAddressRanges "replaceAddressRanges",
    /// A range of addresses.
    PutAddressRange "putAddressRange",
    /// A range goes.
    DeleteAddressRange "deleteAddressRange",
    /// How far hubs are.
    ListLatencies "listLatencies",
    /// How far all hubs are.
    ReplaceLatencies "replaceLatencies",
    /// How far several hubs are.
    PatchLatencies "patchLatencies",
    /// How far one is.
    PutLatency "putLatency",
    /// That is forgotten.
    DeleteLatency "deleteLatency",
    /// The authorities of the provisioning service.
    ListAuthorities "listAuthorities",
    /// A new authority of it.
    CreateAuthority "createAuthority",
    /// One authority of it.
    GetAuthority "getAuthority",
    /// Another certificate under the same name.
    ReplaceAuthority "replaceAuthority",
    /// An authority of it goes.
    DeleteAuthority "deleteAuthority",
    /// A code to be certified.
    GenerateAuthorityCode "generateAuthorityCode",
    /// The proof of possession.
    VerifyAuthority "verifyAuthority",
    /// The enrolled devices.
    ListEnrollments "listEnrollments",
    /// A new enrollment.
    CreateEnrollment "createEnrollment",
    /// One enrollment.
    GetEnrollment "getEnrollment",
    /// Other settings for an enrollment.
    ReplaceEnrollment "replaceEnrollment",
    /// An enrollment goes.
    DeleteEnrollment "deleteEnrollment",
    /// The proof of an enrollment with its keys.
    GetEnrollmentKeys "getEnrollmentKeys",
    /// New keys for an enrollment.
    RollEnrollmentKeys "rollEnrollmentKeys",
    /// The enrolled groups.
    ListEnrollmentGroups "listEnrollmentGroups",
    /// A new group.
    CreateEnrollmentGroup "createEnrollmentGroup",
    /// One group.
    GetEnrollmentGroup "getEnrollmentGroup",
    /// Other settings for a group.
    ReplaceEnrollmentGroup "replaceEnrollmentGroup",
    /// A group goes.
    DeleteEnrollmentGroup "deleteEnrollmentGroup",
    /// The proof of a group with its keys.
    GetEnrollmentGroupKeys "getEnrollmentGroupKeys",
    /// New keys for a group.
    RollEnrollmentGroupKeys "rollEnrollmentGroupKeys",
    /// New keys for many.
    RollAllKeys "rollAllKeys",
    /// What became of devices.
    ListRegistrations "listRegistrations",
    /// What became of one.
    GetRegistration "getRegistration",
    /// That is forgotten.
    DeleteRegistration "deleteRegistration",
    /// Devices that were turned away.
    ListRefusals "listRefusals",
    /// One of them.
    GetRefusal "getRefusal",
    /// Where a device would go.
    PreviewAllocation "previewAllocation",
    /// The authorities that issue certificates.
    ListIssuers "listIssuers",
    /// A new one.
    CreateIssuer "createIssuer",
    /// One of them.
    GetIssuer "getIssuer",
    /// One goes.
    DeleteIssuer "deleteIssuer",
    /// How certificates are issued.
    ListCredentialPolicies "listCredentialPolicies",
    /// A new credential policy.
    CreateCredentialPolicy "createCredentialPolicy",
    /// One credential policy.
    GetCredentialPolicy "getCredentialPolicy",
    /// Other settings for one.
    ReplaceCredentialPolicy "replaceCredentialPolicy",
    /// One goes.
    DeleteCredentialPolicy "deleteCredentialPolicy",
    /// What expires.
    ListExpiring "listExpiring",
}

/// The HTTP method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Reads.
    Get,
    /// Creates or does.
    Post,
    /// Replaces.
    Put,
    /// Merges.
    Patch,
    /// Deletes.
    Delete,
}

impl Verb {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// Who may do an operation; the local administrator may do all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Only the local administrator.
    Admin,
    /// Whoever holds a token of the hub, whatever it permits.
    AnyPolicy,
    /// A policy with the permission of that name.
    Permission(&'static str),
    /// The local administrator, or a policy of the provisioning service with the permission of that name.
    Service(&'static str),
    /// The local administrator, or a policy of the provisioning service with one of these permissions: each gets the part
    /// that it may see.
    AnyOfService(&'static [&'static str]),
}

/// A query parameter.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub summary: &'static str,
    /// What it may be.
    pub kind: ParameterKind,
}

/// What a query parameter may be.
#[derive(Clone, Copy, Debug)]
pub enum ParameterKind {
    /// Any text.
    Text,
    /// A number from the first to the second.
    Number(u64, u64),
    /// One of these.
    OneOf(&'static [&'static str]),
}

/// Whether `If-Match` guards an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// It does not.
    Unguarded,
    /// With `If-Match` it is done only while the etag holds; without it, in any case.
    IfMatch,
}

/// What a success looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200 and a JSON body of the type of that name.
    Ok(&'static str),
    /// 201 and a JSON body of the type of that name.
    Created(&'static str),
    /// 204 and nothing.
    NoContent,
    /// 200 and lines of JSON that may never end, each of the type of that name.
    Lines(&'static str),
    /// 200 and bytes of any kind.
    Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_holds_every_operation_once_in_the_order_of_the_names() {
        let listed: Vec<OperationId> = OPERATIONS.iter().map(|operation| operation.id).collect();
        assert_eq!(listed, OperationId::ALL);
    }

    #[test]
    fn no_two_operations_share_method_and_path() {
        let mut seen: Vec<String> = OPERATIONS
            .iter()
            .map(|o| format!("{} {}", o.verb.as_str(), o.path))
            .collect();
        seen.sort();
        assert!(seen.windows(2).all(|pair| pair[0] != pair[1]), "{seen:?}");
    }

    #[test]
    fn paths_take_ids_with_any_character() {
        let path = Operation::of(OperationId::GetModule).path_of(&["h1", "a#b%/c", "$edge?"]);
        assert_eq!(
            path,
            "/api/v1/hubs/h1/devices/a%23b%25%2Fc/modules/%24edge%3F"
        );
        let names: Vec<_> = Operation::of(OperationId::GetModule)
            .path_parameters()
            .collect();
        assert_eq!(names, ["hub", "device", "module"]);
    }
}
