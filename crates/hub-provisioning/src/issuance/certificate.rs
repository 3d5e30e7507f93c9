//! The writing of certificates (RFC 5280, section 4).

use aws_lc_rs::digest;
use hub_domain::Timestamp;
use time::OffsetDateTime;
use yasna::models::{GeneralizedTime, ObjectIdentifier, UTCTime};
use yasna::{DERWriter, DERWriterSeq, Tag, construct_der};

use super::SERIAL_BYTES;
use super::keys::{Refused, SigningKey};

const COMMON_NAME: &[u64] = &[2, 5, 4, 3];
const SUBJECT_KEY_IDENTIFIER: &[u64] = &[2, 5, 29, 14];
const KEY_USAGE: &[u64] = &[2, 5, 29, 15];
const BASIC_CONSTRAINTS: &[u64] = &[2, 5, 29, 19];
const AUTHORITY_KEY_IDENTIFIER: &[u64] = &[2, 5, 29, 35];
const EXTENDED_KEY_USAGE: &[u64] = &[2, 5, 29, 37];
const CLIENT_AUTHENTICATION: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 3, 2];

/// Years from here on are written with four digits (section 4.1.2.5).
const FIRST_LONG_YEAR: i32 = 2050;
/// Version 3, counted from 0.
const VERSION: u8 = 2;
/// A key identifier is as long as it always was, of a newer hash (RFC 7093, method 1).
const KEY_IDENTIFIER_BYTES: usize = 20;

/// Everything that is signed.
pub(super) struct Template<'a> {
    pub(super) serial: [u8; SERIAL_BYTES],
    /// The issuer's name, byte for byte as in its own certificate.
    pub(super) issuer: &'a [u8],
    /// The identifier of the issuer's key; a root has none.
    pub(super) issuer_key: Option<&'a [u8]>,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    pub(super) subject: &'a [u8],
    /// `SubjectPublicKeyInfo`.
    pub(super) public_key: &'a [u8],
    pub(super) purpose: Purpose,
}

/// What a certificate is for.
pub(super) enum Purpose {
    /// To authenticate a device.
    Device,
    /// To issue others.
    Authority,
}

impl Template<'_> {
    /// The certificate in DER.
    pub(super) fn sign(&self, key: &SigningKey) -> Result<Vec<u8>, Refused> {
        let not_before = moment(self.not_before)?;
        let not_after = moment(self.not_after)?;
        let signed = construct_der(|writer| {
            writer.write_sequence(|fields| {
                fields
                    .next()
                    .write_tagged(Tag::context(0), |version| version.write_u8(VERSION));
                fields.next().write_bigint_bytes(&self.serial, true);
                write_algorithm(fields.next(), key);
                fields.next().write_der(self.issuer);
                fields.next().write_sequence(|validity| {
                    write_moment(validity.next(), not_before);
                    write_moment(validity.next(), not_after);
                });
                fields.next().write_der(self.subject);
                fields.next().write_der(self.public_key);
                fields.next().write_tagged(Tag::context(3), |extensions| {
                    extensions.write_sequence(|extensions| self.write_extensions(extensions));
                });
            });
        });
        let signature = key.sign(&signed)?;
        Ok(construct_der(|writer| {
            writer.write_sequence(|fields| {
                fields.next().write_der(&signed);
                write_algorithm(fields.next(), key);
                fields
                    .next()
                    .write_bitvec_bytes(&signature, signature.len() * 8);
            });
        }))
    }

    fn write_extensions(&self, extensions: &mut DERWriterSeq<'_>) {
        let own = key_identifier(self.public_key);
        write_extension(extensions, SUBJECT_KEY_IDENTIFIER, Weight::Plain, |value| {
            value.write_bytes(&own);
        });
        if let Some(issuer_key) = self.issuer_key {
            write_extension(
                extensions,
                AUTHORITY_KEY_IDENTIFIER,
                Weight::Plain,
                |value| {
                    value.write_sequence(|fields| {
                        fields.next().write_tagged_implicit(Tag::context(0), |id| {
                            id.write_bytes(issuer_key)
                        });
                    });
                },
            );
        }
        match self.purpose {
            Purpose::Device => {
                write_constraints(extensions, |_| {});
                // digitalSignature
                write_extension(extensions, KEY_USAGE, Weight::Critical, |value| {
                    value.write_bitvec_bytes(&[0x80], 1);
                });
                write_extension(extensions, EXTENDED_KEY_USAGE, Weight::Plain, |value| {
                    value.write_sequence(|usages| {
                        usages
                            .next()
                            .write_oid(&ObjectIdentifier::from_slice(CLIENT_AUTHENTICATION));
                    });
                });
            }
            Purpose::Authority => {
                write_constraints(extensions, |fields| {
                    fields.next().write_bool(true);
                });
                // keyCertSign and cRLSign
                write_extension(extensions, KEY_USAGE, Weight::Critical, |value| {
                    value.write_bitvec_bytes(&[0x06], 7);
                });
            }
        }
    }
}

/// Whether whoever does not know an extension may go on.
enum Weight {
    Critical,
    Plain,
}

fn write_constraints(
    extensions: &mut DERWriterSeq<'_>,
    constraints: impl FnOnce(&mut DERWriterSeq<'_>),
) {
    write_extension(extensions, BASIC_CONSTRAINTS, Weight::Critical, |value| {
        value.write_sequence(constraints);
    });
}

fn write_extension(
    extensions: &mut DERWriterSeq<'_>,
    name: &[u64],
    weight: Weight,
    value: impl FnOnce(DERWriter<'_>),
) {
    extensions.next().write_sequence(|fields| {
        fields.next().write_oid(&ObjectIdentifier::from_slice(name));
        match weight {
            Weight::Critical => fields.next().write_bool(true),
            Weight::Plain => {}
        }
        fields.next().write_bytes(&construct_der(value));
    });
}

fn write_algorithm(writer: DERWriter<'_>, key: &SigningKey) {
    writer.write_sequence(|fields| fields.next().write_der(key.algorithm().as_ref()));
}

fn moment(timestamp: Timestamp) -> Result<OffsetDateTime, Refused> {
    OffsetDateTime::from_unix_timestamp(timestamp.seconds()).map_err(|_| Refused)
}

fn write_moment(writer: DERWriter<'_>, moment: OffsetDateTime) {
    if moment.year() < FIRST_LONG_YEAR {
        writer.write_utctime(&UTCTime::from_datetime(moment));
    } else {
        writer.write_generalized_time(&GeneralizedTime::from_datetime(moment));
    }
}

/// A name of nothing but a common name, in DER.
pub(super) fn common_name(text: &str) -> Vec<u8> {
    construct_der(|writer| {
        writer.write_sequence(|parts| {
            parts.next().write_set(|values| {
                values.next().write_sequence(|value| {
                    value
                        .next()
                        .write_oid(&ObjectIdentifier::from_slice(COMMON_NAME));
                    value.next().write_utf8_string(text);
                });
            });
        });
    })
}

/// What a key (`SubjectPublicKeyInfo`) is called.
pub(super) fn key_identifier(public_key: &[u8]) -> Vec<u8> {
    let hash = digest::digest(&digest::SHA256, public_key);
    hash.as_ref()
        .iter()
        .copied()
        .take(KEY_IDENTIFIER_BYTES)
        .collect()
}
