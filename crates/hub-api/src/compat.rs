//! The vendor-compatible types: what the service SDKs send and read.
