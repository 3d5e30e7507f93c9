//! Where a consumer begins: the selector of its source filter.
//!
//! Forms: `_utils.py` (`event_position_selector`) of azure-eventhub, `eventPosition.ts` of @azure/event-hubs. Numbers come
//! quoted or bare; the C test tool asks for `x-opt-enqueuedtimeutc`.

use hub_domain::Timestamp;

/// What a selector begins with.
const ANNOTATION: &str = "amqp.annotation.";

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// With the oldest kept event.
    Beginning,
    /// With what comes from now on.
    End,
    /// With this sequence number, or the next one there is.
    Sequence(u64),
    /// With the first event enqueued at or after this moment.
    Time(Timestamp),
}

/// The selector is not one of the documented forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the filter is not amqp.annotation.x-opt-offset, x-opt-sequence-number or x-opt-enqueued-time with > or >= and a value"
)]
pub(crate) struct BadSelector;

enum Bound {
    After,
    From,
}

impl Start {
    /// Reads a selector. An empty one means the beginning.
    ///
    /// # Errors
    /// When it has another form.
    pub(crate) fn parse(selector: &str) -> Result<Self, BadSelector> {
        let selector = selector.trim();
        if selector.is_empty() {
            return Ok(Self::Beginning);
        }
        let rest = strip_prefix_without_case(selector, ANNOTATION).ok_or(BadSelector)?;
        let at = rest.find('>').ok_or(BadSelector)?;
        let (name, comparison) = (rest[..at].trim(), &rest[at + 1..]);
        let (bound, value) = match comparison.strip_prefix('=') {
            Some(value) => (Bound::From, value),
            None => (Bound::After, comparison),
        };
        let value = unquoted(value.trim()).ok_or(BadSelector)?;
        if name.eq_ignore_ascii_case("x-opt-offset") {
            return Self::of_offset(&bound, value);
        }
        if name.eq_ignore_ascii_case("x-opt-sequence-number") {
            return Self::of_sequence(&bound, number(value)?);
        }
        let is_time = ["x-opt-enqueued-time", "x-opt-enqueuedtimeutc"]
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known));
        if is_time {
            return Ok(Self::of_time(&bound, number(value)?));
        }
        Err(BadSelector)
    }

    fn of_offset(bound: &Bound, value: &str) -> Result<Self, BadSelector> {
        match value {
            "@latest" => Ok(Self::End),
            "-1" => Ok(Self::Beginning),
            // An offset is a sequence number as text.
            value => Self::of_sequence(bound, number(value)?),
        }
    }

    fn of_sequence(bound: &Bound, value: i64) -> Result<Self, BadSelector> {
        let first = match bound {
            Bound::After => value.saturating_add(1),
            Bound::From => value,
        };
        Ok(Self::Sequence(u64::try_from(first.max(0)).unwrap_or(0)))
    }

    /// Clients see enqueued times in whole milliseconds, so "after" means the next millisecond.
    fn of_time(bound: &Bound, millis: i64) -> Self {
        Self::Time(Timestamp::from_millis(match bound {
            Bound::After => millis.saturating_add(1),
            Bound::From => millis,
        }))
    }
}

fn number(text: &str) -> Result<i64, BadSelector> {
    // Python prints a time that is a float as `1700000000000.0`.
    let whole = match text.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|b| b.is_ascii_digit()) => whole,
        Some(_) | None => text,
    };
    whole.parse().map_err(|_| BadSelector)
}

fn unquoted(text: &str) -> Option<&str> {
    for quote in ['\'', '"'] {
        if let Some(rest) = text.strip_prefix(quote) {
            return rest.strip_suffix(quote);
        }
    }
    (!text.is_empty()).then_some(text)
}

fn strip_prefix_without_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix)
        .then(|| &text[prefix.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(selector: &str, expected: Result<Start, BadSelector>) {
        assert_eq!(Start::parse(selector), expected, "{selector}");
    }

    #[test]
    fn selectors_of_the_official_clients() {
        check("", Ok(Start::Beginning));
        check("amqp.annotation.x-opt-offset > '-1'", Ok(Start::Beginning));
        check("amqp.annotation.x-opt-offset > '@latest'", Ok(Start::End));
        check("amqp.annotation.x-opt-offset >= '@latest'", Ok(Start::End));
        check(
            "amqp.annotation.x-opt-offset > '41'",
            Ok(Start::Sequence(42)),
        );
        check(
            "amqp.annotation.x-opt-offset >= '41'",
            Ok(Start::Sequence(41)),
        );
        check(
            "amqp.annotation.x-opt-sequence-number > '-1'",
            Ok(Start::Sequence(0)),
        );
        check(
            "amqp.annotation.x-opt-sequence-number >= 7",
            Ok(Start::Sequence(7)),
        );
        check(
            "amqp.annotation.x-opt-enqueued-time > '1769860800123'",
            Ok(Start::Time(Timestamp::from_millis(1_769_860_800_124))),
        );
        check(
            "amqp.annotation.x-opt-enqueuedtimeutc > 1769860800123.0",
            Ok(Start::Time(Timestamp::from_millis(1_769_860_800_124))),
        );
    }

    #[test]
    fn other_selectors_are_refused() {
        for selector in [
            "x-opt-offset > '1'",
            "amqp.annotation.x-opt-offset",
            "amqp.annotation.x-opt-offset < '1'",
            "amqp.annotation.x-opt-offset > ",
            "amqp.annotation.x-opt-offset > 'x'",
            "amqp.annotation.x-opt-offset > '1",
            "amqp.annotation.x-opt-other > '1'",
            "amqp.annotation.x-opt-sequence-number > '99999999999999999999'",
            "äöü",
        ] {
            check(selector, Err(BadSelector));
        }
    }
}
