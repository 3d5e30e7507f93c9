//! Conditions of routes: what their paths mean ("IoT Hub message routing query syntax").

use std::borrow::Cow;

use serde_json::{Map, Value as Json};

use crate::error::QueryError;
use crate::evaluate::{Scope, evaluate};
use crate::expression::{Constant, Expression, Path, PathKind, Step};
use crate::parse::parse;
use crate::value::Value;

/// The condition of a route, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    expression: Expression,
    needs: Needs,
}

/// What of a message a condition looks at besides its properties.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The properties, either kind.
    pub properties: bool,
    /// The body, as JSON.
    pub body: bool,
    /// The twin of its sender.
    pub twin: bool,
}

impl Needs {
    /// What either needs.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self {
            properties: self.properties || other.properties,
            body: self.body || other.body,
            twin: self.twin || other.twin,
        }
    }
}

/// A message as conditions see it.
pub trait Message {
    /// An application property, by name without regard to case.
    fn application(&self, name: &str) -> Option<Cow<'_, str>>;
    /// A system property by its name in routing (`contentType`), without regard to case.
    fn system(&self, name: &str) -> Option<Cow<'_, str>>;
    /// The body when it is JSON and said to be ([`json_body`]). Asked for only when a condition needs it.
    fn body(&self) -> Option<&Json>;
    /// The twin of the sender. Asked for only when a condition needs it.
    fn twin(&self) -> Option<TwinParts<'_>>;
}

/// A twin as conditions see it.
#[derive(Clone, Copy, Debug)]
pub struct TwinParts<'a> {
    /// Its tags.
    pub tags: &'a Map<String, Json>,
    /// Its desired properties.
    pub desired: &'a Map<String, Json>,
    /// Its reported properties.
    pub reported: &'a Map<String, Json>,
}

impl Condition {
    /// The condition that everything meets.
    pub const ALWAYS: Self = Self {
        expression: Expression::Constant(Constant::Bool(true)),
        needs: Needs {
            properties: false,
            body: false,
            twin: false,
        },
    };

    /// Reads a condition. An empty one is always met.
    ///
    /// # Errors
    /// When the text is none, with the place and a hint.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        if text.trim().is_empty() {
            return Ok(Self::ALWAYS);
        }
        let expression = parse(text)?;
        let mut needs = Needs::default();
        let mut error = None;
        expression.paths(&mut |path| match check(path) {
            Ok(more) => needs = needs.or(more),
            Err(wrong) => error = error.take().or(Some(wrong)),
        });
        match error {
            Some(error) => Err(error),
            None => Ok(Self { expression, needs }),
        }
    }

    /// What it looks at.
    pub const fn needs(&self) -> Needs {
        self.needs
    }

    /// True when everything meets it.
    pub fn is_always(&self) -> bool {
        self.expression == Expression::Constant(Constant::Bool(true))
    }

    /// The value of the condition for a message; only the truth value true meets it.
    pub fn value<'a>(&'a self, message: &'a impl Message) -> Value<'a> {
        // A value of the message lives no longer than the scope, and conditions come to values of their own.
        match evaluate(&self.expression, &Of(message)) {
            Value::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Value::Undefined => Value::Undefined,
            Value::Null => Value::Null,
            Value::Bool(truth) => Value::Bool(truth),
            Value::Number(number) => Value::Number(number),
            Value::Array => Value::Array,
            Value::Object => Value::Object,
        }
    }

    /// True when the message meets the condition.
    pub fn holds(&self, message: &impl Message) -> bool {
        evaluate(&self.expression, &Of(message)).is_true()
    }
}

struct Of<'m, M>(&'m M);

impl<M: Message> Scope for Of<'_, M> {
    fn value<'a>(&'a self, path: &'a Path) -> Value<'a> {
        let message = self.0;
        match root(path) {
            // The body as a whole is no property of it.
            Root::Body if !matches!(path.steps.first(), Some(Step::Member(_))) => Value::Undefined,
            Root::Body => message
                .body()
                .map_or(Value::Undefined, |body| json_at(body, &path.steps)),
            Root::Twin => message
                .twin()
                .map_or(Value::Undefined, |twin| twin_at(twin, &path.steps)),
            Root::System => {
                let name = flat_name(path);
                text(
                    message
                        .system(&name)
                        .or_else(|| message.application(&format!("${name}"))),
                )
            }
            Root::Application => text(message.application(&flat_name(path))),
        }
    }
}

fn text(value: Option<Cow<'_, str>>) -> Value<'_> {
    value.map_or(Value::Undefined, Value::Text)
}

enum Root {
    Body,
    Twin,
    System,
    Application,
}

fn root(path: &Path) -> Root {
    match path.kind {
        PathKind::Plain => Root::Application,
        PathKind::Dollar if path.head.eq_ignore_ascii_case("body") => Root::Body,
        PathKind::Dollar if path.head.eq_ignore_ascii_case("twin") => Root::Twin,
        PathKind::Dollar => Root::System,
    }
}

/// Properties are flat: dots are part of their names.
fn flat_name(path: &Path) -> Cow<'_, str> {
    if path.steps.is_empty() {
        return Cow::Borrowed(&path.head);
    }
    let mut name = path.head.clone();
    for step in &path.steps {
        if let Step::Member(member) = step {
            name.push('.');
            name.push_str(member);
        }
    }
    Cow::Owned(name)
}

fn check(path: &Path) -> Result<Needs, QueryError> {
    let needs = Needs::default();
    match root(path) {
        Root::Body => Ok(Needs {
            body: true,
            ..needs
        }),
        Root::Twin => {
            check_twin_steps(path)?;
            Ok(Needs {
                twin: true,
                ..needs
            })
        }
        Root::System | Root::Application => {
            if path
                .steps
                .iter()
                .any(|step| matches!(step, Step::Element(_)))
            {
                return Err(QueryError::new(
                    path.position,
                    "a property is a text and has no elements",
                )
                .with_hint("elements of the body are read as $body.list[0]"));
            }
            Ok(Needs {
                properties: true,
                ..needs
            })
        }
    }
}

fn check_twin_steps(path: &Path) -> Result<(), QueryError> {
    let is_named = |n: usize, name: &str| matches!(path.steps.get(n), Some(Step::Member(member)) if member.eq_ignore_ascii_case(name));
    let is_known = is_named(0, "tags")
        || is_named(0, "properties") && (is_named(1, "desired") || is_named(1, "reported"));
    if is_known {
        return Ok(());
    }
    Err(
        QueryError::new(path.position, "this part of a twin cannot be asked for").with_hint(
            "write $twin.tags.x, $twin.properties.desired.x or $twin.properties.reported.x",
        ),
    )
}

/// The value below `json`. Names are found as they are written, else without regard to case.
fn json_at<'a>(json: &'a Json, steps: &[Step]) -> Value<'a> {
    let mut at = json;
    for step in steps {
        let next = match (step, at) {
            (Step::Member(name), Json::Object(members)) => member(members, name),
            (Step::Element(index), Json::Array(elements)) => elements.get(*index),
            _ => None,
        };
        match next {
            Some(next) => at = next,
            None => return Value::Undefined,
        }
    }
    Value::of(at)
}

fn member<'a>(members: &'a Map<String, Json>, name: &str) -> Option<&'a Json> {
    members.get(name).or_else(|| {
        members
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    })
}

fn twin_at<'a>(twin: TwinParts<'a>, steps: &[Step]) -> Value<'a> {
    let Some((section, rest)) = section_of(twin, steps) else {
        return Value::Undefined;
    };
    match rest {
        [] => Value::Object,
        [Step::Member(name), rest @ ..] => {
            member(section, name).map_or(Value::Undefined, |json| json_at(json, rest))
        }
        [Step::Element(_), ..] => Value::Undefined,
    }
}

fn section_of<'a, 's>(
    twin: TwinParts<'a>,
    steps: &'s [Step],
) -> Option<(&'a Map<String, Json>, &'s [Step])> {
    let (Step::Member(first), rest) = steps.split_first()? else {
        return None;
    };
    if first.eq_ignore_ascii_case("tags") {
        return Some((twin.tags, rest));
    }
    let (Step::Member(second), rest) = rest.split_first()? else {
        return None;
    };
    let section = if second.eq_ignore_ascii_case("desired") {
        twin.desired
    } else {
        twin.reported
    };
    first
        .eq_ignore_ascii_case("properties")
        .then_some((section, rest))
}

/// The path of a text such as `$twin.tags.site`, for enrichments; `None` when it is no path into a twin.
///
/// # Errors
/// When it begins with `$twin` and is no path, with the place.
pub fn twin_path(text: &str) -> Result<Option<Path>, QueryError> {
    let is_twin = text
        .get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case("$twin"));
    if !is_twin {
        return Ok(None);
    }
    match parse(text)? {
        Expression::Path(path) if matches!(root(&path), Root::Twin) => {
            check_twin_steps(&path)?;
            Ok(Some(path))
        }
        _ => {
            Err(QueryError::new(0, "the value is no path of a twin")
                .with_hint("write $twin.tags.x"))
        }
    }
}

/// What stands in a twin at a path of [`twin_path`], as text: a text as it is, anything else as JSON. `None` when there
/// is nothing.
pub fn twin_text(twin: TwinParts<'_>, path: &Path) -> Option<String> {
    let (section, rest) = section_of(twin, &path.steps)?;
    let Some((Step::Member(name), rest)) = rest.split_first() else {
        return rest
            .is_empty()
            .then(|| Json::Object(section.clone()).to_string());
    };
    let mut at = member(section, name)?;
    for step in rest {
        at = match (step, at) {
            (Step::Member(name), Json::Object(members)) => member(members, name)?,
            (Step::Element(index), Json::Array(elements)) => elements.get(*index)?,
            _ => return None,
        };
    }
    Some(match at {
        Json::String(text) => text.clone(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => {
            at.to_string()
        }
    })
}

/// The body of a message as JSON, when its content type is `application/json` and its encoding one of UTF-8, UTF-16
/// and UTF-32, which conditions on the body ask for.
pub fn json_body(
    content_type: Option<&str>,
    content_encoding: Option<&str>,
    body: &[u8],
) -> Option<Json> {
    let kind = content_type?.split(';').next().unwrap_or_default();
    if !kind.trim().eq_ignore_ascii_case("application/json") {
        return None;
    }
    let encoding = content_encoding?.trim().to_ascii_lowercase();
    match encoding.as_str() {
        "utf-8" | "utf8" => {
            serde_json::from_slice(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)).ok()
        }
        "utf-16" | "utf16" => serde_json::from_str(&utf_16(body)?).ok(),
        "utf-32" | "utf32" => serde_json::from_str(&utf_32(body)?).ok(),
        _ => None,
    }
}

/// Little-endian unless a byte order mark says otherwise, which is what the vendor's platform writes.
fn utf_16(body: &[u8]) -> Option<String> {
    let (body, read): (_, fn([u8; 2]) -> u16) = match body {
        [0xfe, 0xff, rest @ ..] => (rest, u16::from_be_bytes),
        [0xff, 0xfe, rest @ ..] => (rest, u16::from_le_bytes),
        _ => (body, u16::from_le_bytes),
    };
    let (units, []) = body.as_chunks::<2>() else {
        return None;
    };
    char::decode_utf16(units.iter().map(|unit| read(*unit)))
        .collect::<Result<_, _>>()
        .ok()
}

fn utf_32(body: &[u8]) -> Option<String> {
    let (body, read): (_, fn([u8; 4]) -> u32) = match body {
        [0, 0, 0xfe, 0xff, rest @ ..] => (rest, u32::from_be_bytes),
        [0xff, 0xfe, 0, 0, rest @ ..] => (rest, u32::from_le_bytes),
        _ => (body, u32::from_le_bytes),
    };
    let (units, []) = body.as_chunks::<4>() else {
        return None;
    };
    units
        .iter()
        .map(|unit| char::from_u32(read(*unit)))
        .collect()
}
