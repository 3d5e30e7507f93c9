//! Conditions of routes: what they come to for one message, and how wrong ones are refused.

#![expect(
    clippy::unwrap_used,
    reason = "a table that cannot be read fails its test"
)]

use std::borrow::Cow;

use hub_query::{
    Condition, DEPTH_MAX, Message, Needs, QUERY_BYTES_MAX, TwinParts, Value, json_body, twin_path,
    twin_text,
};
use serde_json::{Map, Value as Json, json};

/// The message of "IoT Hub message routing query syntax", and a twin.
struct Sample {
    body: Option<Json>,
    tags: Map<String, Json>,
    desired: Map<String, Json>,
    reported: Map<String, Json>,
}

fn object(value: Json) -> Map<String, Json> {
    value.as_object().unwrap().clone()
}

fn sample() -> Sample {
    let body = json!({
        "Weather": {
            "Temperature": 50,
            "Time": "2017-03-09T00:00:00.000Z",
            "PrevTemperatures": [20, 30, 40],
            "IsEnabled": true,
            "Nothing": null,
            "Location": {"Street": "One Microsoft Way", "State": "WA"},
            "HistoricalData": [{"Month": "Feb", "Temperature": 40}, {"Month": "Jan"}],
        },
        "a-b": 1, "a": 9, "A": 10, "odd name": "x", "$version": 3,
    });
    Sample {
        body: json_body(
            Some("application/JSON"),
            Some("UTF-8"),
            body.to_string().as_bytes(),
        ),
        tags: object(json!({"deploymentLocation": {"building": "43", "floor": "1"}})),
        desired: object(json!({"telemetryConfig": {"sendFrequency": "5m"}})),
        reported: object(json!({"batteryLevel": 55, "list": [1, {"x": "y"}]})),
    }
}

impl Message for Sample {
    fn application(&self, name: &str) -> Option<Cow<'_, str>> {
        let properties = [
            ("processingPath", "hot"),
            ("severity", "3"),
            ("empty", ""),
            ("$odd", "dollar"),
            ("a.b", "dotted"),
            ("message-type", "alert"),
            ("group", "g1"),
            ("umlaut", "Größe"),
        ];
        let mut properties = properties.into_iter();
        properties
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| Cow::Borrowed(value))
    }

    fn system(&self, name: &str) -> Option<Cow<'_, str>> {
        let properties = [
            ("contentType", "application/json"),
            ("contentEncoding", "UTF-8"),
            ("connectionDeviceId", "d1"),
            ("enqueuedTime", "2022-06-07T00:00:00.0000000Z"),
            ("dt-dataschema", "dtmi:x;1"),
        ];
        let mut properties = properties.into_iter();
        properties
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| Cow::Borrowed(value))
    }

    fn body(&self) -> Option<&Json> {
        self.body.as_ref()
    }

    fn twin(&self) -> Option<TwinParts<'_>> {
        Some(TwinParts {
            tags: &self.tags,
            desired: &self.desired,
            reported: &self.reported,
        })
    }
}

/// `true`, `undefined`, `text x`, …, or the error.
fn outcome(condition: &str) -> String {
    match Condition::parse(condition) {
        Err(error) => format!("error: {error}"),
        Ok(condition) => match condition.value(&sample()) {
            Value::Undefined => "undefined".to_owned(),
            Value::Null => "null".to_owned(),
            Value::Bool(truth) => truth.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Text(text) => format!("text {text}"),
            Value::Array => "array".to_owned(),
            Value::Object => "object".to_owned(),
        },
    }
}

fn check(table: &[(&str, &str)]) {
    let wrong: Vec<String> = table
        .iter()
        .filter(|(condition, expected)| outcome(condition) != *expected)
        .map(|(condition, expected)| {
            format!("{condition} => {}, not {expected}", outcome(condition))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn documented_conditions_do_what_is_documented() {
    check(&[
        ("$contentEncoding = 'UTF-8'", "true"),
        ("processingPath = 'hot'", "true"),
        (
            "$contentEncoding = 'UTF-8' AND processingPath = 'hot'",
            "true",
        ),
        ("$body.Weather.HistoricalData[0].Month = 'Feb'", "true"),
        (
            "$body.Weather.Temperature = 50 AND $body.Weather.IsEnabled",
            "true",
        ),
        ("length($body.Weather.Location.State) = 2", "true"),
        (
            "$body.Weather.Temperature = 50 AND processingPath = 'hot'",
            "true",
        ),
        ("$body[0] = 'Feb'", "undefined"),
        (
            "$twin.properties.desired.telemetryConfig.sendFrequency = '5m'",
            "true",
        ),
        ("$enqueuedTime > \"2022-06-06T22:56:06Z\"", "true"),
        (
            "messageType = 'alerts' AND as_number(severity) <= 2",
            "false",
        ),
        ("as_number(severity) <= 3", "true"),
        ("is_defined($body.Weather.Temperature)", "true"),
        ("true", "true"),
        ("", "true"),
        ("  ", "true"),
    ]);
}

#[test]
fn names_are_found_where_they_are() {
    check(&[
        ("PROCESSINGPATH", "text hot"),
        ("$CONNECTIONdeviceid", "text d1"),
        ("$dt-dataschema", "text dtmi:x;1"),
        ("$odd", "text dollar"),
        ("a.b", "text dotted"),
        ("message-type", "text alert"),
        ("[[message-type]]", "text alert"),
        ("[[group]] = 'g1'", "true"),
        ("contentType", "undefined"),
        ("$processingPath", "undefined"),
        ("$body.a", "9"),
        ("$body.A", "10"),
        ("$BODY.weather.temperature", "50"),
        ("$body.a-b", "1"),
        ("$body.a - 1", "8"),
        ("$body.a-1", "8"),
        ("$body.[[odd name]]", "text x"),
        ("$body.$version", "3"),
        ("$body", "undefined"),
        ("$body.Weather", "object"),
        ("$body.Weather.PrevTemperatures", "array"),
        ("$body.Weather.PrevTemperatures[2]", "40"),
        ("$body.Weather.PrevTemperatures[3]", "undefined"),
        ("$body.Weather.Temperature.x", "undefined"),
        ("$twin.tags.deploymentLocation.floor", "text 1"),
        ("$twin.properties.reported.batteryLevel", "55"),
        ("$twin.properties.reported.list[1].x", "text y"),
        ("$twin.tags", "object"),
        ("$twin.tags.nothing", "undefined"),
    ]);
}

#[test]
fn comparing_is_for_primitives_of_one_kind() {
    check(&[
        ("1 = 1.0", "true"),
        ("'a' < 'b'", "true"),
        ("'a' = 'A'", "false"),
        ("false < true", "true"),
        ("null = null", "true"),
        ("null != null", "false"),
        ("1 = '1'", "undefined"),
        ("1 != '1'", "undefined"),
        ("undefined = undefined", "undefined"),
        ("severity > 2", "undefined"),
        ("$body.Weather.Nothing = null", "true"),
        ("$body.Weather = $body.Weather", "undefined"),
        ("2 <> 3", "true"),
        ("2 >= 3", "false"),
        ("3 >= 3", "true"),
        ("processingPath IN ['cold', 'hot']", "true"),
        ("processingPath NIN ['cold', 'hot']", "false"),
        ("processingPath IN []", "false"),
        ("nothing NIN ['x']", "undefined"),
        ("-1 IN [1, -1]", "true"),
        ("1 IN ['1']", "false"),
    ]);
}

#[test]
fn truth_has_three_values() {
    check(&[
        ("nothing AND false", "false"),
        ("nothing AND true", "undefined"),
        ("nothing OR true", "true"),
        ("nothing OR false", "undefined"),
        ("NOT nothing", "undefined"),
        ("NOT NOT true", "true"),
        ("'text' AND true", "undefined"),
        ("1 OR true", "true"),
        ("NOT 1", "undefined"),
        ("true or false and false", "true"),
        ("(true or false) and false", "false"),
        ("not true or true", "true"),
        ("true And Not False", "true"),
    ]);
}

#[test]
fn arithmetic_is_for_numbers() {
    check(&[
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("10 - 2 - 3", "5"),
        ("7 % 4", "3"),
        ("1 / 0", "undefined"),
        ("1e308 * 10", "undefined"),
        ("-(-2)", "2"),
        ("--2", "2"),
        ("0x1F", "31"),
        ("1.5e1", "15"),
        ("'a' + 'b'", "undefined"),
        ("severity + 1", "undefined"),
        ("-severity", "undefined"),
    ]);
}

#[test]
fn functions_do_what_is_documented() {
    check(&[
        ("ABS(-2)", "2"),
        ("exp(0)", "1"),
        ("POWER(2, 10)", "1024"),
        ("SQUARE(3)", "9"),
        ("CEILING(1.2)", "2"),
        ("FLOOR(-1.2)", "-2"),
        ("SIGN(-7)", "-1"),
        ("SIGN(0)", "0"),
        ("SQRT(9)", "3"),
        ("SQRT(-1)", "undefined"),
        ("ABS('1')", "undefined"),
        ("AS_NUMBER('-1.5')", "-1.5"),
        ("AS_NUMBER(' 2 ')", "2"),
        ("AS_NUMBER(3)", "3"),
        ("AS_NUMBER('inf')", "undefined"),
        ("AS_NUMBER('')", "undefined"),
        ("AS_NUMBER('0x10')", "undefined"),
        ("AS_NUMBER(true)", "undefined"),
        ("IS_ARRAY($body.Weather.PrevTemperatures)", "true"),
        ("IS_BOOL($body.Weather.IsEnabled)", "true"),
        ("IS_DEFINED(nothing)", "false"),
        ("IS_DEFINED(empty)", "true"),
        ("IS_DEFINED($body.Weather.Nothing)", "true"),
        ("IS_DEFINED($body.Weather)", "false"),
        ("IS_NULL($body.Weather.Nothing)", "true"),
        ("IS_NUMBER(severity)", "false"),
        ("IS_OBJECT($body.Weather)", "true"),
        ("IS_PRIMITIVE($body.Weather)", "false"),
        ("IS_PRIMITIVE(null)", "true"),
        ("IS_STRING(severity)", "true"),
        ("CONCAT('a', processingPath, 'z')", "text ahotz"),
        ("CONCAT('a', 1)", "undefined"),
        ("LENGTH(umlaut)", "5"),
        ("LENGTH(1)", "undefined"),
        ("LOWER('ÄB')", "text äb"),
        ("UPPER(umlaut)", "text GRÖSSE"),
        ("SUBSTRING('abcdef', 2)", "text cdef"),
        ("SUBSTRING('abcdef', 2, 3)", "text cde"),
        ("SUBSTRING(umlaut, 2, 1)", "text ö"),
        ("SUBSTRING('abc', 9)", "text "),
        ("SUBSTRING('abc', -1)", "undefined"),
        ("SUBSTRING('abc', 0.5)", "undefined"),
        ("SUBSTRING('abc', 0, 'x')", "undefined"),
        ("INDEX_OF(umlaut, 'ß')", "3"),
        ("INDEX_OF('abc', 'x')", "-1"),
        ("STARTS_WITH(processingPath, 'ho')", "true"),
        ("startswith(processingPath, 'x')", "false"),
        ("ENDS_WITH('abc', 'bc')", "true"),
        ("ENDSWITH('abc', 'bc')", "true"),
        ("CONTAINS('abc', 'b')", "true"),
        ("CONTAINS('abc', 1)", "undefined"),
    ]);
}

#[test]
fn texts_have_their_documented_escapes() {
    check(&[
        (r#"'it\'s'"#, "text it's"),
        (r#""say \"x\"""#, r#"text say "x""#),
        (r#"'back\\slash'"#, r"text back\slash"),
        (r#"'\u00e4'"#, "text ä"),
        (r#"'\ud83d\ude00'"#, "text 😀"),
        ("'\"'", "text \""),
        (
            r#"'\n'"#,
            r#"error: this escape does not exist at character 2; there are \' \" \\ and \uXXXX"#,
        ),
        (
            r#"'\ud83d\ud11e'"#,
            r#"error: this escape does not exist at character 2; there are \' \" \\ and \uXXXX"#,
        ),
        (
            r#"'\ud83d'"#,
            r#"error: this escape does not exist at character 2; there are \' \" \\ and \uXXXX"#,
        ),
    ]);
}

#[test]
fn what_is_no_condition_is_refused_with_its_place() {
    check(&[
        (
            "a = 1 = 2",
            "error: a second comparison at character 7; compare two values at a time and join them with AND",
        ),
        (
            "a b",
            "error: something after the end of the condition at character 3; join conditions with AND or OR",
        ),
        (
            "a =",
            "error: a value is missing at character 4; write a property, a number or a text in quotes",
        ),
        ("(a", "error: a ) is missing at character 3"),
        (
            "a && b",
            "error: the character '&' has no meaning here at character 3; write AND",
        ),
        (
            "'abc",
            "error: a text does not end at character 1; close it with the quote that opened it",
        ),
        (
            "FOO(1)",
            "error: there is no function FOO at character 1; the functions are listed in the routing documentation",
        ),
        (
            "LENGTH(a, b)",
            "error: LENGTH takes 1 arguments, not 2 at character 1",
        ),
        (
            "CONCAT(a)",
            "error: CONCAT takes 2 or more arguments, not 1 at character 1",
        ),
        (
            "SUBSTRING(a)",
            "error: SUBSTRING takes 2 to 3 arguments, not 1 at character 1",
        ),
        (
            "a IN b",
            "error: a list is missing at character 6; write IN ['a', 'b']",
        ),
        (
            "a IN [b]",
            "error: a list holds constants only at character 7; compare paths with = and OR",
        ),
        (
            "$twin.deviceId = 'x'",
            "error: this part of a twin cannot be asked for at character 1; write $twin.tags.x, $twin.properties.desired.x or $twin.properties.reported.x",
        ),
        (
            "a[0] = 'x'",
            "error: a property is a text and has no elements at character 1; elements of the body are read as $body.list[0]",
        ),
        (
            "$body.a['x']",
            "error: an index is missing at character 9; an index is a whole number from 0, as in $body.list[0]",
        ),
        ("12abc", "error: 12abc is no number at character 1"),
        ("0x", "error: 0x is no number at character 1"),
        (
            "and",
            "error: a value is missing before and at character 1; a property of that name is written [[name]]",
        ),
        (
            "$",
            "error: a name is missing after $ at character 1; write $body.x, $twin.tags.x or a system property",
        ),
    ]);
}

#[test]
fn long_and_deep_ones_are_refused() {
    let nested = |depth: usize| format!("{}true{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(outcome(&nested(DEPTH_MAX)), "true");
    let refused = outcome(&nested(DEPTH_MAX + 1));
    assert!(refused.contains("nested more than 64 deep"), "{refused}");
    assert!(outcome(&"NOT ".repeat(5_000)).contains("more than 8192 bytes"));
    assert!(outcome(&format!("{}true", "NOT ".repeat(100))).contains("deep"));
    assert!(outcome(&"-".repeat(200)).contains("deep"));
    let long = vec!["true"; QUERY_BYTES_MAX / 9].join(" AND ");
    assert_eq!(outcome(&long), "true");
    let sum = vec!["1"; 1_000].join("+");
    assert_eq!(outcome(&sum), "1000");
}

#[test]
fn texts_do_not_grow_without_end() {
    let mut sample = sample();
    sample.body = Some(json!({"long": "x".repeat(100_000)}));
    let condition = Condition::parse("LENGTH(CONCAT($body.long, $body.long))").unwrap();
    assert_eq!(condition.value(&sample), Value::Number(200_000.0));
    let condition = Condition::parse("CONCAT($body.long, $body.long, $body.long)").unwrap();
    assert_eq!(condition.value(&sample), Value::Undefined);
}

#[test]
fn a_condition_says_what_it_needs() {
    let needs = |text: &str| Condition::parse(text).unwrap().needs();
    let nothing = Needs::default();
    assert_eq!(needs("true"), nothing);
    assert!(Condition::parse("TRUE").unwrap().is_always());
    assert!(!Condition::parse("not false").unwrap().is_always());
    assert!(needs("a = 'b'").properties && !needs("a = 'b'").body);
    assert!(needs("length(concat($body.x, 'a')) > 1").body);
    assert!(needs("false or 1 in [1] or not $twin.tags.x").twin);
}

#[test]
fn bodies_are_read_in_their_encoding() {
    let json = |kind, encoding, body: &[u8]| json_body(kind, encoding, body);
    let one = Some(json!({"a": "ä"}));
    let text = r#"{"a":"ä"}"#;
    let utf_16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf_32: Vec<u8> = text
        .chars()
        .flat_map(|c| u32::from(c).to_be_bytes())
        .collect();
    let kind = Some("application/json; charset=x");
    assert_eq!(json(kind, Some("utf-8"), text.as_bytes()), one);
    assert_eq!(json(kind, Some("UTF-16"), &utf_16), one);
    let marked = [&[0, 0, 0xfe, 0xff][..], &utf_32].concat();
    assert_eq!(json(kind, Some("utf-32"), &marked), one);
    assert_eq!(json(None, Some("utf-8"), text.as_bytes()), None);
    assert_eq!(json(kind, None, text.as_bytes()), None);
    assert_eq!(
        json(Some("text/plain"), Some("utf-8"), text.as_bytes()),
        None
    );
    assert_eq!(json(kind, Some("gzip"), text.as_bytes()), None);
    assert_eq!(json(kind, Some("utf-8"), b"{"), None);
    assert_eq!(json(kind, Some("utf-16"), b"abc"), None);
    assert_eq!(json(kind, Some("utf-32"), b"abcd"), None);
}

#[test]
fn values_of_enrichments_are_texts_of_the_twin() {
    let sample = sample();
    let value = |text: &str| match twin_path(text) {
        Err(error) => format!("error: {error}"),
        Ok(None) => "literal".to_owned(),
        Ok(Some(path)) => {
            twin_text(sample.twin().unwrap(), &path).unwrap_or_else(|| "nothing".to_owned())
        }
    };
    assert_eq!(value("static"), "literal");
    assert_eq!(value("$iothubname"), "literal");
    assert_eq!(value("$twin.tags.deploymentLocation.building"), "43");
    assert_eq!(
        value("$twin.tags.deploymentLocation"),
        r#"{"building":"43","floor":"1"}"#
    );
    assert_eq!(value("$twin.properties.reported.batteryLevel"), "55");
    assert_eq!(value("$twin.properties.reported.list[0]"), "1");
    assert_eq!(value("$twin.tags.nothing"), "nothing");
    assert!(value("$twin.tags.a + 1").starts_with("error"));
    assert!(value("$twin.status").starts_with("error: this part"));
}
