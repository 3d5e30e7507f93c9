//! What a device with a TPM is answered when it registers without a token.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hub_domain::Timestamp;
use serde_json::{Value, json};

/// The six-digit code of the challenge.
pub const AUTHORIZATION_REQUIRED: u32 = 401_002;

/// The body of the 401: what only the TPM can read, and the name of the key in it. Node reads the member
/// `authenticationKey` (`http.js`, `getAuthenticationChallenge`), C `keyName` besides. The rest is that of every error.
pub fn challenge_document(
    authentication_key: &[u8],
    key_name: &str,
    tracking_id: &str,
    now: Timestamp,
) -> Value {
    json!({
        "errorCode": AUTHORIZATION_REQUIRED,
        "trackingId": tracking_id,
        "message": "Authorization required",
        "info": {},
        "timestampUtc": now.to_rfc3339(),
        "authenticationKey": STANDARD.encode(authentication_key),
        "keyName": key_name,
    })
}
