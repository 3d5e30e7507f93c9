//! Names of files on a file system: any blob name becomes a path that is short enough in every part, leaves the folder
//! nowhere, and is taken back to the name.
//!
//! A part is percent-encoded and cut into pieces; every piece but the last is a folder whose name ends in `~`, which
//! no encoded text has. A device is a folder, a file is one file in it with its slashes encoded, so that `a` and `a/b`
//! are neighbors.

use hub_domain::upload::BlobName;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Longest piece in bytes; file systems take 255.
const PIECE_BYTES_MAX: usize = 200;
const MORE: char = '~';
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// The pieces of a blob's path, below the folder of its hub's blobs.
pub(super) fn pieces(name: &BlobName) -> Vec<String> {
    let device = name.device();
    let file = name.as_str().get(device.len() + 1..).unwrap_or_default();
    let mut all = device_pieces(device);
    all.extend(encoded(file));
    all
}

/// The pieces of a device's folder.
pub(super) fn device_pieces(device: &str) -> Vec<String> {
    encoded(device)
}

/// The name whose pieces these are; `None` for files that are not ours.
pub(super) fn name_of(pieces: &[String]) -> Option<BlobName> {
    let end = pieces.iter().position(|piece| !piece.ends_with(MORE))?;
    let (device, file) = pieces.split_at(end + 1);
    BlobName::parse(&format!("{}/{}", decoded(device)?, decoded(file)?)).ok()
}

/// True for a piece that more of the same part follow.
pub(super) fn has_more(piece: &str) -> bool {
    piece.ends_with(MORE)
}

fn encoded(text: &str) -> Vec<String> {
    let mut encoded = utf8_percent_encode(text, RESERVED).to_string();
    if encoded.starts_with('.') {
        encoded.replace_range(..1, "%2E");
    }
    let mut pieces = Vec::new();
    let mut rest = encoded.as_str();
    while rest.len() > PIECE_BYTES_MAX {
        // The encoded text is ASCII, so that it may be cut anywhere.
        let (piece, more) = rest.split_at(PIECE_BYTES_MAX);
        pieces.push(format!("{piece}{MORE}"));
        rest = more;
    }
    pieces.push(rest.to_owned());
    pieces
}

fn decoded(pieces: &[String]) -> Option<String> {
    let joined: String = pieces
        .iter()
        .map(|piece| piece.strip_suffix(MORE).unwrap_or(piece))
        .collect();
    let text = percent_decode_str(&joined).decode_utf8().ok()?;
    Some(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_and_pieces_are_short_and_plain() {
        for name in [
            "d1/a.txt",
            "d1/a/b",
            "./x",
            "d1/...",
            &format!("{}/{}", "d%".repeat(64), "\u{fc}/".repeat(200) + "x"),
        ] {
            let name = BlobName::parse(name).unwrap_or_else(|_| BlobName::parse("d/x").unwrap());
            let pieces = pieces(&name);
            for piece in &pieces {
                assert!(piece.len() <= PIECE_BYTES_MAX + 1 && !piece.starts_with('.'));
                assert!(!piece.contains(['/', '\\', ':']), "{piece}");
            }
            assert_eq!(name_of(&pieces), Some(name));
        }
        let foreign =
            |pieces: &[&str]| name_of(&pieces.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>());
        assert_eq!(foreign(&["d1"]), None);
        assert_eq!(foreign(&["d1", "%FF"]), None);
        assert_eq!(foreign(&[]), None);
    }
}
