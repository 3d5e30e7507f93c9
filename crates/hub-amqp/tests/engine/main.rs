//! The engine from outside: bytes and commands in, events and bytes out.

mod deliveries;
mod hostile;
mod links;
mod messages;
mod opening;
mod pair;
mod raw;
mod sessions;
mod settlement;
mod values;
