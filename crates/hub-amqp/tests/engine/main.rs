//! The engine from outside: bytes and commands in, events and bytes out.

mod deliveries;
mod pair;
