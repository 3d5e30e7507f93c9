//! Expressions as they were read.

use crate::functions::Function;

/// A checked expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// A constant.
    Constant(Constant),
    /// The value at a path.
    Path(Path),
    /// The opposite of a truth value.
    Not(Box<Self>),
    /// The opposite of a number.
    Minus(Box<Self>),
    /// All of them; at least two.
    And(Vec<Self>),
    /// Any of them; at least two.
    Or(Vec<Self>),
    /// Two values compared.
    Compare(Box<Self>, Comparison, Box<Self>),
    /// Whether a value is among constants.
    In(Box<Self>, Vec<Constant>, Membership),
    /// A number and what is done to it, from left to right.
    Arithmetic(Box<Self>, Vec<(Operator, Self)>),
    /// A function of arguments whose number was checked.
    Call(Function, Vec<Self>),
}

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// `undefined`.
    Undefined,
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

/// Which comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `!=` and `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// Which arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Remainder,
}

/// `IN` or `NIN`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// Is among them.
    In,
    /// Is not among them.
    NotIn,
}

/// A path to a value: `$body.a[0].b`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// The first name without its `$`.
    pub head: String,
    /// What kind of name that is.
    pub kind: PathKind,
    /// What follows it.
    pub steps: Vec<Step>,
    /// Where it stands, in characters from 0.
    pub position: usize,
}

/// Whether a path begins with `$`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathKind {
    /// It does.
    Dollar,
    /// It does not.
    Plain,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A member of an object.
    Member(String),
    /// An element of an array.
    Element(usize),
}

impl Expression {
    /// Shows every path of the expression.
    pub fn paths<'a>(&'a self, show: &mut impl FnMut(&'a Path)) {
        match self {
            Self::Constant(_) => {}
            Self::Path(path) => show(path),
            Self::Not(inner) | Self::Minus(inner) | Self::In(inner, _, _) => inner.paths(show),
            Self::And(parts) | Self::Or(parts) | Self::Call(_, parts) => {
                for part in parts {
                    part.paths(show);
                }
            }
            Self::Compare(left, _, right) => {
                left.paths(show);
                right.paths(show);
            }
            Self::Arithmetic(first, rest) => {
                first.paths(show);
                for (_, operand) in rest {
                    operand.paths(show);
                }
            }
        }
    }
}
