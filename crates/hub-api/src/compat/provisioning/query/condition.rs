//! Conditions: comparisons of members with constants, joined by AND, OR and NOT.

use std::cmp::Ordering;

use serde_json::Value;

use super::Collection;

/// Deepest nesting of a condition.
const DEPTH_MAX: usize = 16;

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Not(Box<Self>),
    Compare {
        path: Vec<String>,
        with: Comparison,
        value: Value,
    },
    In {
        path: Vec<String>,
        values: Vec<Value>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Condition {
    /// Reads a condition on the documents of a collection.
    pub(super) fn parse(text: &str, collection: Collection) -> Result<Self, String> {
        let mut parser = Parser {
            tokens: tokens(text)?,
            at: 0,
            collection,
        };
        let condition = parser.or(0)?;
        match parser.next() {
            None => Ok(condition),
            Some(token) => Err(format!("{} is not expected", token.shown())),
        }
    }

    pub(super) fn holds(&self, document: &Value) -> bool {
        match self {
            Self::And(left, right) => left.holds(document) && right.holds(document),
            Self::Or(left, right) => left.holds(document) || right.holds(document),
            Self::Not(inner) => !inner.holds(document),
            Self::Compare { path, with, value } => {
                let Some(found) = member(document, path) else {
                    return *with == Comparison::NotEqual;
                };
                let order = order(path, found, value);
                match with {
                    Comparison::Equal => order == Some(Ordering::Equal),
                    Comparison::NotEqual => order != Some(Ordering::Equal),
                    Comparison::Less => order == Some(Ordering::Less),
                    Comparison::LessOrEqual => {
                        matches!(order, Some(Ordering::Less | Ordering::Equal))
                    }
                    Comparison::Greater => order == Some(Ordering::Greater),
                    Comparison::GreaterOrEqual => {
                        matches!(order, Some(Ordering::Greater | Ordering::Equal))
                    }
                }
            }
            Self::In { path, values } => member(document, path).is_some_and(|found| {
                values
                    .iter()
                    .any(|value| order(path, found, value) == Some(Ordering::Equal))
            }),
        }
    }
}

fn member<'a>(document: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter()
        .try_fold(document, |value, name| value.get(name))
}

/// Values of different types have no order. Ids compare without case.
fn order(path: &[String], found: &Value, wanted: &Value) -> Option<Ordering> {
    match (found, wanted) {
        (Value::String(found), Value::String(wanted)) => {
            let is_id = matches!(
                path.last().map(String::as_str),
                Some("registrationId" | "enrollmentGroupId" | "iotHubHostName" | "assignedHub")
            );
            Some(if is_id {
                found.to_ascii_lowercase().cmp(&wanted.to_ascii_lowercase())
            } else {
                found.cmp(wanted)
            })
        }
        (Value::Number(found), Value::Number(wanted)) => {
            found.as_f64()?.partial_cmp(&wanted.as_f64()?)
        }
        (Value::Bool(found), Value::Bool(wanted)) => Some(found.cmp(wanted)),
        (Value::Null, Value::Null) => Some(Ordering::Equal),
        _ => None,
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Number(Value),
    Sign(&'static str),
}

impl Token {
    fn shown(&self) -> String {
        match self {
            Self::Word(word) => word.clone(),
            Self::Text(_) => "a text".to_owned(),
            Self::Number(number) => number.to_string(),
            Self::Sign(sign) => (*sign).to_owned(),
        }
    }
}

const SIGNS: [&str; 12] = [
    "<=", ">=", "!=", "<>", "==", "=", "<", ">", "(", ")", "[", "]",
];

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, next) = if first == '\'' || first == '"' {
            quoted(rest, first)?
        } else if first == ',' {
            (Token::Sign(","), &rest[1..])
        } else if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            (Token::Sign(sign), &rest[sign.len()..])
        } else {
            plain(rest)?
        };
        tokens.push(token);
        rest = next.trim_start();
    }
    Ok(tokens)
}

/// A text between quotes; a quote within it is doubled.
fn quoted(text: &str, quote: char) -> Result<(Token, &str), String> {
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if character != quote {
            value.push(character);
        } else if characters.next_if(|(_, next)| *next == quote).is_some() {
            value.push(quote);
        } else {
            return Ok((Token::Text(value), &text[at + 1..]));
        }
    }
    Err("a quote is not closed".to_owned())
}

fn plain(text: &str) -> Result<(Token, &str), String> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '$' | '-' | '+');
    let end = text.find(|c: char| !is_part(c)).unwrap_or(text.len());
    if end == 0 {
        let character = text.chars().next().unwrap_or(' ');
        return Err(format!("{character:?} is not expected"));
    }
    let (word, rest) = text.split_at(end);
    let begins_number = word.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+');
    if !begins_number {
        return Ok((Token::Word(word.to_owned()), rest));
    }
    match serde_json::from_str::<Value>(word) {
        Ok(number @ Value::Number(_)) => Ok((Token::Number(number), rest)),
        Ok(_) | Err(_) => Err(format!("{word} is no number")),
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    collection: Collection,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let is_next =
            matches!(self.peek(), Some(Token::Word(next)) if next.eq_ignore_ascii_case(word));
        self.at += usize::from(is_next);
        is_next
    }

    fn takes_sign(&mut self, sign: &str) -> bool {
        let is_next = matches!(self.peek(), Some(Token::Sign(next)) if *next == sign);
        self.at += usize::from(is_next);
        is_next
    }

    fn or(&mut self, depth: usize) -> Result<Condition, String> {
        let mut left = self.and(depth)?;
        while self.takes_word("or") {
            left = Condition::Or(Box::new(left), Box::new(self.and(depth)?));
        }
        Ok(left)
    }

    fn and(&mut self, depth: usize) -> Result<Condition, String> {
        let mut left = self.one(depth)?;
        while self.takes_word("and") {
            left = Condition::And(Box::new(left), Box::new(self.one(depth)?));
        }
        Ok(left)
    }

    fn one(&mut self, depth: usize) -> Result<Condition, String> {
        if depth == DEPTH_MAX {
            return Err(format!("it is nested deeper than {DEPTH_MAX}"));
        }
        if self.takes_word("not") {
            return Ok(Condition::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.takes_sign("(") {
            let inner = self.or(depth + 1)?;
            if !self.takes_sign(")") {
                return Err("a ) is missing".to_owned());
            }
            return Ok(inner);
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Condition, String> {
        let path = match self.next() {
            Some(Token::Word(word)) => path(&word, self.collection)?,
            Some(token) => return Err(format!("{} is no member", token.shown())),
            None => return Err("it ends where a member is expected".to_owned()),
        };
        if self.takes_word("in") {
            return Ok(Condition::In {
                path,
                values: self.list()?,
            });
        }
        let with = match self.next() {
            Some(Token::Sign("=" | "==")) => Comparison::Equal,
            Some(Token::Sign("!=" | "<>")) => Comparison::NotEqual,
            Some(Token::Sign("<")) => Comparison::Less,
            Some(Token::Sign("<=")) => Comparison::LessOrEqual,
            Some(Token::Sign(">")) => Comparison::Greater,
            Some(Token::Sign(">=")) => Comparison::GreaterOrEqual,
            Some(token) => return Err(format!("{} is no comparison", token.shown())),
            None => return Err("it ends where a comparison is expected".to_owned()),
        };
        Ok(Condition::Compare {
            path,
            with,
            value: self.constant()?,
        })
    }

    fn list(&mut self) -> Result<Vec<Value>, String> {
        let close = if self.takes_sign("[") {
            "]"
        } else if self.takes_sign("(") {
            ")"
        } else {
            return Err("IN must be followed by a list in brackets".to_owned());
        };
        let mut values = vec![self.constant()?];
        while self.takes_sign(",") {
            values.push(self.constant()?);
        }
        if self.takes_sign(close) {
            Ok(values)
        } else {
            Err(format!("a {close} is missing"))
        }
    }

    fn constant(&mut self) -> Result<Value, String> {
        match self.next() {
            Some(Token::Text(text)) => Ok(Value::String(text)),
            Some(Token::Number(number)) => Ok(number),
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("true") => Ok(Value::Bool(true)),
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("false") => Ok(Value::Bool(false)),
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("null") => Ok(Value::Null),
            Some(token) => Err(format!("{} is no constant", token.shown())),
            None => Err("it ends where a constant is expected".to_owned()),
        }
    }
}

/// The names of a dotted path; the collection's own name may stand before it.
fn path(word: &str, collection: Collection) -> Result<Vec<String>, String> {
    let mut names: Vec<String> = word.split('.').map(str::to_owned).collect();
    if names.iter().any(String::is_empty) {
        return Err(format!("{word} is no member"));
    }
    let is_collection = ["enrollments", "enrollmentGroups"]
        .iter()
        .any(|name| name.eq_ignore_ascii_case(&names[0]));
    if is_collection && names.len() > 1 {
        names.remove(0);
    }
    if !collection.has_member(&names[0]) {
        return Err(format!(
            "{} is no member of these documents that can be asked for",
            names[0]
        ));
    }
    Ok(names)
}
