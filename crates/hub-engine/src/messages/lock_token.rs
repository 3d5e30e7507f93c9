//! The name of one delivery of one message.

use std::fmt;
use std::time::Duration;

use hub_domain::Timestamp;
use hub_domain::limits::CLOUD_TO_DEVICE_LOCK_RANGE;
use hub_storage::store::MessageNo;

/// Names a message, when it was handed out and for how long, in 16 bytes spelled like a UUID. It is no secret: whoever
/// uses it proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LockToken {
    message: MessageNo,
    /// Microseconds since 1970 times 512, and the seconds of the lock.
    delivery: u64,
}

/// Bits of the seconds of the lock.
const LOCK_BITS: u32 = 9;

/// A text that is no lock token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lock token is not one that this hub gave")]
pub struct LockTokenError;

impl LockToken {
    /// The delivery of `message` at `at`; a session's deliveries have no time of their own, so that `lock` is zero.
    pub fn new(message: MessageNo, at: Timestamp, lock: Duration) -> Self {
        let micros = u64::try_from(at.micros()).unwrap_or_default();
        let seconds = lock
            .as_secs()
            .min(CLOUD_TO_DEVICE_LOCK_RANGE.end().as_secs());
        Self {
            message,
            delivery: (micros << LOCK_BITS) | seconds,
        }
    }

    /// Which message.
    pub const fn message(self) -> MessageNo {
        self.message
    }

    /// When it was handed out.
    pub const fn issued(self) -> Timestamp {
        Timestamp::from_micros((self.delivery >> LOCK_BITS).cast_signed())
    }

    /// When the lock ends.
    pub fn expires(self) -> Timestamp {
        let seconds = self.delivery & ((1 << LOCK_BITS) - 1);
        self.issued().plus(Duration::from_secs(seconds))
    }

    /// The 16 bytes, for protocols that carry a UUID.
    pub fn to_bytes(self) -> [u8; 16] {
        ((u128::from(self.message.0) << 64) | u128::from(self.delivery)).to_be_bytes()
    }

    /// Reads the 16 bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let number = u128::from_be_bytes(bytes);
        let low = |number: u128| {
            u64::try_from(number & u128::from(u64::MAX)).expect("invariant: 64 bits are 64 bits")
        };
        Self {
            message: MessageNo(low(number >> 64)),
            delivery: low(number),
        }
    }

    /// Reads the text, with or without the quotes of an ETag.
    ///
    /// # Errors
    /// When it is not of the form of a UUID.
    pub fn parse(text: &str) -> Result<Self, LockTokenError> {
        let text = text
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .unwrap_or(text);
        let dashes = [8, 13, 18, 23];
        let has_form = text.len() == 36
            && text.bytes().enumerate().all(|(at, byte)| {
                if dashes.contains(&at) {
                    byte == b'-'
                } else {
                    byte.is_ascii_hexdigit()
                }
            });
        if !has_form {
            return Err(LockTokenError);
        }
        let digits: String = text.chars().filter(|c| *c != '-').collect();
        let number = u128::from_str_radix(&digits, 16).map_err(|_| LockTokenError)?;
        Ok(Self::from_bytes(number.to_be_bytes()))
    }
}

impl fmt::Display for LockToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:032x}", u128::from_be_bytes(self.to_bytes()));
        let (a, rest) = digits.split_at(8);
        let (b, rest) = rest.split_at(4);
        let (c, rest) = rest.split_at(4);
        let (d, e) = rest.split_at(4);
        write!(f, "{a}-{b}-{c}-{d}-{e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_what_it_names() {
        let at = Timestamp::from_micros(1_700_000_000_123_456);
        let token = LockToken::new(MessageNo(77), at, Duration::from_secs(300));
        assert_eq!(token.message(), MessageNo(77));
        assert_eq!(token.issued(), at);
        assert_eq!(token.expires(), at.plus(Duration::from_secs(300)));
        let text = token.to_string();
        assert_eq!(LockToken::parse(&text), Ok(token));
        assert_eq!(LockToken::parse(&format!("\"{text}\"")), Ok(token));
        assert_eq!(LockToken::parse(&text.to_uppercase()), Ok(token));
        assert_eq!(LockToken::from_bytes(token.to_bytes()), token);
    }

    #[test]
    fn other_texts_are_no_tokens() {
        for text in [
            "",
            "\"\"",
            "x",
            "00000000000000000000000000000000",
            "0000000g-0000-0000-0000-000000000000",
            "00000000-0000-0000-0000-0000000000000",
            "+0000000-0000-0000-0000-000000000000",
            "é0000000-0000-0000-0000-00000000000",
        ] {
            assert_eq!(LockToken::parse(text), Err(LockTokenError), "{text}");
        }
    }
}
