//! Words and rules of the hub, pure.
