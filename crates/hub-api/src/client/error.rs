//! Why a call failed.

use crate::native::ErrorDetail;

/// A call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The certificate to trust cannot be read.
    #[error("the certificate to trust cannot be read")]
    Certificate(#[source] reqwest::Error),
    /// There was no answer.
    #[error("{base} does not answer")]
    Transport {
        /// Who was asked.
        base: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The answer broke off.
    #[error("the connection to {base} broke")]
    Interrupted {
        /// Who was asked.
        base: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The hub refused.
    #[error("{} ({} {}, request {})", detail.message, detail.code, detail.name, detail.request_id)]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the hub said.
        detail: ErrorDetail,
    },
    /// Something answered that does not speak `/api/v1`.
    #[error("the answer has the status {status} and is not this program's; is the address right?")]
    NotOurs {
        /// The HTTP status.
        status: u16,
    },
    /// The answer is not the expected document.
    #[error("the answer cannot be read; server and client may be of different versions")]
    BadAnswer {
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The answer does not end.
    #[error("the answer is larger than {bytes_max} bytes")]
    TooLong {
        /// The bound.
        bytes_max: usize,
    },
}

impl ClientError {
    /// What the hub said, when it was the hub that refused.
    pub const fn refusal(&self) -> Option<&ErrorDetail> {
        match self {
            Self::Refused { detail, .. } => Some(detail),
            Self::Certificate(_)
            | Self::Transport { .. }
            | Self::Interrupted { .. }
            | Self::NotOurs { .. }
            | Self::BadAnswer { .. }
            | Self::TooLong { .. } => None,
        }
    }

    /// True when the hub refused because an etag did not hold.
    pub const fn is_precondition_failed(&self) -> bool {
        matches!(self, Self::Refused { status: 412, .. })
    }
}
