//! The body of a refusal.

use hub_domain::{ErrorCode, Timestamp};
use serde::Serialize;

/// The vendor's error body. SDKs take `Message` apart at `;` and `:` (`http.js`, `parseErrorBody`),
/// so the code comes first and the text has no semicolon.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ErrorBody {
    /// `ErrorCode:Name;text`.
    pub message: String,
    /// `Tracking ID:{request id}-G:0-TimeStamp:{month/day/year time}`.
    pub exception_message: String,
}

impl ErrorBody {
    /// The body for `code`, for people explained by `text`.
    pub fn new(code: ErrorCode, text: &str, request_id: &str, now: Timestamp) -> Self {
        let text = if text.is_empty() { code.name() } else { text };
        Self {
            message: format!("ErrorCode:{};{}", code.name(), text.replace(';', ",")),
            exception_message: format!("Tracking ID:{request_id}-G:0-TimeStamp:{}", moment(now)),
        }
    }
}

/// `11/22/2026 22:14:31`, in UTC.
fn moment(now: Timestamp) -> String {
    let text = now.to_rfc3339();
    let (date, time) = text
        .split_once('T')
        .expect("RFC 3339 has a T between date and time");
    let mut parts = date.splitn(3, '-');
    let mut part = || parts.next().expect("RFC 3339 dates have three parts");
    let (year, month, day) = (part(), part(), part());
    let time = time.get(..8).unwrap_or(time);
    format!("{month}/{day}/{year} {time}")
}
