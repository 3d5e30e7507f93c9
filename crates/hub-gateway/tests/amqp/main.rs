//! The AMQP head over real TLS sockets, with the client role of the engine on the other side.

mod credentials;
mod devices;
mod events;
mod limits;
mod service;
mod support;
