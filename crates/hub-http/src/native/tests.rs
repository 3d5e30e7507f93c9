//! Tests of the native routes.
