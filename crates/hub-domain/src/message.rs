//! Messages in both directions: system and application properties, their MQTT spelling, sizes.
//!
//! Telemetry keeps its property bag as received ([`telemetry_size`] checks it in one pass) and is
//! decoded by whoever reads it ([`decode_telemetry_properties`]). A cloud-to-device message is checked
//! when a back end sends it ([`CloudToDeviceMessage::parse`]) and spelled for MQTT when it is delivered.

mod cloud_to_device;
mod device_bound;
mod property_bag;
mod system_property;
mod telemetry;

#[cfg(test)]
mod tests;

pub use cloud_to_device::{
    CloudToDeviceDraft, CloudToDeviceError, CloudToDeviceMessage, FeedbackAck,
};
pub use device_bound::{AddressError, device_bound_address};
pub use property_bag::{Property, PropertyBag, PropertyBagError, properties, push_encoded};
pub use system_property::SystemProperty;
pub use telemetry::{
    TelemetryError, TelemetryProperties, decode_telemetry_properties, telemetry_size,
};
