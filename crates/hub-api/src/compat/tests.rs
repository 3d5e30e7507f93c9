use hub_domain::identity::{Activity, Thumbprint};
use hub_domain::twin::{BackEndPatch, Twin as DomainTwin, patch_back_end};
use hub_domain::{
    Authentication, DeviceId, ErrorCode, Etag, GenerationId, Identity, IdentityId, ModuleId,
    Status, SymmetricKey, Timestamp,
};
use serde_json::{Value, json};

use super::*;

const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

fn identity(module: Option<&str>) -> Identity {
    let device = DeviceId::parse("d1").unwrap();
    let key = SymmetricKey::parse(KEY).unwrap();
    Identity {
        id: IdentityId {
            device,
            module: module.map(|m| ModuleId::parse(m).unwrap()),
        },
        generation: GenerationId("638".into()),
        etag: Etag("NTg=".to_owned()),
        status: Status::Enabled,
        status_reason: None,
        status_updated: Timestamp::NEVER,
        authentication: Authentication::Sas {
            primary: key.clone(),
            secondary: key,
        },
        iot_edge: false,
        device_scope: None,
        parent_scopes: Vec::new(),
        managed_by: None,
    }
}

fn error(result: Result<impl Sized, InputError>) -> (ErrorCode, String) {
    match result {
        Ok(_) => panic!("it was accepted"),
        Err(error) => (error.code(), error.to_string()),
    }
}

#[test]
fn a_new_device_prints_like_the_vendors() {
    let printed = serde_json::to_value(Device::new(&identity(None), &Activity::NONE, 0)).unwrap();
    let expected = json!({
        "deviceId": "d1", "generationId": "638", "etag": "NTg=", "connectionState": "Disconnected",
        "status": "enabled", "statusReason": null,
        "connectionStateUpdatedTime": "0001-01-01T00:00:00", "statusUpdatedTime": "0001-01-01T00:00:00",
        "lastActivityTime": "0001-01-01T00:00:00", "cloudToDeviceMessageCount": 0,
        "authentication": {
            "symmetricKey": {"primaryKey": KEY, "secondaryKey": KEY},
            "x509Thumbprint": {"primaryThumbprint": null, "secondaryThumbprint": null},
            "type": "sas"
        },
        "capabilities": {"iotEdge": false}
    });
    assert_eq!(printed, expected);
}

#[test]
fn scopes_and_thumbprints_are_printed_when_there_are_any() {
    let mut identity = identity(None);
    identity.authentication = Authentication::SelfSigned {
        primary: Thumbprint::parse(&"ab".repeat(20)),
        secondary: None,
    };
    identity.device_scope = Some("scope".to_owned());
    identity.parent_scopes = vec!["parent".to_owned()];
    let activity = Activity {
        connected: true,
        connection_updated: Timestamp::from_micros(1),
        ..Activity::NONE
    };
    let printed = serde_json::to_value(Device::new(&identity, &activity, 3)).unwrap();
    assert_eq!(printed["connectionState"], "Connected");
    assert_eq!(
        printed["connectionStateUpdatedTime"],
        "1970-01-01T00:00:00.0000010Z"
    );
    assert_eq!(printed["authentication"]["type"], "selfSigned");
    assert_eq!(
        printed["authentication"]["x509Thumbprint"],
        json!({"primaryThumbprint": "AB".repeat(20), "secondaryThumbprint": null})
    );
    assert_eq!(
        printed["authentication"]["symmetricKey"]["primaryKey"],
        Value::Null
    );
    assert_eq!(
        (&printed["deviceScope"], &printed["parentScopes"]),
        (&json!("scope"), &json!(["parent"]))
    );
}

#[test]
fn a_device_read_and_sent_back_whole_is_the_same_device() {
    let mut identity = identity(None);
    identity.status = Status::Disabled;
    identity.status_reason = Some("lost".to_owned());
    identity.iot_edge = true;
    identity.device_scope = Some("scope".to_owned());
    let body = serde_json::to_vec(&Device::new(&identity, &Activity::NONE, 7)).unwrap();
    let input = DeviceInput::parse(&body).unwrap();
    assert_eq!(input.device_id.as_deref(), Some("d1"));
    assert_eq!(
        (input.status, input.status_reason.as_deref()),
        (Status::Disabled, Some("lost"))
    );
    assert_eq!(
        (input.iot_edge, input.device_scope.as_deref()),
        (true, Some("scope"))
    );
    let AuthenticationInput::Sas {
        primary: Some(primary),
        secondary: Some(_),
    } = input.authentication
    else {
        panic!("the keys are gone");
    };
    assert_eq!(primary.to_base64(), KEY);
}

#[test]
fn keys_that_are_missing_null_or_empty_are_left_to_the_hub() {
    for body in [
        json!({}),
        json!({"authentication": null}),
        json!({"authentication": {}}),
        json!({"authentication": {"type": "sas", "symmetricKey": null}}),
        json!({"authentication": {"symmetricKey": {"primaryKey": "", "secondaryKey": null}}}),
        json!({"authentication": {"type": "sas", "x509Thumbprint": {"primaryThumbprint": null}}}),
    ] {
        let input = DeviceInput::parse(body.to_string().as_bytes()).unwrap();
        let expected = matches!(
            input.authentication,
            AuthenticationInput::Sas {
                primary: None,
                secondary: None
            }
        );
        assert!(expected, "{body}");
    }
}

#[test]
fn a_thumbprint_without_a_type_means_self_signed() {
    let body =
        json!({"authentication": {"x509Thumbprint": {"primaryThumbprint": "0f".repeat(32)}}});
    let input = ModuleInput::parse(body.to_string().as_bytes()).unwrap();
    assert!(matches!(
        input.authentication,
        AuthenticationInput::SelfSigned {
            primary: Some(_),
            secondary: None
        }
    ));
}

#[test]
fn a_wrong_member_is_named_with_what_it_must_be_and_never_shown() {
    let parse = |body: Value| error(DeviceInput::parse(body.to_string().as_bytes()));
    let cases = [
        (json!([]), "the body must be an object, not an array"),
        (
            json!({"status": 5}),
            "status must be a string, not a number",
        ),
        (
            json!({"capabilities": {"iotEdge": "yes"}}),
            "capabilities.iotEdge must be a boolean, not a string",
        ),
        (
            json!({"authentication": {"symmetricKey": {"primaryKey": 1}}}),
            "authentication.symmetricKey.primaryKey must be a string, not a number",
        ),
        (
            json!({"parentScopes": "x"}),
            "parentScopes must be an array, not a string",
        ),
        (
            json!({"parentScopes": ["x", {}]}),
            "parentScopes[1] must be a string, not an object",
        ),
    ];
    for (body, text) in cases {
        assert_eq!(
            parse(body),
            (ErrorCode::DeserializationError, text.to_owned())
        );
    }
    let cases = [
        (
            json!({"status": "on"}),
            "status: it must be enabled or disabled",
        ),
        (
            json!({"authentication": {"type": "magic"}}),
            "authentication.type: it must be sas, selfSigned, certificateAuthority or none",
        ),
        (
            json!({"authentication": {"symmetricKey": {"primaryKey": "c2hvcnQ="}}}),
            "authentication.symmetricKey.primaryKey: the key has 5 bytes, not 16 to 64",
        ),
        (
            json!({"authentication": {"x509Thumbprint": {"secondaryThumbprint": "xy"}}}),
            "authentication.x509Thumbprint.secondaryThumbprint: a thumbprint has 40 or 64 hexadecimal digits",
        ),
    ];
    for (body, text) in cases {
        assert_eq!(parse(body), (ErrorCode::ArgumentInvalid, text.to_owned()));
    }
}

#[test]
fn a_body_that_is_no_json_says_where_it_breaks() {
    let text = "the body is not valid JSON at line 2 column 2".to_owned();
    assert_eq!(
        error(DeviceInput::parse(b"{\n}}")),
        (ErrorCode::DeserializationError, text)
    );
    let deep = format!("{{\"tags\":{}", "[".repeat(100_000));
    for bad in [&b""[..], b"{\"tags\":", b"\xff\xfe", deep.as_bytes()] {
        assert_eq!(
            error(TwinInput::parse(bad)).0,
            ErrorCode::DeserializationError
        );
        assert_eq!(
            error(MethodInput::parse(bad)).0,
            ErrorCode::DeserializationError
        );
    }
}

#[test]
fn a_new_twin_prints_like_the_vendors() {
    let twin = DomainTwin::new();
    let identity = identity(None);
    let printed = serde_json::to_value(Twin::new(&identity, &Activity::NONE, 0, &twin)).unwrap();
    let section = json!({"$metadata": {"$lastUpdated": "0001-01-01T00:00:00Z"}, "$version": 1});
    let expected = json!({
        "deviceId": "d1", "etag": "AAAAAAAAAAE=", "deviceEtag": "NTg=", "status": "enabled",
        "statusUpdateTime": "0001-01-01T00:00:00Z", "connectionState": "Disconnected",
        "lastActivityTime": "0001-01-01T00:00:00Z", "cloudToDeviceMessageCount": 0,
        "authenticationType": "sas",
        "x509Thumbprint": {"primaryThumbprint": null, "secondaryThumbprint": null},
        "modelId": "", "version": 2, "tags": {},
        "properties": {"desired": section, "reported": section},
        "capabilities": {"iotEdge": false}
    });
    assert_eq!(printed, expected);
}

#[test]
fn a_module_twin_leaves_out_what_only_devices_have() {
    let twin = DomainTwin::new();
    let identity = identity(Some("m1"));
    let printed = serde_json::to_value(Twin::new(&identity, &Activity::NONE, 0, &twin)).unwrap();
    assert_eq!(printed["moduleId"], "m1");
    for absent in [
        "status",
        "statusUpdateTime",
        "capabilities",
        "deviceScope",
        "parentScopes",
    ] {
        assert_eq!(printed.get(absent), None, "{absent}");
    }
    let printed = serde_json::to_value(Module::new(&identity, &Activity::NONE, 0)).unwrap();
    assert_eq!(
        (&printed["moduleId"], &printed["managedBy"]),
        (&json!("m1"), &Value::Null)
    );
    assert_eq!(printed.get("status"), None);
}

#[test]
fn a_twin_read_and_sent_back_whole_changes_nothing() {
    let patch = BackEndPatch {
        tags: json!({"a": 1}).as_object().cloned(),
        desired: json!({"b": {"c": [1, null]}}).as_object().cloned(),
    };
    let change = patch_back_end(
        &DomainTwin::new().back_end,
        &patch,
        Timestamp::from_micros(1),
    )
    .unwrap();
    let twin = DomainTwin {
        back_end: change.next,
        ..DomainTwin::new()
    };
    let body = serde_json::to_vec(&Twin::new(&identity(None), &Activity::NONE, 0, &twin)).unwrap();
    let input = TwinInput::parse(&body).unwrap();
    let patch = BackEndPatch {
        tags: input.tags,
        desired: input.desired,
    };
    let again = patch_back_end(&twin.back_end, &patch, Timestamp::from_micros(2)).unwrap();
    assert_eq!(again.next.tags, twin.back_end.tags);
    assert_eq!(
        again.next.desired.properties,
        twin.back_end.desired.properties
    );
}

#[test]
fn nulls_in_a_twin_patch_are_kept_and_reported_is_ignored() {
    let body = br#"{"tags":{"a":null},"properties":{"desired":{"b":null},"reported":{"c":1}}}"#;
    let input = TwinInput::parse(body).unwrap();
    assert_eq!(input.tags, json!({"a": null}).as_object().cloned());
    assert_eq!(input.desired, json!({"b": null}).as_object().cloned());
    let nothing = TwinInput::parse(br#"{"tags":null,"properties":{"desired":null}}"#).unwrap();
    assert_eq!((nothing.tags, nothing.desired), (None, None));
    let text = "properties.desired must be an object, not an array".to_owned();
    let wrong = TwinInput::parse(br#"{"properties":{"desired":[]}}"#);
    assert_eq!(error(wrong), (ErrorCode::DeserializationError, text));
}

#[test]
fn method_payloads_are_kept_byte_for_byte() {
    for payload in [
        "1.0",
        "{\"b\": 1,\"a\":2}",
        "\"\\u00e4\"",
        "null",
        "[ ]",
        "1e999",
    ] {
        let body = format!("{{\"methodName\":\"m\",\"payload\":{payload}}}");
        let input = MethodInput::parse(body.as_bytes()).unwrap();
        assert_eq!(
            input.payload.map(|raw| raw.get().to_owned()).as_deref(),
            Some(payload)
        );
    }
    assert!(
        MethodInput::parse(br#"{"methodName":"m"}"#)
            .unwrap()
            .payload
            .is_none()
    );
}

#[test]
fn method_timeouts_have_their_documented_range_and_default() {
    let parse =
        |members: &str| MethodInput::parse(format!("{{\"methodName\":\"m\"{members}}}").as_bytes());
    let times = |members: &str| parse(members).map(|m| (m.connect.as_secs(), m.response.as_secs()));
    assert_eq!(times(""), Ok((0, 30)));
    assert_eq!(
        times(r#","connectTimeoutInSeconds":null,"responseTimeoutInSeconds":null"#),
        Ok((0, 30))
    );
    assert_eq!(
        times(r#","connectTimeoutInSeconds":300,"responseTimeoutInSeconds":5.0"#),
        Ok((300, 5))
    );
    assert_eq!(
        times(r#","connectTimeoutInSeconds":0,"responseTimeoutInSeconds":300"#),
        Ok((0, 300))
    );
    for (name, value, range) in [
        ("responseTimeoutInSeconds", "4", "5 to 300"),
        ("responseTimeoutInSeconds", "301", "5 to 300"),
        ("responseTimeoutInSeconds", "-5", "5 to 300"),
        (
            "responseTimeoutInSeconds",
            "99999999999999999999999",
            "5 to 300",
        ),
        ("connectTimeoutInSeconds", "301", "0 to 300"),
        ("connectTimeoutInSeconds", "-1", "0 to 300"),
    ] {
        let text = format!("{name}: it must be from {range} seconds");
        let result = parse(&format!(",\"{name}\":{value}"));
        assert_eq!(error(result), (ErrorCode::ArgumentInvalid, text), "{value}");
    }
    let text = "responseTimeoutInSeconds must be an integer, not a number".to_owned();
    let fraction = parse(r#","responseTimeoutInSeconds":5.5"#);
    assert_eq!(error(fraction), (ErrorCode::DeserializationError, text));
}

#[test]
fn a_method_needs_a_name() {
    let parse = |body: &str| error(MethodInput::parse(body.as_bytes()));
    assert_eq!(
        parse("{}"),
        (ErrorCode::ArgumentNull, "methodName is missing".to_owned())
    );
    assert_eq!(parse(r#"{"methodName":""}"#).0, ErrorCode::ArgumentInvalid);
    assert_eq!(
        parse(r#"{"methodName":7}"#).1,
        "methodName must be a string, not a number"
    );
    assert_eq!(parse("7").1, "the body must be an object, not a number");
}

#[test]
fn method_results_carry_any_json_and_null_for_nothing() {
    let printed = |status, payload: &[u8]| {
        MethodResult::new(status, payload).map(|result| serde_json::to_string(&result).unwrap())
    };
    assert_eq!(
        printed(200, b"{\"a\": 1.0}").as_deref(),
        Some(r#"{"status":200,"payload":{"a": 1.0}}"#)
    );
    assert_eq!(
        printed(-1, b"").as_deref(),
        Some(r#"{"status":-1,"payload":null}"#)
    );
    assert_eq!(printed(200, b"not json"), None);
}

#[test]
fn error_bodies_can_be_taken_apart_at_the_first_semicolon() {
    let now = Timestamp::parse_rfc3339("2026-01-31T12:34:56Z").unwrap();
    let body = ErrorBody::new(
        ErrorCode::DeviceNotFound,
        "no such device; create it",
        "r1",
        now,
    );
    let printed = serde_json::to_value(body).unwrap();
    assert_eq!(
        printed["Message"],
        "ErrorCode:DeviceNotFound;no such device, create it"
    );
    assert_eq!(
        printed["ExceptionMessage"],
        "Tracking ID:r1-G:0-TimeStamp:01/31/2026 12:34:56"
    );
    let silent = ErrorBody::new(ErrorCode::ServerError, "", "r1", now);
    assert_eq!(silent.message, "ErrorCode:ServerError;ServerError");
}

#[test]
fn message_headers_become_properties_without_regard_to_case() {
    let id = IdentityId::parse("d1").unwrap();
    let headers = [
        ("IoTHub-MessageId", "m-1"),
        ("iothub-correlationid", "c-1"),
        ("iothub-ack", "Full"),
        ("iothub-expiry", "2026-01-31T12:34:56Z"),
        ("iothub-app-Colour", "red"),
        ("iothub-app-", "nothing"),
        ("iothub-to", "/devices/other/messages/devicebound"),
        ("content-type", "text/plain"),
    ];
    let draft =
        draft_from_headers(&id, headers, "hello".into(), Timestamp::from_micros(5)).unwrap();
    assert_eq!(
        (draft.message_id.as_deref(), draft.correlation_id.as_deref()),
        (Some("m-1"), Some("c-1"))
    );
    assert_eq!(draft.ack.as_str(), "full");
    assert_eq!(
        draft.expiry,
        Timestamp::parse_rfc3339("2026-01-31T12:34:56Z").ok()
    );
    assert_eq!(
        draft.properties,
        [("Colour".to_owned(), Some("red".to_owned()))]
    );
    assert_eq!(
        (draft.to.as_str(), draft.content_type),
        ("/devices/d1/messages/devicebound", None)
    );
    let bad = draft_from_headers(&id, [("iothub-ack", "maybe")], "".into(), Timestamp::NEVER);
    assert_eq!(
        error(bad).1,
        "iothub-ack: it must be none, positive, negative or full"
    );
}
