//! Direct methods: request and answer through the bus, nothing stored.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hub_domain::limits::{
    METHOD_CONNECT_TIMEOUT_MAX, METHOD_REQUEST_BYTES_MAX, METHOD_RESPONSE_BYTES_MAX,
    METHOD_RESPONSE_TIMEOUT_MAX, METHOD_RESPONSE_TIMEOUT_MIN,
};
use hub_domain::{ErrorCode, HubNo, IdentityId, Permission};
use hub_storage::Bus;
use hub_storage::bus::{CallError, SessionKey};
pub use hub_storage::bus::{MethodAnswer, MethodCall, MethodCallId, MethodRequest, TakesMethods};

use crate::{Caller, Error, ErrorKind, OpContext, Registry};

/// Longest method name in bytes. The vendor documents none; this bounds a topic.
pub const METHOD_NAME_BYTES_MAX: usize = 256;

/// Calls methods on connected devices.
pub struct Methods {
    registry: Registry,
    bus: Arc<dyn Bus>,
}

impl Methods {
    pub(crate) const fn new(registry: Registry, bus: Arc<dyn Bus>) -> Self {
        Self { registry, bus }
    }

    /// Calls a method and waits for the device's answer, whatever status it has.
    ///
    /// # Errors
    /// Needs `ServiceConnect`, or to be a module: of the same device, or of the edge device that the called device
    /// belongs to. Unknown identity (404001, 404010); not connected or no methods taken within the
    /// connect timeout (404103); no answer within the response timeout (504101); 64 calls in flight (403800);
    /// an answer that is no JSON or too large (502000); name, payload or timeouts out of range (400004, 413001).
    pub async fn invoke(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        id: &IdentityId,
        request: MethodRequest,
    ) -> Result<MethodAnswer, Error> {
        self.require(ctx, hub, id).await?;
        check(&request)?;
        let payload = request.payload.as_ref().map_or(0, Bytes::len);
        self.registry.quotas().take_method(ctx, hub, payload)?;
        let stored = self.registry.stored(hub, id).await?;
        if !stored.identity.is_enabled() {
            return Err(offline(id));
        }
        let key = SessionKey {
            hub,
            id: id.clone(),
        };
        let answer = self
            .bus
            .call(&key, request)
            .await?
            .map_err(|error| call_error(id, error))?;
        check_answer(&answer.payload)?;
        Ok(answer)
    }

    /// A module reaches its own device, the modules beside it and the devices behind it ("Understand and invoke
    /// direct methods from IoT Hub", module to module and module to leaf device).
    async fn require(&self, ctx: &OpContext, hub: HubNo, called: &IdentityId) -> Result<(), Error> {
        let needed = ctx.caller.require(hub, Permission::ServiceConnect);
        let (
            Err(_),
            Caller::Identity {
                hub: own,
                id: caller,
            },
        ) = (&needed, &ctx.caller)
        else {
            return needed;
        };
        if *own != hub || caller.module.is_none() {
            return needed;
        }
        if caller.device == called.device {
            return Ok(());
        }
        let device = |id: &IdentityId| IdentityId::device(id.device.clone());
        let edge = self.registry.stored(hub, &device(caller)).await?.identity;
        let called = match self.registry.stored(hub, &device(called)).await {
            Ok(stored) => stored.identity,
            // A module learns nothing of what is not behind its device.
            Err(error) if error.kind() == ErrorKind::NotFound => return needed,
            Err(error) => return Err(error),
        };
        let is_behind = edge.iot_edge
            && edge.device_scope.is_some()
            && (called.device_scope == edge.device_scope
                || called
                    .parent_scopes
                    .iter()
                    .map(Some)
                    .any(|scope| scope == edge.device_scope.as_ref()));
        if is_behind { Ok(()) } else { needed }
    }
}

/// Checks the payload of a device's answer.
pub(crate) fn check_answer(payload: &[u8]) -> Result<(), Error> {
    if payload.len() > METHOD_RESPONSE_BYTES_MAX {
        return Err(Error::new(
            ErrorKind::BadDeviceAnswer,
            format!("the device's answer has more than {METHOD_RESPONSE_BYTES_MAX} bytes"),
        ));
    }
    if !payload.is_empty() && serde_json::from_slice::<serde::de::IgnoredAny>(payload).is_err() {
        return Err(Error::new(
            ErrorKind::BadDeviceAnswer,
            "the device's answer is neither JSON nor empty",
        ));
    }
    Ok(())
}

fn check(request: &MethodRequest) -> Result<(), Error> {
    let invalid = |text: String| Err(Error::new(ErrorKind::Invalid, text));
    let seconds = |duration: Duration| duration.as_secs();
    let name = &request.name;
    if name.is_empty()
        || name.len() > METHOD_NAME_BYTES_MAX
        || name.contains(['/', '#', '+', '?'])
        || name.chars().any(char::is_control)
    {
        return invalid(format!(
            "methodName must have 1 to {METHOD_NAME_BYTES_MAX} bytes and none of / # + ? or control characters"
        ));
    }
    if request
        .payload
        .as_ref()
        .is_some_and(|payload| payload.len() > METHOD_REQUEST_BYTES_MAX)
    {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!("the payload has more than {METHOD_REQUEST_BYTES_MAX} bytes"),
        ));
    }
    if !(METHOD_RESPONSE_TIMEOUT_MIN..=METHOD_RESPONSE_TIMEOUT_MAX).contains(&request.response) {
        return invalid(format!(
            "responseTimeoutInSeconds must be {} to {}",
            seconds(METHOD_RESPONSE_TIMEOUT_MIN),
            seconds(METHOD_RESPONSE_TIMEOUT_MAX)
        ));
    }
    if request.connect > METHOD_CONNECT_TIMEOUT_MAX {
        return invalid(format!(
            "connectTimeoutInSeconds must be 0 to {}",
            seconds(METHOD_CONNECT_TIMEOUT_MAX)
        ));
    }
    Ok(())
}

fn offline(id: &IdentityId) -> Error {
    Error::new(
        ErrorKind::DeviceOffline,
        format!("{id} is not connected, or takes no methods"),
    )
}

fn call_error(id: &IdentityId, error: CallError) -> Error {
    match error {
        CallError::NotOnline => offline(id),
        CallError::TimedOut => {
            Error::new(ErrorKind::TimedOut, format!("{id} did not answer in time"))
        }
        CallError::TooManyInFlight => Error::new(
            ErrorKind::Throttled,
            format!("too many method calls wait for {id}"),
        )
        .with_code(ErrorCode::DeviceMaximumInflightMethodExceeded),
    }
    .with_source(error)
}
