"""Cloud to device, in every cell."""

import uuid

from devices import Recorder, cut, take, take_message


PROPERTIES = {
    "plain": "value",
    "with space": "a b",
    "umlaut-ä": "grüße 🚀",
    "signs": "a&b/c?d%e+f",
}


def body(message):
    return message.data.decode()


def test_c2d_arrives_with_its_properties(cell, service):
    device = cell.create()
    with device.connected() as client:
        recorder = Recorder(client).c2d()
        # The service SDK has no user id to give.
        service.send_c2d(
            device,
            '{"open":true}',
            PROPERTIES,
            messageId="message-1",
            correlationId="correlation/1",
            contentType="application/json",
            contentEncoding="utf-8",
        )
        message = take(recorder.messages, "the message")
    assert body(message) == '{"open":true}'
    assert message.message_id == "message-1"
    assert message.correlation_id == "correlation/1"
    assert message.content_type == "application/json"
    assert message.content_encoding == "utf-8"
    assert message.custom_properties == PROPERTIES


def test_c2d_waits_for_its_device(cell, service):
    device = cell.create()
    for number in range(5):
        service.send_c2d(device, str(number))
    with device.connected() as client:
        recorder = Recorder(client).c2d()
        got = [body(take(recorder.messages, f"message {number}")) for number in range(5)]
        assert got == ["0", "1", "2", "3", "4"]
    # What was completed is not sent again.
    service.send_c2d(device, "next")
    # The session knows its subscription, so that the message comes with the connection. The SDK keeps what comes before
    # a handler stands in a place where handlers never look: it is set first, and connects by itself.
    client = device.client()
    try:
        recorder = Recorder(client).c2d()
        assert body(take(recorder.messages, "the next message")) == "next"
        assert recorder.messages.empty()
    finally:
        client.shutdown()


def test_c2d_comes_through_a_lost_connection(cell, service):
    device = cell.create()
    with device.connected() as client:
        recorder = Recorder(client).c2d()
        service.send_c2d(device, "before")
        take_message(recorder, "before")
        cut(client)
        for number in range(5):
            service.send_c2d(device, f"while away {number}")
        for number in range(5):
            take_message(recorder, f"while away {number}")


def test_c2d_completed_is_told(cell, service, feedback):
    device = cell.create()
    message_id = f"completed-{uuid.uuid4()}"
    with device.connected() as client:
        recorder = Recorder(client).c2d()
        service.send_c2d(device, "complete me", messageId=message_id, **{"iothub-ack": "full"})
        assert take(recorder.messages, "the message").message_id == message_id
        record = feedback.wait_for(message_id)
    assert (record["statusCode"], record["deviceId"]) == ("Success", device.device)
    assert record["deviceGenerationId"] == service.registry.get_device(device.device).generation_id
