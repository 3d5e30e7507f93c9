//! Storage ports.
