//! What the gateway counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why a connection ended. Each is counted; the text is what the log says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCause {
    /// The client said goodbye.
    ClientDisconnect,
    /// The socket ended or failed.
    SocketClosed,
    /// The TLS handshake failed.
    TlsFailed,
    /// No CONNECT, or no handshake, in time.
    HandshakeTimeout,
    /// Too many connections wait for authentication.
    NotAdmitted,
    /// The client was refused with a CONNACK.
    Refused,
    /// A packet that the protocol forbids.
    ProtocolViolation,
    /// A topic, size or content that the hub refuses by closing.
    BadMessage,
    /// Nothing came for 1.5 keep-alive intervals.
    KeepAlive,
    /// The credential ended.
    TokenExpired,
    /// A newer connection of the same identity.
    Superseded,
    /// The identity was disabled, deleted, or its keys changed.
    IdentityChanged,
    /// Messages could not be made durable.
    StorageFailed,
    /// Messages that a quota refuses.
    QuotaExceeded,
    /// The device asked for it.
    FaultInjected,
    /// The hub is stopping.
    Shutdown,
}

impl CloseCause {
    /// Every cause, in the order of its counter.
    pub const ALL: [Self; 16] = [
        Self::ClientDisconnect,
        Self::SocketClosed,
        Self::TlsFailed,
        Self::HandshakeTimeout,
        Self::NotAdmitted,
        Self::Refused,
        Self::ProtocolViolation,
        Self::BadMessage,
        Self::KeepAlive,
        Self::TokenExpired,
        Self::Superseded,
        Self::IdentityChanged,
        Self::StorageFailed,
        Self::QuotaExceeded,
        Self::FaultInjected,
        Self::Shutdown,
    ];

    /// A stable name for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientDisconnect => "client_disconnect",
            Self::SocketClosed => "socket_closed",
            Self::TlsFailed => "tls_failed",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::NotAdmitted => "not_admitted",
            Self::Refused => "refused",
            Self::ProtocolViolation => "protocol_violation",
            Self::BadMessage => "bad_message",
            Self::KeepAlive => "keep_alive",
            Self::TokenExpired => "token_expired",
            Self::Superseded => "superseded",
            Self::IdentityChanged => "identity_changed",
            Self::StorageFailed => "storage_failed",
            Self::QuotaExceeded => "quota_exceeded",
            Self::FaultInjected => "fault_injected",
            Self::Shutdown => "shutdown",
        }
    }
}

/// Connections that ended, by cause, since the start.
#[derive(Debug, Default)]
pub struct Counters([AtomicU64; CloseCause::ALL.len()]);

impl Counters {
    /// Counts one.
    pub fn count(&self, cause: CloseCause) {
        self.0[cause as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many ended for `cause`.
    pub fn of(&self, cause: CloseCause) -> u64 {
        self.0[cause as usize].load(Ordering::Relaxed)
    }
}
