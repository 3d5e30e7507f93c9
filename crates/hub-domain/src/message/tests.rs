mod cloud_to_device;
mod property_bag;
mod telemetry;

use super::*;
