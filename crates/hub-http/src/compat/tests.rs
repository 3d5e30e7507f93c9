mod access;
mod bad_input;
mod device;
mod methods;
mod registry;
mod rendering;
mod service_bound;
mod twins;
