//! Shared access: keys, the resources that tokens speak for, and the tokens themselves.
//!
//! Token form: `SharedAccessSignature sr={resource}&sig={signature}&se={expiry}[&skn={policy}]`, each
//! value percent-encoded ("Control access to IoT Hub with shared access signatures").

mod key;
mod resource;
mod token;

#[cfg(test)]
mod tests;

pub use key::{KeyError, SymmetricKey};
pub use resource::{Resource, ResourceError};
pub use token::{SasError, SasToken, sign_token};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

/// All but the unreserved characters of RFC 3986, which no client encodes.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
