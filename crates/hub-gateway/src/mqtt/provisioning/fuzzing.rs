//! What must hold for any text that a device which registers writes as its user name or a topic.

use super::super::fuzzing::check_sendable;
use super::UserName;
use super::topics::{self, Operation};

/// # Panics
/// When a law is broken.
pub(in crate::mqtt) fn judge(text: &str) {
    if let Some(Ok(name)) = UserName::recognize(text) {
        let id = name.id.as_str();
        assert!(text.starts_with(&format!("{}/registrations/{id}/", name.id_scope)));
        assert!(!name.api_version.is_empty() && !name.api_version.contains('&'));
    }
    let Ok(asked) = topics::parse(text) else {
        return;
    };
    if let Operation::Status { operation } = &asked.of {
        assert!(!operation.is_empty(), "an operation has a name");
    }
    for wait in [None, Some(3)] {
        let reply = topics::reply(202, asked.request_id, wait);
        assert_eq!(reply.matches('$').count(), 2, "as Python counts them");
        assert_eq!(reply.matches('/').count(), 4, "as Node counts them");
        check_sendable(&reply, text);
    }
}
