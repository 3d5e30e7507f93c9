//! What must hold for any input: shared by the fuzz target and the replay of its corpus.

use std::borrow::Cow;

use hub_query::{Condition, Message, TwinParts, json_body};
use serde_json::{Map, Value as Json};

struct Sample {
    body: Option<Json>,
    members: Map<String, Json>,
}

impl Message for Sample {
    fn application(&self, name: &str) -> Option<Cow<'_, str>> {
        // Every name of one letter is a property with its own name as value, every other one has a number.
        match name.len() {
            1 => Some(Cow::Owned(name.to_owned())),
            2 => Some(Cow::Borrowed("-12.5e1")),
            _ => None,
        }
    }

    fn system(&self, name: &str) -> Option<Cow<'_, str>> {
        name.eq_ignore_ascii_case("contentType")
            .then_some(Cow::Borrowed("application/json"))
    }

    fn body(&self) -> Option<&Json> {
        self.body.as_ref()
    }

    fn twin(&self) -> Option<TwinParts<'_>> {
        Some(TwinParts {
            tags: &self.members,
            desired: &self.members,
            reported: &self.members,
        })
    }
}

/// The first line is a condition, the rest the body of a message.
///
/// # Panics
/// When a law is broken.
pub(crate) fn judge(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (condition, body) = text.split_once('\n').unwrap_or((&text, ""));
    let parsed = Condition::parse(condition);
    assert_eq!(parsed, Condition::parse(condition), "reading is a function");
    match parsed {
        Err(error) => {
            assert!(
                error.position <= condition.chars().count(),
                "the place is in the text: {error:?}"
            );
            assert!(!error.to_string().is_empty());
        }
        Ok(condition) => {
            let body = json_body(Some("application/json"), Some("utf-8"), body.as_bytes());
            let members = match &body {
                Some(Json::Object(members)) => members.clone(),
                _ => Map::new(),
            };
            let sample = Sample { body, members };
            let value = format!("{:?}", condition.value(&sample));
            assert_eq!(
                value,
                format!("{:?}", condition.value(&sample)),
                "deciding is a function"
            );
            assert_eq!(condition.holds(&sample), value == "Bool(true)");
        }
    }
}
