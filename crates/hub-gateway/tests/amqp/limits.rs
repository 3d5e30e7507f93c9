//! Peers that ask for too much, or speak something else: each costs its own connection at most.

use hub_amqp::MessageWriter;

use crate::support::Hub;

#[tokio::test]
async fn links_without_a_credential_are_bounded() {
    let hub = Hub::with_device().await;
    let mut client = hub.open().await;
    for _ in 0..8 {
        assert!(client.sender("$cbs").await.is_ok());
    }
    let refused = Err("amqp:resource-limit-exceeded".to_owned());
    assert_eq!(client.sender("$cbs").await, refused);
}

#[tokio::test]
async fn a_broken_frame_ends_its_own_connection_only() {
    let hub = Hub::with_device().await;
    let mut good = hub.device("d1").await;
    let link = good.sender("/devices/d1/messages/events").await.unwrap();
    for bytes in [
        // Longer than any frame may be.
        &[0xff, 0xff, 0xff, 0xff, 0x02, 0x00, 0x00, 0x00][..],
        // Shorter than its own head.
        &[0x00, 0x00, 0x00, 0x04, 0x02, 0x00, 0x00, 0x00],
        // A performative that is none.
        &[
            0x00, 0x00, 0x00, 0x0c, 0x02, 0x00, 0x00, 0x00, 0x00, 0x53, 0x99, 0x45,
        ],
        // A disposition for everything there could be.
        &[
            0x00, 0x00, 0x00, 0x1c, 0x02, 0x00, 0x00, 0x05, 0x00, 0x53, 0x15, 0xc0, 0x0f, 0x06,
            0x42, 0x43, 0x70, 0xff, 0xff, 0xff, 0xff, 0x41, 0x00, 0x53, 0x24, 0x45, 0x40, 0x40,
        ],
    ] {
        let mut bad = hub.device("d1").await;
        bad.send_raw(bytes).await;
        let ended = bad.ended().await;
        assert_ne!(ended, "", "{bytes:?}");
    }
    let mut message = Vec::new();
    MessageWriter::new(&mut message).data(b"x");
    assert_eq!(good.send(link, &message).await, "accepted");
}
