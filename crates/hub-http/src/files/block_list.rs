//! The body of `Put Block List`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hub_domain::limits::UPLOAD_BLOCKS_MAX;
use hub_engine::BlockId;
use quick_xml::Reader;
use quick_xml::events::Event;

use super::refusal::{StorageCode, StorageRefusal};

/// The ids of the list in their order.
///
/// Blocks are looked for among those that were sent since the file was last written; `Committed`, which asks for blocks
/// of the file that is there, finds none.
///
/// # Errors
/// When it is no such list, or has more than 50,000 blocks.
pub(crate) fn parse(body: &[u8]) -> Result<Vec<BlockId>, StorageRefusal> {
    let invalid = || StorageRefusal::of(StorageCode::InvalidXmlDocument);
    let text = std::str::from_utf8(body).map_err(|_| invalid())?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut blocks = Vec::new();
    let mut depth = 0_u32;
    let mut roots = 0_u32;
    let mut id = String::new();
    loop {
        match reader.read_event().map_err(|_| invalid())? {
            Event::Start(start) => {
                roots += u32::from(depth == 0);
                depth += 1;
                check_name(depth, start.local_name().as_ref())?;
                id.clear();
            }
            Event::Text(text) if depth == 2 => {
                id.push_str(text.decode().map_err(|_| invalid())?.trim());
            }
            Event::Text(text) => {
                if !text.decode().map_err(|_| invalid())?.trim().is_empty() {
                    return Err(invalid());
                }
            }
            Event::End(_) => {
                if depth == 2 {
                    blocks.push(block(&id)?);
                    check_count(blocks.len())?;
                }
                depth = depth.checked_sub(1).ok_or_else(invalid)?;
            }
            // An empty list is an empty file.
            Event::Empty(empty) if depth == 0 => {
                roots += 1;
                check_name(1, empty.local_name().as_ref())?;
            }
            Event::Decl(_) | Event::Comment(_) => {}
            Event::Eof if depth == 0 && roots == 1 => return Ok(blocks),
            Event::Empty(_)
            | Event::CData(_)
            | Event::PI(_)
            | Event::DocType(_)
            | Event::GeneralRef(_)
            | Event::Eof => return Err(invalid()),
        }
    }
}

fn check_name(depth: u32, name: &[u8]) -> Result<(), StorageRefusal> {
    match (depth, name) {
        (1, b"BlockList") | (2, b"Latest" | b"Uncommitted") => Ok(()),
        (2, b"Committed") => Err(StorageRefusal::of(StorageCode::InvalidBlockList)),
        _ => Err(StorageRefusal::of(StorageCode::InvalidXmlDocument)),
    }
}

fn check_count(count: usize) -> Result<(), StorageRefusal> {
    if count <= UPLOAD_BLOCKS_MAX {
        return Ok(());
    }
    Err(StorageRefusal::of(StorageCode::BlockListTooLong))
}

fn block(text: &str) -> Result<BlockId, StorageRefusal> {
    STANDARD
        .decode(text)
        .ok()
        .and_then(|bytes| BlockId::from_bytes(&bytes))
        .ok_or_else(|| StorageRefusal::of(StorageCode::InvalidBlockList))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        match parse(text.as_bytes()) {
            Ok(blocks) => {
                let texts: Vec<_> = blocks
                    .iter()
                    .map(|block| String::from_utf8_lossy(block.as_bytes()).into_owned())
                    .collect();
                texts.join(" ")
            }
            Err(refusal) => refusal.code().name().to_owned(),
        }
    }

    #[test]
    fn lists_of_the_clients_are_read_in_their_order() {
        let javascript = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?><BlockList><Latest>Yg==</Latest><Latest>YQ==</Latest></BlockList>"#;
        assert_eq!(read(javascript), "b a");
        let c = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<BlockList>\n  <Uncommitted>YQ==</Uncommitted>\n  <Latest>YQ==</Latest>\n</BlockList>\n";
        assert_eq!(read(c), "a a");
        assert_eq!(read("<BlockList/>"), "");
        assert_eq!(read("<BlockList></BlockList>"), "");
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in [
            "",
            "x",
            "<BlockList>",
            "</BlockList>",
            "<Other/>",
            "<BlockList/><BlockList/>",
            "<BlockList><Latest><Latest>YQ==</Latest></Latest></BlockList>",
            "<BlockList>YQ==</BlockList>",
            "<BlockList><Other>YQ==</Other></BlockList>",
            "<!DOCTYPE a [<!ENTITY b \"c\">]><BlockList><Latest>&b;</Latest></BlockList>",
            "\u{0}",
        ] {
            let code = read(text);
            assert!(
                code == "InvalidXmlDocument" || text.is_empty(),
                "{text}: {code}"
            );
        }
        for id in ["", "%", "!!!!"] {
            let list = format!("<BlockList><Latest>{id}</Latest></BlockList>");
            assert_eq!(read(&list), "InvalidBlockList", "{id}");
        }
        let committed = "<BlockList><Committed>YQ==</Committed></BlockList>";
        assert_eq!(read(committed), "InvalidBlockList");
        let many = "<Latest>YQ==</Latest>".repeat(UPLOAD_BLOCKS_MAX + 1);
        assert_eq!(
            read(&format!("<BlockList>{many}</BlockList>")),
            "BlockListTooLong"
        );
    }
}
