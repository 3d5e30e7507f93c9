//! What must hold for any bytes that a device says over AMQP to prove itself, to name a link, or as a request to the
//! provisioning service.

use super::addresses::Address;
use super::provisioning::tpm::{Exchange, Step};
use super::provisioning::{Versions, parse, parse_plain};
use crate::provisioning::Request;

/// Between the answers of a device in one input.
const BREAK: u8 = 0xff;
/// The first byte of a segment that is the last one.
const IS_LAST: u8 = 0x40;

/// # Panics
/// When a law is broken.
pub(crate) fn judge(words: &[u8]) {
    if let Some((name, password)) = parse_plain(words) {
        assert!(!name.id_scope.is_empty(), "a registration has a scope");
        assert!(words.ends_with(password.as_bytes()));
    }
    if let Ok(text) = std::str::from_utf8(words)
        && let Ok(Address::Registration(name)) = Address::parse(text)
    {
        let is_plain = !text.contains('%');
        assert!(!is_plain || text.contains(name.id.as_str()));
    }
    if let (_, Request::Register { body, .. }) = parse(words, &Versions::default()) {
        assert!(body.len() < words.len(), "a body stands in its message");
    }
    let mut answers = words.split(|byte| *byte == BREAK);
    let first = answers.next().unwrap_or_default();
    if let Ok((exchange, challenge)) = Exchange::begin(first) {
        assert_eq!(challenge, [0]);
        judge_exchange(exchange, words, answers);
    }
}

/// Whatever the device answers, its key comes to it whole or not at all, and a token is taken once.
fn judge_exchange<'a>(
    mut exchange: Exchange,
    words: &[u8],
    answers: impl Iterator<Item = &'a [u8]>,
) {
    // Some are longer than segments can carry.
    let key = words.repeat(words.len() % 7 + 1);
    let (mut got, mut is_whole, mut tokens) = (Vec::new(), false, 0);
    for answer in answers {
        let segment = match exchange.respond(answer) {
            Ok(Step::Wrap(keys)) => {
                assert!(got.is_empty() && !is_whole, "keys are made once");
                assert!(!keys.endorsement_key.is_empty());
                match exchange.wrapped(key.clone()) {
                    Ok(segment) => segment,
                    Err(_) => continue,
                }
            }
            Ok(Step::Challenge(segment)) => segment,
            Ok(Step::Token(_)) => {
                assert!(is_whole, "a token answers a whole key");
                tokens += 1;
                continue;
            }
            Err(_) => continue,
        };
        let (control, bytes) = segment.split_first().expect("a segment has its control");
        assert!(segment.len() <= 512, "it fits into a frame");
        got.extend_from_slice(bytes);
        is_whole = control & IS_LAST != 0;
    }
    assert!(tokens <= 1);
    assert!(key.starts_with(&got) && (!is_whole || got == key));
}
