mod access;
mod bad_input;
mod methods;
mod registry;
mod rendering;
mod twins;
