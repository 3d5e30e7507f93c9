//! Queries for enrollments.
//!
//! Clients send `*`, `SELECT *` and `SELECT * FROM enrollments`; the documents of the service say no more of its
//! language. A condition on the members of the documents is taken besides, as the hub's own query language writes it.

mod condition;

use serde_json::Value;

use super::super::read::{InputError, Members, object_body};
use super::enrollment::{CERTIFICATE_POLICY, CREDENTIAL_POLICY};
use condition::Condition;

/// Longest query in bytes.
const QUERY_BYTES_MAX: usize = 4096;

/// The members that a condition may begin with: those of the answered documents, in the words of all versions. The
/// registration is read only of what was found.
const MEMBERS: [&str; 14] = [
    "allocationPolicy",
    "attestation",
    "capabilities",
    "createdDateTimeUtc",
    CERTIFICATE_POLICY,
    CREDENTIAL_POLICY,
    "customAllocationDefinition",
    "etag",
    "initialTwin",
    "iotHubHostName",
    "iotHubs",
    "lastUpdatedDateTimeUtc",
    "provisioningStatus",
    "reprovisionPolicy",
];

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collection {
    /// Individual enrollments.
    Enrollments,
    /// Groups.
    EnrollmentGroups,
}

impl Collection {
    /// What a query calls it, and how clients misname it: several samples ask for groups `FROM enrollments`.
    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Enrollments => &["enrollments"],
            Self::EnrollmentGroups => &["enrollmentGroups", "enrollments"],
        }
    }

    /// Whether the documents have a member of that name.
    fn has_member(self, name: &str) -> bool {
        let own: &[&str] = match self {
            Self::Enrollments => &["registrationId", "deviceId", "optionalDeviceInformation"],
            Self::EnrollmentGroups => &["enrollmentGroupId"],
        };
        own.contains(&name) || MEMBERS.contains(&name)
    }

    /// The value of the header `x-ms-item-type`.
    pub const fn item_type(self) -> &'static str {
        match self {
            Self::Enrollments => "enrollment",
            Self::EnrollmentGroups => "enrollmentGroup",
        }
    }
}

/// Why a query is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// It does not begin as queries do.
    #[error("the query must be SELECT * FROM {collection}, with or without WHERE")]
    NotSelect {
        /// What it is asked of.
        collection: &'static str,
    },
    /// Its condition cannot be read.
    #[error("the query's condition: {problem}")]
    Condition {
        /// What is wrong.
        problem: String,
    },
    /// It is too long.
    #[error("the query has more than {max} bytes")]
    TooLong {
        /// The most.
        max: usize,
    },
}

/// A query: which documents are wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct EnrollmentQuery {
    condition: Option<Condition>,
}

impl EnrollmentQuery {
    /// Reads the body `{"query": "…"}`.
    ///
    /// # Errors
    /// When it is no such body, or no query.
    pub fn parse(body: &[u8], collection: Collection) -> Result<Self, InputError> {
        let map = object_body(body)?;
        let text = Members::of_body(&map)
            .text("query")?
            .ok_or_else(|| InputError::Missing {
                path: "query".to_owned(),
            })?;
        Self::parse_text(text, collection).map_err(|error| InputError::invalid("query", error))
    }

    /// Reads a query.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn parse_text(text: &str, collection: Collection) -> Result<Self, QueryError> {
        if text.len() > QUERY_BYTES_MAX {
            return Err(QueryError::TooLong {
                max: QUERY_BYTES_MAX,
            });
        }
        let not_select = || QueryError::NotSelect {
            collection: collection.names()[0],
        };
        let text = text.trim().trim_end_matches(';').trim_end();
        let rest = match word(text, "select") {
            Some(rest) => rest,
            None => text,
        };
        let rest = rest.strip_prefix('*').ok_or_else(not_select)?.trim_start();
        let rest = match word(rest, "from") {
            None => rest,
            Some(rest) => collection
                .names()
                .iter()
                .find_map(|name| word(rest, name))
                .ok_or_else(not_select)?,
        };
        if rest.is_empty() {
            return Ok(Self { condition: None });
        }
        let condition = word(rest, "where").ok_or_else(not_select)?;
        Condition::parse(condition, collection)
            .map(|condition| Self {
                condition: Some(condition),
            })
            .map_err(|problem| QueryError::Condition { problem })
    }

    /// True when every document is wanted.
    pub const fn is_all(&self) -> bool {
        self.condition.is_none()
    }

    /// True when the document is wanted.
    pub fn wants(&self, document: &Value) -> bool {
        self.condition
            .as_ref()
            .is_none_or(|condition| condition.holds(document))
    }
}

/// What follows the word at the beginning of the text, compared without case.
fn word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(word.len())?;
    let ends = !rest
        .chars()
        .next()
        .is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    (head.eq_ignore_ascii_case(word) && ends).then(|| rest.trim_start())
}
