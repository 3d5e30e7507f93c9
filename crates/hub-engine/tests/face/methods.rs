//! methods.
