//! Settings of file uploads.

use std::time::Duration;

use super::SettingError;
use crate::limits::{UPLOAD_TTL_DEFAULT, UPLOAD_TTL_MAX, UPLOAD_TTL_MIN};

/// How devices upload files ("Configure IoT Hub file uploads").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileUploadSettings {
    /// How long a ticket is good, 1 minute to 1 day.
    pub ticket_ttl: Duration,
    /// Whether back ends are told of finished uploads. On by default, unlike at the vendor: there is nothing to pay.
    pub notifications: Notifications,
}

/// Whether back ends are told of finished uploads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notifications {
    /// A record goes into the queue of file notifications.
    On,
    /// Nobody is told.
    Off,
}

impl Default for FileUploadSettings {
    fn default() -> Self {
        Self {
            ticket_ttl: UPLOAD_TTL_DEFAULT,
            notifications: Notifications::On,
        }
    }
}

impl FileUploadSettings {
    /// Checks every setting against its documented range.
    ///
    /// # Errors
    /// The first setting that is out of its range.
    pub fn check(&self) -> Result<(), SettingError> {
        super::cloud_to_device::check_duration(
            "the time to live of upload tickets",
            self.ticket_ttl,
            UPLOAD_TTL_MIN..=UPLOAD_TTL_MAX,
        )
    }
}
