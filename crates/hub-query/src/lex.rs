//! Words of a query, each with its place.

use crate::error::QueryError;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    /// Where it begins, in characters from 0.
    pub(crate) position: usize,
    /// True when nothing stands between it and the token before.
    pub(crate) is_adjacent: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TokenKind {
    /// A keyword, function or name without `$`.
    Word(String),
    /// A name after `$`.
    Dollar(String),
    /// A name in double brackets.
    Quoted(String),
    Text(String),
    Number(f64),
    /// An operator, bracket, comma or dot.
    Sign(&'static str),
    End,
}

/// Longest first, so that `<=` is not read as `<`.
const SIGNS: [&str; 19] = [
    "<=", ">=", "<>", "!=", "=", "<", ">", "+", "-", "*", "/", "%", "(", ")", "[", "]", ",", ".",
    "$",
];

pub(crate) fn lex(text: &str) -> Result<Vec<Token>, QueryError> {
    let mut lexer = Lexer {
        rest: text,
        position: 0,
    };
    let mut tokens = Vec::new();
    loop {
        let is_adjacent = lexer.skip_space() == 0;
        let position = lexer.position;
        let kind = lexer.next()?;
        let is_end = kind == TokenKind::End;
        tokens.push(Token {
            kind,
            position,
            is_adjacent,
        });
        if is_end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    rest: &'a str,
    position: usize,
}

impl<'a> Lexer<'a> {
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        self.position += taken.chars().count();
        taken
    }

    fn take_while(&mut self, is_part: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        self.take(end)
    }

    fn skip_space(&mut self) -> usize {
        self.take_while(char::is_whitespace).len()
    }

    fn next(&mut self) -> Result<TokenKind, QueryError> {
        let Some(first) = self.rest.chars().next() else {
            return Ok(TokenKind::End);
        };
        if self.rest.starts_with("[[") {
            return self.quoted();
        }
        match first {
            '\'' | '"' => self.text(first),
            '0'..='9' => self.number(),
            '$' if self.rest[1..].chars().next().is_some_and(is_name_start) => {
                self.take(1);
                Ok(TokenKind::Dollar(self.name().to_owned()))
            }
            _ if is_name_start(first) => Ok(TokenKind::Word(self.name().to_owned())),
            _ => self.sign(first),
        }
    }

    /// Letters, digits and `_`; a hyphen between them that a letter follows, as in `$dt-subject`, is part of the name.
    fn name(&mut self) -> &'a str {
        let mut end = 0;
        loop {
            let part = &self.rest[end..];
            end += part.find(|c| !is_name_part(c)).unwrap_or(part.len());
            let mut after = self.rest[end..].chars();
            if after.next() != Some('-') || !after.next().is_some_and(is_name_start) {
                return self.take(end);
            }
            end += 1;
        }
    }

    fn quoted(&mut self) -> Result<TokenKind, QueryError> {
        let position = self.position;
        let Some(end) = self.rest.find("]]") else {
            return Err(QueryError::new(position, "a name in [[ ]] does not end")
                .with_hint("write [[name]]"));
        };
        let name = self.take(end)[2..].to_owned();
        self.take(2);
        if name.is_empty() {
            return Err(QueryError::new(position, "the name in [[ ]] is empty"));
        }
        Ok(TokenKind::Quoted(name))
    }

    fn sign(&mut self, first: char) -> Result<TokenKind, QueryError> {
        match SIGNS.iter().find(|sign| self.rest.starts_with(**sign)) {
            Some(sign) => {
                self.take(sign.len());
                Ok(TokenKind::Sign(sign))
            }
            None => {
                let error = QueryError::new(
                    self.position,
                    format!("the character {first:?} has no meaning here"),
                );
                Err(match first {
                    '!' => error.with_hint("write NOT, or != to compare"),
                    '&' => error.with_hint("write AND"),
                    '|' => error.with_hint("write OR, or CONCAT to join texts"),
                    _ => error.with_hint("a text stands in '…', an odd name in [[…]]"),
                })
            }
        }
    }

    fn number(&mut self) -> Result<TokenKind, QueryError> {
        let position = self.position;
        let error = |text: &str| QueryError::new(position, format!("{text} is no number"));
        if self.rest.starts_with("0x") || self.rest.starts_with("0X") {
            self.take(2);
            let digits = self.take_while(is_name_part);
            return match u64::from_str_radix(digits, 16) {
                #[expect(clippy::cast_precision_loss, reason = "all numbers are floats")]
                Ok(number) => Ok(TokenKind::Number(number as f64)),
                Err(_) => Err(error(&format!("0x{digits}"))),
            };
        }
        let mut end = digits(self.rest);
        if let Some(fraction) = self.rest[end..].strip_prefix('.') {
            let count = digits(fraction);
            if count > 0 {
                end += 1 + count;
            }
        }
        if let Some(exponent) = self.rest[end..].strip_prefix(['e', 'E']) {
            let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            let count = digits(unsigned);
            if count > 0 {
                end += 1 + (exponent.len() - unsigned.len()) + count;
            }
        }
        let text = self.take(end);
        let tail = self.take_while(is_name_part);
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() && tail.is_empty() => Ok(TokenKind::Number(number)),
            Ok(_) | Err(_) => Err(error(&format!("{text}{tail}"))),
        }
    }

    fn text(&mut self, quote: char) -> Result<TokenKind, QueryError> {
        let begin = self.position;
        self.take(1);
        let mut text = String::new();
        loop {
            text.push_str(self.take_while(|c| c != quote && c != '\\'));
            let position = self.position;
            match self.rest.chars().next() {
                None => {
                    return Err(QueryError::new(begin, "a text does not end")
                        .with_hint("close it with the quote that opened it"));
                }
                Some('\\') => text.push(self.escape(position)?),
                Some(_) => {
                    self.take(1);
                    return Ok(TokenKind::Text(text));
                }
            }
        }
    }

    /// `\'`, `\"`, `\\` and `\uXXXX`, where halves of a pair stand together.
    fn escape(&mut self, position: usize) -> Result<char, QueryError> {
        let error = || {
            QueryError::new(position, "this escape does not exist")
                .with_hint("there are \\' \\\" \\\\ and \\uXXXX")
        };
        self.take(1);
        match self.rest.chars().next() {
            Some(c @ ('\'' | '"' | '\\')) => {
                self.take(1);
                Ok(c)
            }
            Some('u') => {
                let high = self.unicode().ok_or_else(error)?;
                if let Some(c) = char::from_u32(high) {
                    return Ok(c);
                }
                if !self.rest.starts_with("\\u") {
                    return Err(error());
                }
                self.take(1);
                let low = self.unicode().ok_or_else(error)?;
                let is_pair = (0xd800..0xdc00).contains(&high) && (0xdc00..0xe000).contains(&low);
                if !is_pair {
                    return Err(error());
                }
                char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00))
                    .ok_or_else(error)
            }
            Some(_) | None => Err(error()),
        }
    }

    fn unicode(&mut self) -> Option<u32> {
        let digits = self.rest.get(1..5)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        self.take(5);
        u32::from_str_radix(digits, 16).ok()
    }
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

fn is_name_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn is_name_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
