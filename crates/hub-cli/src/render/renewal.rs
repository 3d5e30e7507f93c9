//! Renewed keys.

use hub_api::native::{
    Authentication, Device, IdentityFailure, IdentityKeyRollResult, IdentityName, Module,
};

use super::{columns, pairs};

/// The keys themselves, for whoever renews one has to bring it somewhere.
pub(crate) fn device_with_keys(device: &Device) -> String {
    let mut rows = vec![("device", device.device_id.clone())];
    rows.extend(keys(&device.authentication));
    rows.push(("etag", device.etag.clone()));
    let string = device.connection_string.clone();
    rows.extend(string.map(|string| ("connection string", string)));
    pairs(rows)
}

pub(crate) fn module_with_keys(module: &Module) -> String {
    let mut rows = vec![
        ("device", module.device_id.clone()),
        ("module", module.module_id.clone()),
    ];
    rows.extend(keys(&module.authentication));
    rows.push(("etag", module.etag.clone()));
    let string = module.connection_string.clone();
    rows.extend(string.map(|string| ("connection string", string)));
    pairs(rows)
}

fn keys(authentication: &Authentication) -> Vec<(&'static str, String)> {
    let keys = authentication.symmetric_key.clone().unwrap_or_default();
    let primary = keys.primary_key.map(|key| ("primary key", key));
    let secondary = keys.secondary_key.map(|key| ("secondary key", key));
    primary.into_iter().chain(secondary).collect()
}

/// Failures last, where they are seen.
pub(crate) fn renewed(result: &IdentityKeyRollResult) -> String {
    if result.rolled.is_empty() && result.failed.is_empty() {
        return "nobody has keys".to_owned();
    }
    let row = |identity: &IdentityName, text: String| {
        let module = identity.module_id.clone().unwrap_or_else(|| "-".to_owned());
        vec![identity.device_id.clone(), module, text]
    };
    let rolled = result
        .rolled
        .iter()
        .map(|identity| row(identity, "renewed".to_owned()));
    let failed = result
        .failed
        .iter()
        .map(|IdentityFailure { identity, error }| {
            row(identity, format!("{} {}", error.code, error.message))
        });
    columns(&["DEVICE", "MODULE", "RESULT"], rolled.chain(failed))
}
