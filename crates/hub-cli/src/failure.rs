//! Why a command failed, and what to do.

use std::fmt;
use std::io;
use std::process::ExitCode;

use hub_api::client::ClientError;

/// A command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: FailureKind,
    error: anyhow::Error,
    hint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FailureKind {
    /// The operation failed.
    Operation,
    /// The command makes no sense.
    Usage,
}

impl Failure {
    /// A command that makes no sense.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self {
            kind: FailureKind::Usage,
            error: anyhow::anyhow!("{message}"),
            hint: None,
        }
    }

    /// An operation that failed.
    pub(crate) fn operation(message: impl fmt::Display) -> Self {
        Self {
            kind: FailureKind::Operation,
            error: anyhow::anyhow!("{message}"),
            hint: None,
        }
    }

    /// Says what to do next.
    #[must_use]
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says what it means, before its cause.
    #[must_use]
    pub(crate) fn meaning(self, meaning: String) -> Self {
        Self {
            error: self.error.context(meaning),
            ..self
        }
    }

    /// Says what to do next where nothing is said yet.
    #[must_use]
    pub(crate) fn or_hint(self, hint: impl Into<String>) -> Self {
        match self.hint {
            Some(_) => self,
            None => self.with_hint(hint),
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.status())
    }

    pub(crate) const fn status(&self) -> u8 {
        match self.kind {
            FailureKind::Operation => 1,
            FailureKind::Usage => 2,
        }
    }

    /// True when the reader of the output went away.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        let mut causes = self.error.chain();
        causes.any(|cause| {
            cause
                .downcast_ref::<io::Error>()
                .is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
        })
    }

    /// True when the server knows the caller too little or not at all.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(
            self.client_error(),
            Some(ClientError::Refused {
                status: 401 | 403,
                ..
            })
        )
    }

    /// The client's error behind it, if it is one.
    pub(crate) fn client_error(&self) -> Option<&ClientError> {
        self.error.downcast_ref()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.error)?;
        for cause in self.error.chain().skip(1) {
            write!(f, "\n  because: {cause}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        f.write_str("\n")
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self {
            kind: FailureKind::Operation,
            error,
            hint: None,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::from(anyhow::Error::new(error))
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let hint = hint(&error).map(str::to_owned);
        Self {
            hint,
            ..Self::from(anyhow::Error::new(error))
        }
    }
}

/// What helps in most cases of an error.
fn hint(error: &ClientError) -> Option<&'static str> {
    match error {
        ClientError::Refused { status: 401, .. } => Some(
            "the key is not one of this hub; `thingstead hub show` prints its connection strings",
        ),
        ClientError::Refused {
            status: 403,
            detail,
        } if detail.name == "GenericForbidden" => Some(
            "use a connection string with more permissions, such as the one of iothubowner; for `dps` the one of \
                 provisioningserviceowner (`thingstead dps connection-string show`)",
        ),
        ClientError::Refused { status: 412, .. } => Some(
            "somebody changed it meanwhile: show it again and use its etag, or leave --etag out",
        ),
        ClientError::Refused { detail, .. } if detail.name == "DeviceNotOnline" => Some(
            "`thingstead device show` says whether it is connected; --connect-timeout waits for it",
        ),
        ClientError::Refused { detail, .. } if detail.name == "DeviceNotFound" => {
            Some("`thingstead device list` shows what there is")
        }
        ClientError::Refused { detail, .. } if detail.name == "ModuleNotFound" => {
            Some("`thingstead module list` shows what there is")
        }
        ClientError::Transport { .. } => Some(
            "is the server running, and does it listen there? with an own certificate, --ca-file names it",
        ),
        ClientError::Interrupted { .. } => {
            Some("the server may have stopped; run the command again once it is back")
        }
        ClientError::Certificate(_)
        | ClientError::Refused { .. }
        | ClientError::NotOurs { .. }
        | ClientError::BadAnswer { .. }
        | ClientError::TooLong { .. } => None,
    }
}
