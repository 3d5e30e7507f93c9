//! Makes a challenge by hand: `tpm_challenge ENDORSEMENT_KEY STORAGE_ROOT_KEY HMAC_KEY`, each in base64, prints base64.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hub_domain::SymmetricKey;
use hub_provisioning::tpm::{Challenge, EndorsementKey, StorageRootKey};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [endorsement, storage, key] = arguments.as_slice() else {
        return Err("usage: tpm_challenge ENDORSEMENT_KEY STORAGE_ROOT_KEY HMAC_KEY".into());
    };
    let endorsement = EndorsementKey::parse(&STANDARD.decode(endorsement)?)?;
    let storage = StorageRootKey::parse(&STANDARD.decode(storage)?)?;
    let key = SymmetricKey::parse(key)?;
    let challenge = Challenge::make(&endorsement, &storage, &key, &mut |bytes| {
        getrandom::fill(bytes).expect("the system has random bytes");
    })?;
    writeln!(
        std::io::stdout(),
        "{}",
        STANDARD.encode(challenge.as_bytes())
    )?;
    Ok(())
}
