//! Error conditions of the specification (part 2, sections 2.8.15 to 2.8.18). Those of a service are its own.

macro_rules! conditions {
    ($($(#[$doc:meta])* $name:ident = $symbol:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $symbol;)*
    };
}

conditions! {
    /// Something is wrong inside of the peer.
    INTERNAL_ERROR = "amqp:internal-error";
    /// There is nothing at the address.
    NOT_FOUND = "amqp:not-found";
    /// The peer may not do this.
    UNAUTHORIZED_ACCESS = "amqp:unauthorized-access";
    /// Bytes could not be decoded.
    DECODE_ERROR = "amqp:decode-error";
    /// A limit of the peer is reached.
    RESOURCE_LIMIT_EXCEEDED = "amqp:resource-limit-exceeded";
    /// This can never be done here.
    NOT_ALLOWED = "amqp:not-allowed";
    /// A field has a value that it may not have.
    INVALID_FIELD = "amqp:invalid-field";
    /// The peer does not have this.
    NOT_IMPLEMENTED = "amqp:not-implemented";
    /// Another has exclusive use.
    RESOURCE_LOCKED = "amqp:resource-locked";
    /// A condition that the request names does not hold.
    PRECONDITION_FAILED = "amqp:precondition-failed";
    /// What the request is about was deleted.
    RESOURCE_DELETED = "amqp:resource-deleted";
    /// This may not be done in the present state.
    ILLEGAL_STATE = "amqp:illegal-state";
    /// A frame would not fit into the agreed size.
    FRAME_SIZE_TOO_SMALL = "amqp:frame-size-too-small";
    /// An operator closed the connection.
    CONNECTION_FORCED = "amqp:connection:forced";
    /// Frames are malformed or cannot be told apart.
    FRAMING_ERROR = "amqp:connection:framing-error";
    /// The container is to be reached elsewhere.
    CONNECTION_REDIRECT = "amqp:connection:redirect";
    /// More transfers came than the window allows.
    WINDOW_VIOLATION = "amqp:session:window-violation";
    /// Input for a link that is detached.
    ERRANT_LINK = "amqp:session:errant-link";
    /// An attach names a handle that is in use.
    HANDLE_IN_USE = "amqp:session:handle-in-use";
    /// A frame names a handle that is not attached.
    UNATTACHED_HANDLE = "amqp:session:unattached-handle";
    /// An operator detached the link.
    DETACH_FORCED = "amqp:link:detach-forced";
    /// More deliveries came than there was credit for.
    TRANSFER_LIMIT_EXCEEDED = "amqp:link:transfer-limit-exceeded";
    /// A message is larger than the link allows.
    MESSAGE_SIZE_EXCEEDED = "amqp:link:message-size-exceeded";
    /// The address is to be reached elsewhere.
    LINK_REDIRECT = "amqp:link:redirect";
    /// The link was attached elsewhere.
    STOLEN = "amqp:link:stolen";
}
