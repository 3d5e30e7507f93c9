//! Guards of writes.

use http::HeaderMap;
use http::header::IF_MATCH;
use hub_domain::ErrorCode;
use hub_engine::IfMatch;

use super::refusal::Refusal;

/// The guard that a request carries. Node and Python quote it, `"*"` too; the C client sends `*` bare and
/// once sent `'*'` (`iothub_devicetwin.c`).
///
/// # Errors
/// When the header is no text (400004).
pub(super) fn if_match(headers: &HeaderMap) -> Result<IfMatch, Refusal> {
    let Some(value) = headers.get(IF_MATCH) else {
        return Ok(IfMatch::Absent);
    };
    let text = value.to_str().map_err(|_| {
        Refusal::new(
            ErrorCode::ArgumentInvalid,
            "If-Match has characters that are not ASCII",
        )
    })?;
    Ok(parse(text))
}

fn parse(text: &str) -> IfMatch {
    let text = text.trim();
    // Only before a quote: an etag is Base64 and may begin with the same two characters.
    let text = match text.strip_prefix("W/") {
        Some(strong) if strong.starts_with('"') => strong,
        _ => text,
    };
    let unquoted = ['"', '\'']
        .into_iter()
        .find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(text);
    if unquoted == "*" {
        IfMatch::Any
    } else {
        IfMatch::Etag(unquoted.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_around_a_guard_mean_nothing() {
        for any in ["*", "\"*\"", "'*'", " * "] {
            assert_eq!(parse(any), IfMatch::Any, "{any}");
        }
        for etag in ["AAA=", "\"AAA=\"", "W/\"AAA=\""] {
            assert_eq!(parse(etag), IfMatch::Etag("AAA=".to_owned()), "{etag}");
        }
        for etag in ["W/qcIK0Wugg=", "\"W/qcIK0Wugg=\""] {
            assert_eq!(
                parse(etag),
                IfMatch::Etag("W/qcIK0Wugg=".to_owned()),
                "{etag}"
            );
        }
        for odd in ["\"", "\"AAA=", ""] {
            assert_eq!(parse(odd), IfMatch::Etag(odd.to_owned()), "{odd}");
        }
        assert_eq!(parse("\"\""), IfMatch::Etag(String::new()));
    }
}
