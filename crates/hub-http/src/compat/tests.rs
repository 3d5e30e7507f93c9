mod access;
mod bad_input;
mod device;
mod methods;
mod registry;
mod rendering;
mod twins;
