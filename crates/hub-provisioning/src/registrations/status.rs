//! What a device is told of its registration.

use std::time::Duration;

use hub_domain::Timestamp;
use hub_domain::provisioning::{Progress, Registration, RegistrationId};

/// How long a device waits before it asks again, when everything is done by then.
const SOON: Duration = Duration::from_secs(1);
/// How long it waits when somebody else has to answer.
const LATER: Duration = Duration::from_secs(3);

/// What became of an attempt, as a device sees it.
#[derive(Clone)]
pub struct OperationStatus {
    pub(crate) shown: Shown,
}

#[derive(Clone)]
pub(crate) enum Shown {
    /// The state of the attempt.
    State(Box<Registration>),
    /// It was just begun: devices ask again for how it ended, even when that is known.
    Begun(Box<Registration>),
    /// The enrollment is disabled.
    Disabled {
        id: RegistrationId,
        /// Clients ask again by this id where they were told to, and are told the same.
        operation: Box<str>,
        at: Timestamp,
    },
}

impl OperationStatus {
    pub(crate) fn of(registration: Registration) -> Self {
        Self {
            shown: Shown::State(Box::new(registration)),
        }
    }

    pub(crate) fn begun(registration: Registration) -> Self {
        Self {
            shown: Shown::Begun(Box::new(registration)),
        }
    }

    pub(crate) fn disabled(id: RegistrationId, operation: &str, at: Timestamp) -> Self {
        let operation = operation.into();
        Self {
            shown: Shown::Disabled { id, operation, at },
        }
    }

    /// True when there is nothing to ask again: HTTP 200, else 202.
    pub fn is_final(&self) -> bool {
        match &self.shown {
            Shown::State(registration) => !matches!(registration.progress, Progress::Assigning(_)),
            Shown::Begun(_) => false,
            Shown::Disabled { .. } => true,
        }
    }

    /// True when the device may not register for now.
    pub(crate) const fn is_disabled(&self) -> bool {
        matches!(self.shown, Shown::Disabled { .. })
    }

    /// How long to wait before asking again, in whole seconds; none when it is final.
    pub fn retry_after(&self) -> Option<Duration> {
        if self.is_final() {
            return None;
        }
        let registration = match &self.shown {
            Shown::State(registration) | Shown::Begun(registration) => registration,
            Shown::Disabled { .. } => return None,
        };
        match registration.progress {
            Progress::Assigning(_) => Some(LATER),
            Progress::Assigned | Progress::Failed(_) => Some(SOON),
        }
    }

    /// The operation id.
    pub fn operation(&self) -> &str {
        match &self.shown {
            Shown::State(registration) | Shown::Begun(registration) => {
                registration.operation.as_str()
            }
            Shown::Disabled { operation, .. } => operation,
        }
    }

    /// The document (`RegistrationOperationStatus`).
    pub fn document(&self) -> String {
        crate::documents::operation_document(self).to_string()
    }

    /// That of the registration alone (`DeviceRegistrationState`).
    pub fn state_document(&self) -> String {
        crate::documents::state_document(self).to_string()
    }
}
