//! Bulk operations on enrollments.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::enrollment::{EnrollmentGroupInput, EnrollmentInput, etag};
use crate::compat::read::{InputError, JsonType, Members, object_body, wrong_type};

/// Most enrollments of a bulk operation ("Bulk device enrollment operation with maximum of 10 enrollments").
const BULK_ITEMS_MAX: usize = 10;

/// What a bulk operation does with each enrollment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkMode {
    /// Creates it; it must not be there.
    Create,
    /// Replaces it, whatever is there.
    Update,
    /// Replaces it while it has the etag of the document.
    UpdateIfMatch,
    /// Deletes it.
    Delete,
}

impl BulkMode {
    fn parse(text: &str) -> Option<Self> {
        let modes = [
            ("create", Self::Create),
            ("update", Self::Update),
            // SDKs spell it in both ways, and services read it without case.
            ("updateIfMatchETag", Self::UpdateIfMatch),
            ("delete", Self::Delete),
        ];
        let mut modes = modes.into_iter();
        modes.find_map(|(name, mode)| name.eq_ignore_ascii_case(text).then_some(mode))
    }
}

/// A bulk operation.
pub struct BulkInput<T> {
    /// What is done.
    pub mode: BulkMode,
    /// With which enrollments, 1 to 10.
    pub items: Vec<BulkItem<T>>,
}

/// One enrollment of a bulk operation.
pub struct BulkItem<T> {
    /// Its id, not yet checked.
    pub id: String,
    /// The etag in its document, unquoted.
    pub etag: Option<String>,
    /// The rest; what is wrong with it is an error of this one alone. A deletion needs none.
    pub document: Result<Option<T>, InputError>,
}

impl BulkInput<EnrollmentInput> {
    /// Reads a bulk operation on individual enrollments.
    ///
    /// # Errors
    /// When it is no JSON object, or its form is wrong.
    pub fn parse(body: &[u8]) -> Result<Self, InputError> {
        parse(body, "enrollments", "registrationId", EnrollmentInput::read)
    }
}

impl BulkInput<EnrollmentGroupInput> {
    /// Reads a bulk operation on groups.
    ///
    /// # Errors
    /// When it is no JSON object, or its form is wrong.
    pub fn parse(body: &[u8]) -> Result<Self, InputError> {
        parse(
            body,
            "enrollmentGroups",
            "enrollmentGroupId",
            EnrollmentGroupInput::read,
        )
    }
}

fn parse<T>(
    body: &[u8],
    list: &str,
    id_name: &str,
    read: impl Fn(&Members<'_>) -> Result<T, InputError>,
) -> Result<BulkInput<T>, InputError> {
    let map = object_body(body)?;
    let members = Members::of_body(&map);
    let mode = members.text("mode")?.ok_or_else(|| InputError::Missing {
        path: "mode".to_owned(),
    })?;
    let mode = BulkMode::parse(mode).ok_or_else(|| {
        InputError::invalid(
            "mode",
            "it must be create, update, updateIfMatchETag or delete",
        )
    })?;
    let elements = match map.get(list) {
        Some(Value::Array(elements)) => elements,
        None | Some(Value::Null) => {
            return Err(InputError::Missing {
                path: list.to_owned(),
            });
        }
        Some(other) => return Err(wrong_type(list.to_owned(), JsonType::Array, other)),
    };
    if elements.is_empty() || elements.len() > BULK_ITEMS_MAX {
        let reason = format!("it must have 1 to {BULK_ITEMS_MAX} elements");
        return Err(InputError::invalid(list, reason));
    }
    let item = |(at, element): (usize, &Value)| {
        let path = format!("{list}[{at}]");
        let Value::Object(map) = element else {
            return Err(wrong_type(path, JsonType::Object, element));
        };
        let members = Members::at(path, map);
        let id = members.text(id_name)?.ok_or_else(|| InputError::Missing {
            path: members.path_of(id_name),
        })?;
        let document = match mode {
            BulkMode::Delete => Ok(None),
            BulkMode::Create | BulkMode::Update | BulkMode::UpdateIfMatch => {
                read(&members).map(Some)
            }
        };
        Ok(BulkItem {
            id: id.to_owned(),
            etag: etag(&members)?,
            document,
        })
    };
    let items = elements
        .iter()
        .enumerate()
        .map(item)
        .collect::<Result<_, _>>()?;
    Ok(BulkInput { mode, items })
}

/// Why one enrollment of a bulk operation was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BulkProblem {
    /// Which.
    pub id: String,
    /// The six-digit code.
    pub code: u32,
    /// Why, for people.
    pub text: String,
}

/// The answer to a bulk operation; `id_name` is what the documents call an id.
pub fn bulk_result(id_name: &str, problems: &[BulkProblem]) -> Value {
    let errors: Vec<Value> = problems
        .iter()
        .map(|problem| {
            let mut error = Map::new();
            error.insert(id_name.to_owned(), problem.id.clone().into());
            error.insert("errorCode".to_owned(), problem.code.into());
            error.insert("errorStatus".to_owned(), problem.text.clone().into());
            Value::Object(error)
        })
        .collect();
    json!({ "isSuccessful": errors.is_empty(), "errors": errors })
}
