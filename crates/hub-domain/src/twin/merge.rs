//! The merge law: null removes, objects merge member by member, everything else replaces.

use serde_json::{Map, Value};

/// Merges `patch` into `document`.
///
/// Arrays are whole values, with whatever nulls and objects they hold. An object takes the place of a
/// value that is none, and nulls within it vanish.
pub(super) fn merge(document: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, change) in patch {
        match change {
            Value::Null => {
                document.remove(key);
            }
            Value::Object(members) => merge_object(document, key, members),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                document.insert(key.clone(), change.clone());
            }
        }
    }
}

fn merge_object(document: &mut Map<String, Value>, key: &str, members: &Map<String, Value>) {
    if let Some(Value::Object(object)) = document.get_mut(key) {
        return merge(object, members);
    }
    let mut object = Map::new();
    merge(&mut object, members);
    document.insert(key.to_owned(), Value::Object(object));
}
