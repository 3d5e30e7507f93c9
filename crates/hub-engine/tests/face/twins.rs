//! twins.
