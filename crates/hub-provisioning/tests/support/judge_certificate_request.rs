//! What must hold for any bytes that a device sends as a request for a certificate: shared by the fuzz target and the
//! replay of its corpus.

use hub_provisioning::CertificateRequest;

/// # Panics
/// When a law is broken.
pub(crate) fn judge(input: &[u8]) {
    let parsed = CertificateRequest::parse(input);
    assert_eq!(
        parsed,
        CertificateRequest::parse(input),
        "reading is a function"
    );
    if let Ok(request) = parsed {
        let name = request.common_name().as_bytes();
        assert!(
            input
                .windows(request.public_key().len())
                .any(|part| part == request.public_key()),
            "the key stands in the request"
        );
        assert!(request.check_name(request.common_name()).is_ok());
        assert!(
            name.len() < input.len() * 4,
            "the name stands in the request"
        );
    }
}
