//! From expression to value.
//!
//! Truth has three values: what is neither true nor false is undefined. A conjunction with a false part is false
//! and a disjunction with a true part is true, whatever else is undefined.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::expression::{Comparison, Constant, Expression, Membership, Operator, Path};
use crate::value::Value;

/// What paths mean.
pub trait Scope {
    /// The value at `path`.
    fn value<'a>(&'a self, path: &'a Path) -> Value<'a>;
}

/// The value of `expression` in `scope`.
pub fn evaluate<'a>(expression: &'a Expression, scope: &'a impl Scope) -> Value<'a> {
    match expression {
        Expression::Constant(constant) => value_of(constant),
        Expression::Path(path) => scope.value(path),
        Expression::Not(inner) => match evaluate(inner, scope) {
            Value::Bool(truth) => Value::Bool(!truth),
            _ => Value::Undefined,
        },
        Expression::Minus(inner) => match evaluate(inner, scope) {
            Value::Number(number) => Value::Number(-number),
            _ => Value::Undefined,
        },
        Expression::And(parts) => junction(parts, scope, false),
        Expression::Or(parts) => junction(parts, scope, true),
        Expression::Compare(left, comparison, right) => {
            let (left, right) = (evaluate(left, scope), evaluate(right, scope));
            left.compare(&right).map_or(Value::Undefined, |ordering| {
                Value::Bool(comparison.holds(ordering))
            })
        }
        Expression::In(left, constants, membership) => {
            let left = evaluate(left, scope);
            if !left.is_primitive() {
                return Value::Undefined;
            }
            let is_in = constants
                .iter()
                .any(|constant| left.compare(&value_of(constant)) == Some(Ordering::Equal));
            Value::Bool(is_in == (*membership == Membership::In))
        }
        Expression::Arithmetic(first, rest) => {
            let mut result = evaluate(first, scope);
            for (operator, operand) in rest {
                result = match (result, evaluate(operand, scope)) {
                    (Value::Number(left), Value::Number(right)) => {
                        Value::number(operator.apply(left, right))
                    }
                    _ => return Value::Undefined,
                };
            }
            match result {
                Value::Number(_) => result,
                _ => Value::Undefined,
            }
        }
        Expression::Call(function, arguments) => {
            let arguments: Vec<_> = arguments
                .iter()
                .map(|argument| evaluate(argument, scope))
                .collect();
            function.apply(&arguments)
        }
    }
}

/// `AND` and `OR`: one part that is `decisive` decides; without one, anything but truth values makes it undefined.
fn junction<'a>(parts: &'a [Expression], scope: &'a impl Scope, decisive: bool) -> Value<'a> {
    let mut result = Value::Bool(!decisive);
    for part in parts {
        match evaluate(part, scope) {
            Value::Bool(truth) if truth == decisive => return Value::Bool(decisive),
            Value::Bool(_) => {}
            _ => result = Value::Undefined,
        }
    }
    result
}

fn value_of(constant: &Constant) -> Value<'_> {
    match constant {
        Constant::Undefined => Value::Undefined,
        Constant::Null => Value::Null,
        Constant::Bool(truth) => Value::Bool(*truth),
        Constant::Number(number) => Value::Number(*number),
        Constant::Text(text) => Value::Text(Cow::Borrowed(text)),
    }
}

impl Comparison {
    const fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

impl Operator {
    fn apply(self, left: f64, right: f64) -> f64 {
        match self {
            Self::Add => left + right,
            Self::Subtract => left - right,
            Self::Multiply => left * right,
            Self::Divide => left / right,
            Self::Remainder => left % right,
        }
    }
}
