//! The query language of the hub, as far as it decides: expressions, their values, conditions of routes.
//!
//! Pure: text in, a checked [`Condition`] or an error with its place out; a condition and a message in, yes or no out.
//! The grammar is that of "Reference - IoT Hub query language" (expressions and conditions), the names are those of
//! "IoT Hub message routing query syntax". An expression knows nothing of messages: it asks a [`Scope`] for the values
//! of its paths, so that queries over twins can stand on the same parser and evaluator.
//!
//! Invariants: no input panics; parsing and evaluating take time and stack bounded by [`QUERY_BYTES_MAX`] and
//! [`DEPTH_MAX`]; a text that grows past [`TEXT_BYTES_MAX`] while it is computed is undefined.

mod error;
mod evaluate;
mod expression;
mod functions;
mod lex;
mod parse;
mod routing;
mod value;

pub use error::QueryError;
pub use evaluate::{Scope, evaluate};
pub use expression::{Expression, Path, Step};
pub use parse::parse;
pub use routing::{Condition, Message, Needs, TwinParts, json_body, twin_path, twin_text};
pub use value::Value;

/// Longest text of a query in bytes. Ours.
pub const QUERY_BYTES_MAX: usize = 8 * 1024;
/// Deepest nesting of parentheses, signs, negations and function calls. Ours.
pub const DEPTH_MAX: usize = 64;
/// Longest text that a function gives. Ours; no message is larger.
pub const TEXT_BYTES_MAX: usize = 256 * 1024;
