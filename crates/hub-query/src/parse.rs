//! From text to expression, by recursive descent.

use crate::error::QueryError;
use crate::expression::{
    Comparison, Constant, Expression, Membership, Operator, Path, PathKind, Step,
};
use crate::functions::Function;
use crate::lex::{Token, TokenKind, lex};
use crate::{DEPTH_MAX, QUERY_BYTES_MAX};

/// Reads an expression.
///
/// # Errors
/// When the text is none, with the place.
pub fn parse(text: &str) -> Result<Expression, QueryError> {
    if text.len() > QUERY_BYTES_MAX {
        let message = format!("the query has more than {QUERY_BYTES_MAX} bytes");
        return Err(QueryError::new(0, message));
    }
    let tokens = lex(text)?;
    let mut parser = Parser {
        tokens: &tokens,
        at: 0,
        depth: 0,
    };
    let expression = parser.or()?;
    match parser.peek() {
        TokenKind::End => Ok(expression),
        TokenKind::Sign("=" | "!=" | "<>" | "<" | ">" | "<=" | ">=") => Err(parser
            .unexpected("a second comparison")
            .with_hint("compare two values at a time and join them with AND")),
        _ => Err(parser
            .unexpected("something after the end of the condition")
            .with_hint("join conditions with AND or OR")),
    }
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: usize,
}

type Parsed = Result<Expression, QueryError>;

impl<'a> Parser<'a> {
    fn token(&self) -> &'a Token {
        // The last token is the end, which is never passed.
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn peek(&self) -> &'a TokenKind {
        &self.token().kind
    }

    fn advance(&mut self) -> &'a Token {
        let token = self.token();
        if token.kind != TokenKind::End {
            self.at += 1;
        }
        token
    }

    fn unexpected(&self, what: &str) -> QueryError {
        QueryError::new(self.token().position, what)
    }

    /// Takes the sign when it comes next.
    fn sign(&mut self, sign: &str) -> bool {
        let is_next = matches!(self.peek(), TokenKind::Sign(next) if *next == sign);
        if is_next {
            self.advance();
        }
        is_next
    }

    fn expect_sign(&mut self, sign: &str) -> Result<(), QueryError> {
        if self.sign(sign) {
            return Ok(());
        }
        Err(self.unexpected(&format!("a {sign} is missing")))
    }

    /// Takes the keyword when it comes next.
    fn keyword(&mut self, keyword: &str) -> bool {
        let is_next =
            matches!(self.peek(), TokenKind::Word(word) if word.eq_ignore_ascii_case(keyword));
        if is_next {
            self.advance();
        }
        is_next
    }

    /// Reads what is nested one level deeper.
    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Parsed) -> Parsed {
        if self.depth >= DEPTH_MAX {
            let message = format!("the condition is nested more than {DEPTH_MAX} deep");
            return Err(self.unexpected(&message));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn or(&mut self) -> Parsed {
        let mut parts = vec![self.and()?];
        while self.keyword("OR") {
            parts.push(self.and()?);
        }
        Ok(one_or(parts, Expression::Or))
    }

    fn and(&mut self) -> Parsed {
        let mut parts = vec![self.not()?];
        while self.keyword("AND") {
            parts.push(self.not()?);
        }
        Ok(one_or(parts, Expression::And))
    }

    fn not(&mut self) -> Parsed {
        if self.keyword("NOT") {
            let inner = self.nested(Self::not)?;
            return Ok(Expression::Not(Box::new(inner)));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Parsed {
        let left = self.sum()?;
        if self.keyword("IN") {
            return self.members(left, Membership::In);
        }
        if self.keyword("NIN") {
            return self.members(left, Membership::NotIn);
        }
        let comparison = match self.peek() {
            TokenKind::Sign("=") => Comparison::Equal,
            TokenKind::Sign("!=" | "<>") => Comparison::NotEqual,
            TokenKind::Sign("<") => Comparison::Less,
            TokenKind::Sign("<=") => Comparison::LessOrEqual,
            TokenKind::Sign(">") => Comparison::Greater,
            TokenKind::Sign(">=") => Comparison::GreaterOrEqual,
            _ => return Ok(left),
        };
        self.advance();
        let right = self.sum()?;
        Ok(Expression::Compare(
            Box::new(left),
            comparison,
            Box::new(right),
        ))
    }

    fn members(&mut self, left: Expression, membership: Membership) -> Parsed {
        if !self.sign("[") {
            return Err(self
                .unexpected("a list is missing")
                .with_hint("write IN ['a', 'b']"));
        }
        let mut constants = Vec::new();
        if !self.sign("]") {
            constants.push(self.constant_in_list()?);
            while self.sign(",") {
                constants.push(self.constant_in_list()?);
            }
            self.expect_sign("]")?;
        }
        Ok(Expression::In(Box::new(left), constants, membership))
    }

    fn constant_in_list(&mut self) -> Result<Constant, QueryError> {
        let error = self
            .unexpected("a list holds constants only")
            .with_hint("compare paths with = and OR");
        if self.sign("-") {
            let TokenKind::Number(number) = self.peek() else {
                return Err(error);
            };
            self.advance();
            return Ok(Constant::Number(-number));
        }
        let constant = match self.peek() {
            TokenKind::Text(text) => Constant::Text(text.clone()),
            TokenKind::Number(number) => Constant::Number(*number),
            TokenKind::Word(word) => constant_word(word).ok_or(error)?,
            TokenKind::Dollar(_) | TokenKind::Quoted(_) | TokenKind::Sign(_) | TokenKind::End => {
                return Err(error);
            }
        };
        self.advance();
        Ok(constant)
    }

    fn sum(&mut self) -> Parsed {
        let first = self.product()?;
        let mut rest = Vec::new();
        loop {
            let operator = match self.peek() {
                TokenKind::Sign("+") => Operator::Add,
                TokenKind::Sign("-") => Operator::Subtract,
                _ => return Ok(arithmetic(first, rest)),
            };
            self.advance();
            rest.push((operator, self.product()?));
        }
    }

    fn product(&mut self) -> Parsed {
        let first = self.unary()?;
        let mut rest = Vec::new();
        loop {
            let operator = match self.peek() {
                TokenKind::Sign("*") => Operator::Multiply,
                TokenKind::Sign("/") => Operator::Divide,
                TokenKind::Sign("%") => Operator::Remainder,
                _ => return Ok(arithmetic(first, rest)),
            };
            self.advance();
            rest.push((operator, self.unary()?));
        }
    }

    fn unary(&mut self) -> Parsed {
        if self.sign("-") {
            let inner = self.nested(Self::unary)?;
            return Ok(Expression::Minus(Box::new(inner)));
        }
        self.primary()
    }

    fn primary(&mut self) -> Parsed {
        match self.peek() {
            TokenKind::Sign("(") => {
                self.advance();
                let inner = self.nested(Self::or)?;
                self.expect_sign(")")?;
                Ok(inner)
            }
            TokenKind::Text(text) => {
                self.advance();
                Ok(Expression::Constant(Constant::Text(text.clone())))
            }
            TokenKind::Number(number) => {
                self.advance();
                Ok(Expression::Constant(Constant::Number(*number)))
            }
            TokenKind::Word(word) => self.word(word),
            TokenKind::Dollar(name) => self.path(name, PathKind::Dollar),
            TokenKind::Quoted(name) => self.path(name, PathKind::Plain),
            TokenKind::End => Err(self
                .unexpected("a value is missing")
                .with_hint("write a property, a number or a text in quotes")),
            TokenKind::Sign("[") => Err(self
                .unexpected("a list stands only after IN and NIN")
                .with_hint("write x IN ['a', 'b']")),
            TokenKind::Sign("$") => Err(self
                .unexpected("a name is missing after $")
                .with_hint("write $body.x, $twin.tags.x or a system property")),
            TokenKind::Sign(sign) => Err(self
                .unexpected(&format!("a value is missing before {sign}"))
                .with_hint("write a property, a number or a text in quotes")),
        }
    }

    fn word(&mut self, word: &str) -> Parsed {
        let is_call = self
            .tokens
            .get(self.at + 1)
            .is_some_and(|token| token.kind == TokenKind::Sign("("));
        if is_call {
            return self.call(word);
        }
        if let Some(constant) = constant_word(word) {
            self.advance();
            return Ok(Expression::Constant(constant));
        }
        if ["AND", "OR", "NOT", "IN", "NIN"]
            .iter()
            .any(|keyword| keyword.eq_ignore_ascii_case(word))
        {
            return Err(self
                .unexpected(&format!("a value is missing before {word}"))
                .with_hint("a property of that name is written [[name]]"));
        }
        self.path(word, PathKind::Plain)
    }

    fn call(&mut self, name: &str) -> Parsed {
        let Some((function, counts)) = Function::find(name) else {
            return Err(self
                .unexpected(&format!("there is no function {name}"))
                .with_hint("the functions are listed in the routing documentation"));
        };
        let position = self.token().position;
        self.advance();
        self.advance();
        let mut arguments = Vec::new();
        if !self.sign(")") {
            arguments.push(self.nested(Self::or)?);
            while self.sign(",") {
                arguments.push(self.nested(Self::or)?);
            }
            self.expect_sign(")")?;
        }
        if counts.contains(&arguments.len()) {
            return Ok(Expression::Call(function, arguments));
        }
        let (least, most) = (counts.start(), counts.end());
        let wanted = match (least, most) {
            (least, most) if least == most => least.to_string(),
            (least, most) if *most == usize::MAX => format!("{least} or more"),
            (least, most) => format!("{least} to {most}"),
        };
        let message = format!("{name} takes {wanted} arguments, not {}", arguments.len());
        Err(QueryError::new(position, message))
    }

    fn path(&mut self, head: &str, kind: PathKind) -> Parsed {
        let position = self.advance().position;
        let mut steps = Vec::new();
        loop {
            if !self.token().is_adjacent {
                break;
            }
            if self.sign(".") {
                steps.push(Step::Member(self.member()?));
            } else if matches!(self.peek(), TokenKind::Sign("[")) {
                self.advance();
                steps.push(Step::Element(self.element()?));
            } else {
                break;
            }
        }
        Ok(Expression::Path(Path {
            head: head.to_owned(),
            kind,
            steps,
            position,
        }))
    }

    fn member(&mut self) -> Result<String, QueryError> {
        let name = match self.peek() {
            TokenKind::Word(name) | TokenKind::Quoted(name) => name.clone(),
            TokenKind::Dollar(name) => format!("${name}"),
            TokenKind::Text(_) | TokenKind::Number(_) | TokenKind::Sign(_) | TokenKind::End => {
                return Err(self
                    .unexpected("a name is missing after the dot")
                    .with_hint("an odd name is written [[name]]"));
            }
        };
        self.advance();
        Ok(name)
    }

    fn element(&mut self) -> Result<usize, QueryError> {
        let index = match self.peek() {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "checked to be whole and small; it is never negative"
            )]
            TokenKind::Number(number) if number.fract() == 0.0 && *number <= 1e9 => {
                *number as usize
            }
            _ => {
                return Err(self
                    .unexpected("an index is missing")
                    .with_hint("an index is a whole number from 0, as in $body.list[0]"));
            }
        };
        self.advance();
        self.expect_sign("]")?;
        Ok(index)
    }
}

fn constant_word(word: &str) -> Option<Constant> {
    [
        ("true", Constant::Bool(true)),
        ("false", Constant::Bool(false)),
        ("null", Constant::Null),
        ("undefined", Constant::Undefined),
    ]
    .into_iter()
    .find(|(spelling, _)| spelling.eq_ignore_ascii_case(word))
    .map(|(_, constant)| constant)
}

fn one_or(mut parts: Vec<Expression>, many: fn(Vec<Expression>) -> Expression) -> Expression {
    if parts.len() > 1 {
        return many(parts);
    }
    parts.pop().expect("invariant: there is at least one part")
}

fn arithmetic(first: Expression, rest: Vec<(Operator, Expression)>) -> Expression {
    if rest.is_empty() {
        return first;
    }
    Expression::Arithmetic(Box::new(first), rest)
}
