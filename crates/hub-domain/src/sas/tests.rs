use super::*;
use crate::{DeviceId, HostName, ModuleId, Timestamp};

const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const PYTHON_TOKEN: &str = "SharedAccessSignature sr=hub.test%2Fdevices%2Fd1&sig=ebqDGe%2BkKy6MZgj1y7XauwLOrv5iwY%2F8PqFddOTbC5s%3D&se=1700000000";

fn key() -> SymmetricKey {
    SymmetricKey::parse(KEY).unwrap()
}

fn host() -> HostName {
    HostName::parse("hub.test").unwrap()
}

fn device(id: &str) -> Resource {
    Resource::device(&host(), &DeviceId::parse(id).unwrap())
}

fn module(id: &str, module: &str) -> Resource {
    Resource::module(
        &host(),
        &DeviceId::parse(id).unwrap(),
        &ModuleId::parse(module).unwrap(),
    )
}

/// A token over `sr` and `se` exactly as given.
fn token(sr: &str, se: &str, extra: &str) -> String {
    use base64::Engine as _;
    let signature = base64::engine::general_purpose::STANDARD
        .encode(key().sign(format!("{sr}\n{se}").as_bytes()));
    let signature = percent_encoding::utf8_percent_encode(&signature, RESERVED);
    format!("SharedAccessSignature sr={sr}&sig={signature}&se={se}{extra}")
}

fn error(text: &str) -> SasError {
    SasToken::parse(text).err().unwrap()
}

mod keys {
    use super::*;

    #[test]
    fn print_what_they_were_read_from() {
        assert_eq!(key().to_base64(), KEY);
        assert_eq!(key().as_bytes(), b"0123456789abcdef0123456789abcdef");
    }

    #[test]
    fn have_sixteen_to_sixty_four_bytes() {
        for (bytes, allowed) in [(15, false), (16, true), (64, true), (65, false)] {
            let result = SymmetricKey::from_bytes(&vec![7; bytes]).map(|key| key.as_bytes().len());
            assert_eq!(
                result,
                if allowed {
                    Ok(bytes)
                } else {
                    Err(KeyError::Size { bytes })
                }
            );
        }
        assert_eq!(
            SymmetricKey::parse("").err(),
            Some(KeyError::Size { bytes: 0 })
        );
    }

    #[test]
    fn refuse_what_is_not_canonical_base64() {
        for text in [
            "no key!",
            "MDEyMzQ1Njc4OWFiY2RlZg",
            "MDEyMzQ1Njc4OWFiY2RlZh==",
            "MDEyMzQ1Njc4OWFiY2RlZ_==",
        ] {
            assert_eq!(
                SymmetricKey::parse(text).err(),
                Some(KeyError::NotBase64),
                "{text}"
            );
        }
    }

    #[test]
    fn sign_with_hmac_sha_256() {
        // RFC 4231, test case 1.
        let key = SymmetricKey::from_bytes(&[0x0b; 20]).unwrap();
        let printed: String = key
            .sign(b"Hi There")
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            printed,
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
    }

    #[test]
    fn are_equal_when_their_bytes_are() {
        assert!(key() == key().clone());
        assert!(key() != SymmetricKey::from_bytes(&[7; 32]).unwrap());
        assert!(
            SymmetricKey::from_bytes(&[7; 16]).unwrap()
                != SymmetricKey::from_bytes(&[7; 17]).unwrap()
        );
    }
}

mod resources {
    use super::*;

    fn parsed(text: &str) -> String {
        match Resource::parse(text) {
            Ok(resource) => format!("{} [{}]", resource.host(), resource.segments().join("|")),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn read_every_clients_spelling() {
        for (text, expected) in [
            ("hub.test%2Fdevices%2Fd1", "hub.test [devices|d1]"),
            ("hub.test%2fdevices%2fd1", "hub.test [devices|d1]"),
            ("Hub.Test/devices/D1", "hub.test [devices|D1]"),
            ("localhost%3A18883%2Fdevices%2Fd1", "localhost [devices|d1]"),
            ("https%3A%2F%2Fhub.test%2f", "hub.test []"),
            ("sb://hub.test/hub/", "hub.test [hub]"),
            ("hub.test", "hub.test []"),
            ("hub.test/devices/a+b", "hub.test [devices|a+b]"),
            ("hub.test%2Fdevices%2Fa%2Bb", "hub.test [devices|a+b]"),
            ("hub.test/devices/a%2525b", "hub.test [devices|a%25b]"),
            (
                "hub.test/devices/x/api-version=2016-11-14",
                "hub.test [devices|x]",
            ),
            (
                "hub.test/devices/x/modules/m/api-version=2016-11-14",
                "hub.test [devices|x|modules|m]",
            ),
            ("", "the resource names no host"),
            ("/devices/d1", "the resource names no host"),
            ("hub%FF", "the resource is not UTF-8"),
        ] {
            assert_eq!(parsed(text), expected, "{text}");
        }
    }

    #[test]
    fn a_device_named_like_a_version_does_not_widen_to_all_devices() {
        assert_eq!(
            parsed("hub.test/devices/api-version=1"),
            "hub.test [devices|api-version=1]"
        );
        assert_eq!(
            parsed("hub.test/devices/d/modules/api-version=1"),
            "hub.test [devices|d|modules|api-version=1]"
        );
    }

    #[test]
    fn cover_whole_segments_below_them() {
        let hub = Resource::hub(&host());
        assert!(hub.covers(&device("d1")) && hub.covers(&hub));
        assert!(device("d1").covers(&device("d1")));
        assert!(device("d1").covers(&module("d1", "m")));
        assert!(!device("d1").covers(&device("d11")));
        assert!(!device("d1").covers(&device("D1")));
        assert!(!module("d1", "m").covers(&device("d1")));
        assert!(!device("d1").covers(&hub));
        let elsewhere = Resource::parse("other.test/devices/d1").unwrap();
        assert!(!elsewhere.covers(&device("d1")) && elsewhere.covers_path_of(&device("d1")));
    }
}

mod tokens {
    use super::*;

    #[test]
    fn that_are_signed_here_are_believed() {
        let text = sign_token(
            "hub.test/devices/d 1",
            &key(),
            Timestamp::from_seconds(1_700_000_000),
            Some("a&b"),
        );
        let token = SasToken::parse(&text).unwrap();
        assert!(token.verify(&key()));
        assert_eq!(token.expiry(), Timestamp::from_seconds(1_700_000_000));
        assert_eq!(token.policy(), Some("a&b"));
        assert_eq!(token.resource().segments(), ["devices", "d 1"]);
        assert!(!token.verify(&SymmetricKey::from_bytes(&[7; 32]).unwrap()));
    }

    #[test]
    fn match_one_computed_by_the_python_standard_library() {
        // hmac.new(b64decode(KEY), b"hub.test%2Fdevices%2Fd1\n1700000000", sha256), quoted with no safe characters.
        let text = sign_token(
            "hub.test/devices/d1",
            &key(),
            Timestamp::from_seconds(1_700_000_000),
            None,
        );
        assert_eq!(text, PYTHON_TOKEN);
        assert!(SasToken::parse(PYTHON_TOKEN).unwrap().verify(&key()));
    }

    #[test]
    fn are_verified_over_the_bytes_received() {
        for sr in [
            "hub.test%2Fdevices%2Fd1",
            "hub.test%2fdevices%2fd1",
            "hub.test/devices/d1",
            "HUB.test%3A8883%2Fdevices%2Fd1",
        ] {
            let text = token(sr, "1700000000", "");
            let token = SasToken::parse(&text).unwrap();
            assert!(token.verify(&key()), "{sr}");
            assert!(token.resource().covers(&device("d1")), "{sr}");
            let respelled = text.replacen("hub.test", "Hub.test", 1);
            let respelled = SasToken::parse(&respelled).unwrap();
            assert!(!respelled.verify(&key()) || sr.starts_with("HUB"), "{sr}");
        }
    }

    #[test]
    fn do_not_survive_a_changed_expiry() {
        let text = token("hub.test", "1700000000", "").replace("1700000000", "1800000000");
        assert!(!SasToken::parse(&text).unwrap().verify(&key()));
    }

    #[test]
    fn have_fields_in_any_order_and_ignore_unknown_ones() {
        let usual = token("hub.test", "1700000000", "&skn=service");
        let (_, fields) = usual.split_once(' ').unwrap();
        let mut reversed: Vec<&str> = fields.split('&').collect();
        reversed.reverse();
        let text = format!("sharedaccesssignature  {}&x=y", reversed.join("&"));
        let token = SasToken::parse(&text).unwrap();
        assert!(token.verify(&key()));
        assert_eq!(token.policy(), Some("service"));
    }

    #[test]
    fn with_an_empty_policy_have_none() {
        let text = token("hub.test", "1700000000", "&skn=");
        assert_eq!(SasToken::parse(&text).unwrap().policy(), None);
    }

    #[test]
    fn with_a_far_expiry_end_in_year_9999() {
        for se in ["253402300799", "253402300800", "99999999999999999999999999"] {
            let text = token("hub.test", se, "");
            let token = SasToken::parse(&text).unwrap();
            assert!(token.verify(&key()));
            assert_eq!(token.expiry().to_rfc3339(), "9999-12-31T23:59:59.0000000Z");
        }
    }

    #[test]
    fn that_are_malformed_say_why() {
        let good = token("hub.test", "1700000000", "");
        let without = |field: &str| {
            let (scheme, fields) = good.split_once(' ').unwrap();
            let kept: Vec<&str> = fields
                .split('&')
                .filter(|part| !part.starts_with(field))
                .collect();
            format!("{scheme} {}", kept.join("&"))
        };
        assert_eq!(error(""), SasError::Scheme);
        assert_eq!(error("SharedAccessSignature"), SasError::Scheme);
        assert_eq!(error("Bearer abc"), SasError::Scheme);
        assert_eq!(error("SharedAccessSignature sr"), SasError::NoValue);
        assert_eq!(error(&without("sr=")), SasError::Missing("sr"));
        assert_eq!(error(&without("sig=")), SasError::Missing("sig"));
        assert_eq!(error(&without("se=")), SasError::Missing("se"));
        assert_eq!(error(&format!("{good}&se=1")), SasError::Duplicate("se"));
        assert_eq!(
            error(&format!("{good}&skn=a&skn=b")),
            SasError::Duplicate("skn")
        );
        assert_eq!(
            error(&good.replace("sr=hub.test", "sr=")),
            SasError::Resource(ResourceError::NoHost)
        );
        for expiry in ["", "-1", "+1", "1.5", "soon"] {
            assert_eq!(
                error(&token("hub.test", expiry, "")),
                SasError::Expiry,
                "{expiry}"
            );
        }
        for signature in ["", "x", "AAAA", "%FF%FF"] {
            let text = format!("SharedAccessSignature sr=hub.test&sig={signature}&se=1");
            assert_eq!(error(&text), SasError::Signature, "{signature}");
        }
        assert_eq!(error(&format!("{good}&skn=%FF")), SasError::Policy);
    }

    #[test]
    fn of_the_device_itself_may_encode_its_id_twice() {
        let own = token("hub.test%2Fdevices%2Fa%2540b", "1700000000", "");
        let own = SasToken::parse(&own).unwrap();
        assert!(own.covers_path_of(&device("a@b")));
        assert!(own.covers_path_of(&device("a%40b")));
        assert!(!own.covers_path_of(&device("ab")));
        let policy = token("hub.test%2Fdevices%2Fa%2540b", "1700000000", "&skn=device");
        let policy = SasToken::parse(&policy).unwrap();
        assert!(!policy.covers_path_of(&device("a@b")));
        assert!(policy.covers_path_of(&device("a%40b")));
    }
}

#[test]
fn a_key_signs_by_its_bytes_or_by_its_text() {
    let key = SymmetricKey::from_bytes(&[7; 32]).unwrap();
    // What azure-eventhub computes: HMAC-SHA256 keyed with the base64 text.
    let text = SymmetricKey::from_bytes(key.to_base64().as_bytes()).unwrap();
    let token = sign_token(
        "sb://h.test/hub",
        &text,
        Timestamp::from_seconds(9),
        Some("p"),
    );
    let token = SasToken::parse(&token).unwrap();
    assert!(token.verify_by_text(&key));
    assert!(!token.verify(&key));
    assert!(!token.verify_by_text(&text));
}
