//! Rust text without its comments and literals, so that a rule about code does not stumble over a sentence.

/// Replaces comments, string and character literals by spaces; lines keep their numbers.
pub(super) fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = token_end(bytes, at);
        if end == at + 1 {
            out.push(char::from(if bytes[at].is_ascii() {
                bytes[at]
            } else {
                b' '
            }));
        } else {
            out.extend(
                bytes[at..end]
                    .iter()
                    .map(|byte| if *byte == b'\n' { '\n' } else { ' ' }),
            );
        }
        at = end;
    }
    out
}

/// Where the comment or literal that begins at `at` ends; `at + 1` for anything else.
fn token_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    if rest.starts_with(b"//") {
        return at
            + rest
                .iter()
                .position(|byte| *byte == b'\n')
                .unwrap_or(rest.len());
    }
    if rest.starts_with(b"/*") {
        return at + block_comment(rest);
    }
    if rest.starts_with(b"\"") {
        return at + quoted(rest);
    }
    if rest.starts_with(b"'") {
        return at + character(rest);
    }
    let begins_a_word = at == 0 || !is_word(bytes[at - 1]);
    if begins_a_word && rest.starts_with(b"r") {
        return at + raw_string(rest).unwrap_or(1);
    }
    at + 1
}

fn block_comment(rest: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

fn quoted(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// A lifetime is not a literal: `'a` has no closing quote right behind one character.
fn character(rest: &[u8]) -> usize {
    if rest.get(1) == Some(&b'\\') {
        let close = rest.iter().skip(3).position(|byte| *byte == b'\'');
        return close.map_or(1, |position| position + 4);
    }
    let close = rest.iter().skip(1).take(5).position(|byte| *byte == b'\'');
    match close {
        Some(length)
            if std::str::from_utf8(&rest[1..=length])
                .is_ok_and(|text| text.chars().count() == 1) =>
        {
            length + 2
        }
        Some(_) | None => 1,
    }
}

fn raw_string(rest: &[u8]) -> Option<usize> {
    let hashes = rest
        .iter()
        .skip(1)
        .take_while(|byte| **byte == b'#')
        .count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return None;
    }
    let close: Vec<u8> = std::iter::once(b'"')
        .chain(std::iter::repeat_n(b'#', hashes))
        .collect();
    let body = 2 + hashes;
    let length = rest[body..]
        .windows(close.len())
        .position(|window| window == close)?;
    Some(body + length + close.len())
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
