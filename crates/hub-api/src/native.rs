//! The types of `/api/v1`.
