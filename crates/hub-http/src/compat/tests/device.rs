//! What devices and modules do over HTTPS.

mod access;
mod certificates;
mod events;
mod messages;
mod methods;
mod modules;

use super::super::testing::{ask, key_of, register, token};
