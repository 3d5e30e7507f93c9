//! Listing: the tree in the byte order of its names, from a place on.

use std::fs;
use std::io;
use std::path::Path;

use hub_domain::upload::BlobName;
use hub_storage::blobs::{BlobError, BlobState};

use super::{names, state_of};

/// Which part of a name a folder's entries continue.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Device,
    File,
}

/// Files below `folder`, which holds all devices, or one when `device` names it.
pub(super) fn list(
    folder: &Path,
    device: Option<&str>,
    after: Option<&BlobName>,
    max: usize,
) -> Result<Vec<(BlobName, BlobState)>, BlobError> {
    let after = after.map(names::pieces);
    let mut walk = Walk {
        found: Vec::new(),
        pieces: Vec::new(),
        max,
    };
    let Some(device) = device else {
        walk.folder(folder, Part::Device, after.as_deref())?;
        return Ok(walk.found);
    };
    let own = names::device_pieces(device);
    let mut place = folder.to_owned();
    place.extend(&own);
    let rest = match after {
        Some(after) if after.starts_with(&own) => Some(after[own.len()..].to_vec()),
        Some(after) if after > own => return Ok(Vec::new()),
        Some(_) | None => None,
    };
    walk.pieces = own;
    walk.folder(&place, Part::File, rest.as_deref())?;
    Ok(walk.found)
}

struct Walk {
    found: Vec<(BlobName, BlobState)>,
    pieces: Vec<String>,
    max: usize,
}

impl Walk {
    fn folder(
        &mut self,
        place: &Path,
        part: Part,
        after: Option<&[String]>,
    ) -> Result<(), BlobError> {
        for entry in entries(place)? {
            let rest = match after.and_then(<[String]>::split_first) {
                Some((first, _)) if entry < *first => continue,
                Some((first, rest)) if entry == *first => Some(rest),
                Some(_) | None => None,
            };
            if self.found.len() >= self.max {
                return Ok(());
            }
            let path = place.join(&entry);
            let is_file = part == Part::File && !names::has_more(&entry);
            let is_end_of_after = rest.is_some_and(<[String]>::is_empty);
            let below = if names::has_more(&entry) {
                part
            } else {
                Part::File
            };
            self.pieces.push(entry);
            if !is_file {
                self.folder(&path, below, rest)?;
            } else if !is_end_of_after {
                self.file(&path)?;
            }
            self.pieces.pop();
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) -> Result<(), BlobError> {
        let Some(name) = names::name_of(&self.pieces) else {
            return Ok(());
        };
        match fs::metadata(path) {
            Ok(metadata) => self.found.push((name, state_of(&metadata)?)),
            // Deleted meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// The names in a folder, sorted; none when there is no folder.
fn entries(folder: &Path) -> Result<Vec<String>, BlobError> {
    let read = match fs::read_dir(folder) {
        Ok(read) => read,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error.into()),
    };
    let mut entries = Vec::new();
    for entry in read {
        if let Ok(name) = entry?.file_name().into_string() {
            entries.push(name);
        }
    }
    entries.sort_unstable();
    Ok(entries)
}
