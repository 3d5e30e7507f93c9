//! File uploads: the name of a file, an upload that is under way, and the ticket that lets its device write.

use std::fmt;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use subtle::ConstantTimeEq as _;

use crate::limits::UPLOAD_NAME_CHARS_MAX;
use crate::{DeviceId, HubNo, SymmetricKey, Timestamp};

/// A file's name within its hub: the device, a slash, and the name that the device asked for
/// ("Upload files with IoT Hub": `{deviceId}/{blobName}`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobName(String);

/// A name cannot be a file's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BlobNameError {
    /// Empty, or too long with the device id before it.
    #[error(
        "a file name must have 1 to {UPLOAD_NAME_CHARS_MAX} characters, the device id and a slash included"
    )]
    Length,
    /// A part that clients and stores take for something else.
    #[error("a file name must not have the parts . and .. or an empty one between slashes")]
    Part,
    /// A control character.
    #[error("a file name must not have control characters")]
    Control,
}

impl BlobName {
    /// The file `name` of `device`.
    ///
    /// # Errors
    /// When the name is empty, too long or has parts that are no names.
    pub fn of_device(device: &DeviceId, name: &str) -> Result<Self, BlobNameError> {
        if name.is_empty() {
            return Err(BlobNameError::Length);
        }
        Self::parse(&format!("{device}/{name}"))
    }

    /// Reads a whole name, the device's part included.
    ///
    /// # Errors
    /// As [`Self::of_device`].
    pub fn parse(text: &str) -> Result<Self, BlobNameError> {
        if !text.contains('/') || text.chars().count() > UPLOAD_NAME_CHARS_MAX {
            return Err(BlobNameError::Length);
        }
        if text.chars().any(char::is_control) {
            return Err(BlobNameError::Control);
        }
        if text.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(BlobNameError::Part);
        }
        Ok(Self(text.to_owned()))
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whose file it is.
    pub fn device(&self) -> &str {
        self.0.split_once('/').map_or("", |(device, _)| device)
    }
}

impl fmt::Display for BlobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names an upload for its device (`correlationId`): 32 hexadecimal digits, random.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CorrelationId(String);

impl CorrelationId {
    /// The id of these random bytes.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(format!("{:032x}", u128::from_be_bytes(bytes)))
    }

    /// Reads what a device sends back; `None` for what no hub made.
    pub fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
        (text.len() == 32 && text.bytes().all(is_digit)).then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An upload that a device began and did not finish yet.
#[derive(Clone, PartialEq, Eq)]
pub struct Upload {
    /// Its id.
    pub correlation: CorrelationId,
    /// In which hub.
    pub hub: HubNo,
    /// The file.
    pub name: BlobName,
    /// Signs its ticket. Random, of this upload alone.
    pub key: SymmetricKey,
    /// When it was begun.
    pub begun: Timestamp,
    /// When its ticket ends.
    pub expires: Timestamp,
}

/// The version of the storage REST that the ticket names ("Versioning for Azure Storage").
const TICKET_VERSION: &str = "2021-12-02";

impl Upload {
    /// The query with which the device may write this one file until the upload ends, `?` included.
    ///
    /// Names and places as in a service SAS ("Create a service SAS"); `si` names the upload, because the Python client
    /// drops parameters that it does not know (`_shared/shared_access_signature.py`).
    pub fn ticket(&self) -> String {
        use base64::Engine as _;
        let signature = base64::engine::general_purpose::STANDARD.encode(self.signature());
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        format!(
            "?sv={TICKET_VERSION}&sr=b&sp=w&se={}&si={}&sig={}",
            encode(&whole_seconds(self.expires)),
            self.correlation.as_str(),
            encode(&signature)
        )
    }

    /// True when `signature` (base64) is that of this upload's ticket. Takes the same time for every wrong one.
    pub fn is_ticket_signed_by(&self, signature: &str) -> bool {
        use base64::Engine as _;
        let Ok(signature) = base64::engine::general_purpose::STANDARD.decode(signature) else {
            return false;
        };
        self.signature().as_slice().ct_eq(&signature).into()
    }

    fn signature(&self) -> [u8; 32] {
        let text = format!(
            "w\n{}\n/{}/{}\n{}\n{TICKET_VERSION}\nb",
            whole_seconds(self.expires),
            self.hub,
            self.name,
            self.correlation.as_str()
        );
        self.key.sign(text.as_bytes())
    }
}

/// RFC 3339 without a fraction, which SAS documents allow.
fn whole_seconds(moment: Timestamp) -> String {
    let text = moment.to_rfc3339();
    match text.split_once('.') {
        Some((whole, _)) => format!("{whole}Z"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(name: &str) -> Upload {
        Upload {
            correlation: CorrelationId::from_random([0xab; 16]),
            hub: HubNo(1),
            name: BlobName::parse(name).unwrap(),
            key: SymmetricKey::from_bytes(&[7; 32]).unwrap(),
            begun: Timestamp::from_seconds(1_700_000_000),
            expires: Timestamp::from_seconds(1_700_003_600),
        }
    }

    fn signature(upload: &Upload) -> String {
        let ticket = upload.ticket();
        let (_, signature) = ticket.split_once("&sig=").unwrap();
        percent_encoding::percent_decode_str(signature)
            .decode_utf8()
            .unwrap()
            .into_owned()
    }

    #[test]
    fn a_ticket_reads_like_a_service_sas() {
        let ticket = upload("d1/a.txt").ticket();
        let expected = "?sv=2021-12-02&sr=b&sp=w&se=2023%2D11%2D14T23%3A13%3A20Z&si=abababababababababababababababab&sig=";
        assert!(ticket.starts_with(expected), "{ticket}");
    }

    #[test]
    fn a_signature_is_good_for_its_own_upload_only() {
        let mine = upload("d1/a.txt");
        assert!(mine.is_ticket_signed_by(&signature(&mine)));
        let other_key = Upload {
            key: SymmetricKey::from_bytes(&[8; 32]).unwrap(),
            ..mine.clone()
        };
        let other_hub = Upload {
            hub: HubNo(2),
            ..mine.clone()
        };
        let later = Upload {
            expires: Timestamp::from_seconds(1_800_000_000),
            ..mine.clone()
        };
        for other in [upload("d1/b.txt"), other_key, other_hub, later] {
            assert!(!mine.is_ticket_signed_by(&signature(&other)));
        }
        for nonsense in ["", "%", "AAAA"] {
            assert!(!mine.is_ticket_signed_by(nonsense));
        }
    }

    #[test]
    fn names_are_the_devices_and_have_no_way_out() {
        let device = DeviceId::parse("d1").unwrap();
        for good in ["a", "a/b.txt", "\u{fc}ml\u{e4}ut #?%.bin", "..."] {
            let name = BlobName::of_device(&device, good).unwrap();
            assert_eq!(name.as_str(), format!("d1/{good}"));
            assert_eq!(name.device(), "d1");
        }
        for (bad, error) in [
            ("", BlobNameError::Length),
            ("..", BlobNameError::Part),
            ("a/../../b", BlobNameError::Part),
            ("a//b", BlobNameError::Part),
            ("a/", BlobNameError::Part),
            ("/a", BlobNameError::Part),
            ("a\nb", BlobNameError::Control),
        ] {
            assert_eq!(BlobName::of_device(&device, bad), Err(error), "{bad:?}");
        }
        let longest = "x".repeat(UPLOAD_NAME_CHARS_MAX - 3);
        assert!(BlobName::of_device(&device, &longest).is_ok());
        assert!(BlobName::of_device(&device, &format!("{longest}x")).is_err());
    }

    #[test]
    fn only_ids_of_our_make_are_read() {
        let id = CorrelationId::from_random([1; 16]);
        assert_eq!(CorrelationId::parse(id.as_str()), Some(id));
        for other in ["", "x", &"A".repeat(32), &"g".repeat(32), &"0".repeat(33)] {
            assert_eq!(CorrelationId::parse(other), None);
        }
    }
}
