//! The SASL mechanism TPM: a device shows the keys of its TPM, gets a key that only that TPM can read, and signs its token
//! with it.
//!
//! `sasl_tpm.ts` of the Node SDK, `SaslTpmHandler.cs`, `prov_sasl_tpm.c`. The device begins with a zero byte, the id scope, a
//! zero byte, the registration id, a zero byte and its endorsement key. One zero byte asks for the storage root key, which
//! comes behind a zero byte. The wrapped key goes in segments, each behind a control byte: 0x80 says that there is one, 0x40
//! that it is the last, the lowest two bits count. The device answers each with a zero byte, and the last with a zero byte and
//! its token.

use hub_domain::provisioning::RegistrationId;
use hub_provisioning::TpmKeys;

use crate::provisioning::Name;

/// Bytes of a segment: a SASL frame may have 512 (AMQP part 2, section 4.1), and the C SDK takes 470 as well.
const SEGMENT_BYTES: usize = 470;
/// Segments of a key: the C SDK does not begin again with zero after the fourth.
const SEGMENTS_MAX: usize = 4;
const IS_SEGMENT: u8 = 0x80;
const IS_LAST: u8 = 0x40;
const COUNT: u8 = 0x03;

/// An exchange that goes on.
pub(crate) struct Exchange {
    pub(crate) name: Name,
    stage: Stage,
}

enum Stage {
    /// The device was asked for its storage root key.
    StorageRootKey { endorsement_key: Vec<u8> },
    /// The service makes a key for it.
    Wrapping,
    /// Segments follow.
    Segments { rest: Vec<u8>, count: u8 },
    /// All is sent, the token follows.
    Token,
}

/// What follows from an answer of the device.
pub(crate) enum Step {
    /// It is sent this.
    Challenge(Vec<u8>),
    /// A key is to be made for these keys.
    Wrap(TpmKeys),
    /// It is to be checked.
    Token(Box<str>),
}

/// The device does not keep to the exchange.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the exchange of SASL TPM is not kept to: {0}")]
pub(crate) struct Broken(&'static str);

impl Exchange {
    /// Reads how the device begins; it is to be sent the challenge.
    pub(crate) fn begin(response: &[u8]) -> Result<(Self, Vec<u8>), Broken> {
        let fields = response.strip_prefix(&[0]).ok_or(Broken("no zero byte"))?;
        let mut fields = fields.splitn(3, |byte| *byte == 0);
        let (Some(id_scope), Some(id), Some(endorsement_key)) =
            (fields.next(), fields.next(), fields.next())
        else {
            return Err(Broken(
                "scope, registration id or endorsement key is missing",
            ));
        };
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| Broken("a name is not text"));
        let id = RegistrationId::parse(text(id)?)
            .map_err(|_| Broken("the registration id is not valid"))?;
        if endorsement_key.is_empty() {
            return Err(Broken("the endorsement key is empty"));
        }
        let exchange = Self {
            name: Name {
                id_scope: text(id_scope)?.into(),
                id,
            },
            stage: Stage::StorageRootKey {
                endorsement_key: endorsement_key.to_vec(),
            },
        };
        Ok((exchange, vec![0]))
    }

    /// Reads an answer of the device.
    pub(crate) fn respond(&mut self, response: &[u8]) -> Result<Step, Broken> {
        let answer = response.strip_prefix(&[0]).ok_or(Broken("no zero byte"))?;
        match std::mem::replace(&mut self.stage, Stage::Wrapping) {
            Stage::StorageRootKey { endorsement_key } => {
                if answer.is_empty() {
                    return Err(Broken("the storage root key is empty"));
                }
                Ok(Step::Wrap(TpmKeys {
                    endorsement_key,
                    storage_root_key: Some(answer.to_vec()),
                }))
            }
            Stage::Wrapping => Err(Broken("an answer to nothing")),
            Stage::Segments { rest, count } => Ok(Step::Challenge(self.segment(rest, count))),
            Stage::Token => {
                let token = std::str::from_utf8(answer);
                let token = token.map_err(|_| Broken("the token is not text"))?;
                Ok(Step::Token(token.into()))
            }
        }
    }

    /// Takes the wrapped key; its first segment is to be sent.
    pub(crate) fn wrapped(&mut self, key: Vec<u8>) -> Result<Vec<u8>, Broken> {
        if key.len() > SEGMENT_BYTES * SEGMENTS_MAX {
            return Err(Broken("the key has more bytes than segments can carry"));
        }
        Ok(self.segment(key, 0))
    }

    /// There are two at least: Java takes the second challenge for a segment that others follow
    /// (`AmqpsProvisioningSaslHandler.java`).
    fn segment(&mut self, mut key: Vec<u8>, count: u8) -> Vec<u8> {
        let bytes = match count {
            0 if key.len() <= SEGMENT_BYTES => key.len().div_ceil(2),
            _ => key.len().min(SEGMENT_BYTES),
        };
        let rest = key.split_off(bytes);
        let mut control = IS_SEGMENT | (count & COUNT);
        self.stage = if rest.is_empty() {
            control |= IS_LAST;
            Stage::Token
        } else {
            Stage::Segments {
                rest,
                count: count + 1,
            }
        };
        key.insert(0, control);
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &[u8] = b"\x000ne0\0d1\0endorse\0ment";

    #[test]
    fn keys_are_exchanged_for_a_token() {
        let (mut exchange, challenge) = Exchange::begin(FIRST).unwrap();
        assert_eq!(
            (&*exchange.name.id_scope, exchange.name.id.as_str()),
            ("0ne0", "d1")
        );
        assert_eq!(challenge, [0]);
        let Ok(Step::Wrap(keys)) = exchange.respond(b"\0storage\0root") else {
            panic!("a key is to be made");
        };
        assert_eq!(keys.endorsement_key, b"endorse\0ment");
        assert_eq!(
            keys.storage_root_key.as_deref(),
            Some(&b"storage\0root"[..])
        );
        assert_eq!(exchange.wrapped(vec![7; 3]), Ok(vec![0x80, 7, 7]));
        let Ok(Step::Challenge(last)) = exchange.respond(&[0]) else {
            panic!("a second segment follows");
        };
        assert_eq!(last, [0xc1, 7]);
        let Ok(Step::Token(token)) = exchange.respond(b"\0SharedAccessSignature x") else {
            panic!("a token is to be checked");
        };
        assert_eq!(&*token, "SharedAccessSignature x");
    }

    #[test]
    fn a_long_key_goes_in_counted_segments() {
        let (mut exchange, _) = Exchange::begin(FIRST).unwrap();
        assert!(matches!(exchange.respond(b"\0s"), Ok(Step::Wrap(_))));
        let key: Vec<u8> = (0..SEGMENT_BYTES * 2 + 1).map(|at| at as u8).collect();
        let mut segment = exchange.wrapped(key.clone()).unwrap();
        let (mut controls, mut bytes) = (Vec::new(), Vec::new());
        loop {
            controls.push(segment[0]);
            bytes.extend_from_slice(&segment[1..]);
            if segment[0] & IS_LAST != 0 {
                break;
            }
            match exchange.respond(&[0]) {
                Ok(Step::Challenge(next)) => segment = next,
                Ok(_) | Err(_) => panic!("a segment follows"),
            }
        }
        assert_eq!(controls, [0x80, 0x81, 0xc2]);
        assert_eq!(bytes, key);
        assert!(
            exchange
                .wrapped(vec![0; SEGMENT_BYTES * SEGMENTS_MAX + 1])
                .is_err()
        );
    }

    #[test]
    fn whoever_does_not_keep_to_it_is_refused() {
        for first in [
            &b""[..],
            b"0ne0\0d1\0ek",
            b"\x000ne0\0d1",
            b"\x000ne0\0d1\0",
            b"\x000ne0\0d 1\0ek",
            b"\x000ne0\0\xff\0ek",
        ] {
            assert!(Exchange::begin(first).is_err(), "{first:?}");
        }
        let (mut exchange, _) = Exchange::begin(FIRST).unwrap();
        assert!(exchange.respond(b"").is_err());
        assert!(exchange.respond(b"\0").is_err());
        assert!(exchange.respond(b"\0again").is_err(), "it is over");
    }
}
