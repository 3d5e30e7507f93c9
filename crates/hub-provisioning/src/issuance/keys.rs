//! The private keys of authorities.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _,
    RSA_PKCS1_SHA384,
};
use rustls_pki_types::{AlgorithmIdentifier, alg_id};

/// The cryptographic library refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused;

/// A private key that signs certificates.
pub(super) struct SigningKey {
    pair: Pair,
    /// `SubjectPublicKeyInfo`.
    public: Vec<u8>,
    pkcs8: Vec<u8>,
}

enum Pair {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Rsa(rsa::KeyPair),
}

impl SigningKey {
    /// A new P-384 key.
    pub(super) fn generate() -> Result<Self, Refused> {
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, &SystemRandom::new())
                .map_err(|_| Refused)?;
        Self::read(document.as_ref()).ok_or(Refused)
    }

    /// Reads PKCS#8; `None` for kinds that are not taken.
    pub(super) fn read(pkcs8: &[u8]) -> Option<Self> {
        let pair = if let Ok(pair) =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, pkcs8)
        {
            Pair::P384(pair)
        } else if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8) {
            Pair::P256(pair)
        } else {
            Pair::Rsa(rsa::KeyPair::from_pkcs8(pkcs8).ok()?)
        };
        let public = match &pair {
            Pair::P256(pair) | Pair::P384(pair) => pair.public_key().as_der(),
            Pair::Rsa(pair) => pair.public_key().as_der(),
        };
        Some(Self {
            public: public.ok()?.as_ref().to_vec(),
            pair,
            pkcs8: pkcs8.to_vec(),
        })
    }

    pub(super) fn public(&self) -> &[u8] {
        &self.public
    }

    pub(super) fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The algorithm of its signatures.
    pub(super) const fn algorithm(&self) -> AlgorithmIdentifier {
        match &self.pair {
            Pair::P256(_) => alg_id::ECDSA_SHA256,
            Pair::P384(_) => alg_id::ECDSA_SHA384,
            Pair::Rsa(_) => alg_id::RSA_PKCS1_SHA384,
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Refused> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::P256(pair) | Pair::P384(pair) => {
                let signature = pair.sign(&random, message).map_err(|_| Refused)?;
                Ok(signature.as_ref().to_vec())
            }
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA384, &random, message, &mut signature)
                    .map_err(|_| Refused)?;
                Ok(signature)
            }
        }
    }
}
