//! The address of a cloud-to-device message.

use percent_encoding::percent_decode_str;

use crate::ids::IdError;
use crate::{DeviceId, IdentityId, ModuleId};

/// A text that is no address of a device or module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It does not have the parts of an address.
    #[error(
        "the address must be /devices/{{device}}/messages/devicebound or \
         /devices/{{device}}/modules/{{module}}/messages/devicebound"
    )]
    Shape,
    /// An id is not UTF-8 when its percent-encoding is taken off.
    #[error("an id in the address is not UTF-8")]
    NotUtf8,
    /// An id breaks its rule.
    #[error(transparent)]
    Id(#[from] IdError),
}

/// Whom a message's `to` means: `/devices/{device}/messages/devicebound`, with a module in between or not.
///
/// Ids are percent-decoded once, as the service SDKs encode them. Fixed parts are read without regard to case, for the C#
/// client writes `deviceBound`; the first slash may be missing.
///
/// # Errors
/// When the text has another shape, or an id breaks its rule.
pub fn device_bound_address(to: &str) -> Result<IdentityId, AddressError> {
    let parts: Vec<&str> = to.strip_prefix('/').unwrap_or(to).split('/').collect();
    let is = |part: &str, fixed: &str| part.eq_ignore_ascii_case(fixed);
    match parts.as_slice() {
        [devices, device, messages, bound]
            if is(devices, "devices") && is(messages, "messages") && is(bound, "devicebound") =>
        {
            Ok(IdentityId::device(DeviceId::parse(&decoded(device)?)?))
        }
        [devices, device, modules, module, messages, bound]
            if is(devices, "devices")
                && is(modules, "modules")
                && is(messages, "messages")
                && is(bound, "devicebound") =>
        {
            let device = DeviceId::parse(&decoded(device)?)?;
            Ok(IdentityId::module(
                device,
                ModuleId::parse(&decoded(module)?)?,
            ))
        }
        _ => Err(AddressError::Shape),
    }
}

fn decoded(part: &str) -> Result<std::borrow::Cow<'_, str>, AddressError> {
    percent_decode_str(part)
        .decode_utf8()
        .map_err(|_| AddressError::NotUtf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_and_without_a_module() {
        for (text, id) in [
            ("/devices/d1/messages/devicebound", "d1"),
            ("devices/d1/messages/devicebound", "d1"),
            ("/devices/D1/messages/deviceBound", "D1"),
            ("/Devices/d1/Messages/DeviceBound", "d1"),
            ("/devices/a%3Ab%25/messages/devicebound", "a:b%"),
            ("/devices/a:b+c/messages/devicebound", "a:b+c"),
            ("/devices/d1/modules/m1/messages/devicebound", "d1/m1"),
            ("/devices/d1/Modules/%24m/messages/deviceBound", "d1/$m"),
        ] {
            assert_eq!(
                device_bound_address(text),
                Ok(IdentityId::parse(id).unwrap()),
                "{text}"
            );
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "/",
            "d1",
            "/devices/d1",
            "/devices/d1/messages/events",
            "/devices/d1/messages/devicebound/",
            "/devices/d1/modules/messages/devicebound",
            "/devices/d1/modules/m1/methods/devicebound",
            "//devices/d1/messages/devicebound",
        ] {
            assert_eq!(
                device_bound_address(text),
                Err(AddressError::Shape),
                "{text}"
            );
        }
        for text in [
            "/devices//messages/devicebound",
            "/devices/a%2Fb/messages/devicebound",
            "/devices/a b/messages/devicebound",
        ] {
            assert!(
                matches!(device_bound_address(text), Err(AddressError::Id(_))),
                "{text}"
            );
        }
        assert_eq!(
            device_bound_address("/devices/%ff/messages/devicebound"),
            Err(AddressError::NotUtf8)
        );
    }
}
