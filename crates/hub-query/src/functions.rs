//! The functions of the language ("Reference - IoT Hub query language", functions).

use std::borrow::Cow;
use std::ops::RangeInclusive;

use crate::TEXT_BYTES_MAX;
use crate::value::Value;

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    Abs,
    Exp,
    Power,
    Square,
    Ceiling,
    Floor,
    Sign,
    Sqrt,
    AsNumber,
    IsArray,
    IsBool,
    IsDefined,
    IsNull,
    IsNumber,
    IsObject,
    IsPrimitive,
    IsString,
    Concat,
    Length,
    Lower,
    Upper,
    Substring,
    IndexOf,
    StartsWith,
    EndsWith,
    Contains,
}

/// Spelling and number of arguments. The documentation of twin queries spells `STARTSWITH` and `ENDSWITH` too.
const TABLE: [(&str, Function, RangeInclusive<usize>); 28] = [
    ("ABS", Function::Abs, 1..=1),
    ("EXP", Function::Exp, 1..=1),
    ("POWER", Function::Power, 2..=2),
    ("SQUARE", Function::Square, 1..=1),
    ("CEILING", Function::Ceiling, 1..=1),
    ("FLOOR", Function::Floor, 1..=1),
    ("SIGN", Function::Sign, 1..=1),
    ("SQRT", Function::Sqrt, 1..=1),
    ("AS_NUMBER", Function::AsNumber, 1..=1),
    ("IS_ARRAY", Function::IsArray, 1..=1),
    ("IS_BOOL", Function::IsBool, 1..=1),
    ("IS_DEFINED", Function::IsDefined, 1..=1),
    ("IS_NULL", Function::IsNull, 1..=1),
    ("IS_NUMBER", Function::IsNumber, 1..=1),
    ("IS_OBJECT", Function::IsObject, 1..=1),
    ("IS_PRIMITIVE", Function::IsPrimitive, 1..=1),
    ("IS_STRING", Function::IsString, 1..=1),
    ("CONCAT", Function::Concat, 2..=usize::MAX),
    ("LENGTH", Function::Length, 1..=1),
    ("LOWER", Function::Lower, 1..=1),
    ("UPPER", Function::Upper, 1..=1),
    ("SUBSTRING", Function::Substring, 2..=3),
    ("INDEX_OF", Function::IndexOf, 2..=2),
    ("STARTS_WITH", Function::StartsWith, 2..=2),
    ("STARTSWITH", Function::StartsWith, 2..=2),
    ("ENDS_WITH", Function::EndsWith, 2..=2),
    ("ENDSWITH", Function::EndsWith, 2..=2),
    ("CONTAINS", Function::Contains, 2..=2),
];

impl Function {
    /// The function of that name, without regard to case, and how many arguments it takes.
    pub(crate) fn find(name: &str) -> Option<(Self, RangeInclusive<usize>)> {
        TABLE
            .iter()
            .find(|(spelling, _, _)| spelling.eq_ignore_ascii_case(name))
            .map(|(_, function, count)| (*function, count.clone()))
    }

    /// The value for these arguments, whose number was checked.
    pub(crate) fn apply<'a>(self, arguments: &[Value<'a>]) -> Value<'a> {
        let argument = |n: usize| arguments.get(n).unwrap_or(&Value::Undefined);
        let (first, second) = (argument(0), argument(1));
        match self {
            Self::Abs => math(first, f64::abs),
            Self::Exp => math(first, f64::exp),
            Self::Square => math(first, |x| x * x),
            Self::Ceiling => math(first, f64::ceil),
            Self::Floor => math(first, f64::floor),
            Self::Sign => math(first, |x| if x == 0.0 { 0.0 } else { x.signum() }),
            Self::Sqrt => math(first, f64::sqrt),
            Self::Power => match (first, second) {
                (Value::Number(x), Value::Number(y)) => Value::number(x.powf(*y)),
                _ => Value::Undefined,
            },
            Self::AsNumber => as_number(first),
            Self::IsArray => Value::Bool(matches!(first, Value::Array)),
            Self::IsBool => Value::Bool(matches!(first, Value::Bool(_))),
            Self::IsNull => Value::Bool(matches!(first, Value::Null)),
            Self::IsNumber => Value::Bool(matches!(first, Value::Number(_))),
            Self::IsObject => Value::Bool(matches!(first, Value::Object)),
            // Documented for routing conditions: only a primitive value counts as defined.
            Self::IsDefined | Self::IsPrimitive => Value::Bool(first.is_primitive()),
            Self::IsString => Value::Bool(matches!(first, Value::Text(_))),
            Self::Concat => concat(arguments),
            Self::Length => text(first, |x| count(x.chars().count())),
            Self::Lower => text(first, |x| Value::Text(Cow::Owned(x.to_lowercase()))),
            Self::Upper => text(first, |x| Value::Text(Cow::Owned(x.to_uppercase()))),
            Self::Substring => substring(first, second, arguments.get(2)),
            Self::IndexOf => texts(first, second, |x, y| {
                x.find(y)
                    .map_or(Value::Number(-1.0), |at| count(x[..at].chars().count()))
            }),
            Self::StartsWith => texts(first, second, |x, y| Value::Bool(x.starts_with(y))),
            Self::EndsWith => texts(first, second, |x, y| Value::Bool(x.ends_with(y))),
            Self::Contains => texts(first, second, |x, y| Value::Bool(x.contains(y))),
        }
    }
}

fn math<'a>(value: &Value<'a>, function: impl FnOnce(f64) -> f64) -> Value<'a> {
    match value {
        Value::Number(x) => Value::number(function(*x)),
        _ => Value::Undefined,
    }
}

fn text<'a>(value: &Value<'a>, function: impl FnOnce(&str) -> Value<'a>) -> Value<'a> {
    match value {
        Value::Text(x) => function(x),
        _ => Value::Undefined,
    }
}

fn texts<'a>(
    left: &Value<'a>,
    right: &Value<'a>,
    function: impl FnOnce(&str, &str) -> Value<'a>,
) -> Value<'a> {
    match (left, right) {
        (Value::Text(x), Value::Text(y)) => function(x, y),
        _ => Value::Undefined,
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "texts are far shorter than the numbers that floats cannot tell apart"
)]
const fn count<'a>(count: usize) -> Value<'a> {
    Value::Number(count as f64)
}

fn as_number<'a>(value: &Value<'a>) -> Value<'a> {
    match value {
        Value::Number(x) => Value::Number(*x),
        Value::Text(text) => {
            let is_decimal = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
            let text = text.trim();
            match text.parse() {
                Ok(number) if text.bytes().all(is_decimal) => Value::number(number),
                Ok(_) | Err(_) => Value::Undefined,
            }
        }
        Value::Undefined | Value::Null | Value::Bool(_) | Value::Array | Value::Object => {
            Value::Undefined
        }
    }
}

fn concat<'a>(arguments: &[Value<'a>]) -> Value<'a> {
    let mut all = String::new();
    for argument in arguments {
        match argument {
            Value::Text(text) if all.len() + text.len() <= TEXT_BYTES_MAX => all.push_str(text),
            _ => return Value::Undefined,
        }
    }
    Value::Text(Cow::Owned(all))
}

fn substring<'a>(whole: &Value<'a>, start: &Value<'a>, length: Option<&Value<'a>>) -> Value<'a> {
    let (Value::Text(whole), Some(start)) = (whole, index(start)) else {
        return Value::Undefined;
    };
    let rest = whole.chars().skip(start);
    match length.map(index) {
        None => Value::Text(Cow::Owned(rest.collect())),
        Some(Some(length)) => Value::Text(Cow::Owned(rest.take(length).collect())),
        Some(None) => Value::Undefined,
    }
}

/// A whole number from 0.
fn index(value: &Value<'_>) -> Option<usize> {
    match value {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be whole and small"
        )]
        Value::Number(x) if *x >= 0.0 && x.fract() == 0.0 && *x <= 1e9 => Some(*x as usize),
        _ => None,
    }
}
