mod laws;
mod limits;
mod metadata;
mod writes;

use serde_json::{Map, Value};

use super::*;
use crate::Timestamp;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        other => panic!("{other} is no object"),
    }
}

fn section_text(section: &Section) -> String {
    serde_json::to_string(&SectionView::with_metadata(section)).unwrap()
}
