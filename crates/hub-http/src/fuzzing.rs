//! What must hold for any input, for the fuzz targets (feature `fuzzing`) and the tests that replay their corpora.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hub_domain::limits::UPLOAD_BLOCKS_MAX;

use crate::files::block_list;

/// Reads a block list, and panics when what was read does not hold together.
pub fn judge_block_list(body: &[u8]) {
    let Ok(blocks) = block_list::parse(body) else {
        return;
    };
    assert!(blocks.len() <= UPLOAD_BLOCKS_MAX);
    let latest = blocks.iter().map(|block| {
        let id = STANDARD.encode(block.as_bytes());
        format!("<Latest>{id}</Latest>")
    });
    let text = format!("<BlockList>{}</BlockList>", latest.collect::<String>());
    assert!(
        block_list::parse(text.as_bytes()).is_ok_and(|again| again == blocks),
        "a list is read as it is written"
    );
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    #[test]
    fn every_file_of_the_corpus_is_judged_without_panic() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/block_list");
        let mut count = 0;
        for entry in fs::read_dir(&corpus).expect("the corpus is part of the repository") {
            let path = entry.expect("readable folder").path();
            super::judge_block_list(&fs::read(&path).expect("readable file"));
            count += 1;
        }
        assert!(count >= 100, "{count} files in {}", corpus.display());
    }
}
