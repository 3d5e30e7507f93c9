"""Cloud to device."""

import datetime

from devices import Recorder, take


def in_seconds(seconds):
    """A moment as the command line takes it."""
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def data(message):
    return message.data.decode()


def test_c2d_arrives_with_its_properties(hub, service):
    device = service.create()
    with device.connected() as client:
        recorder = Recorder(client).c2d()
        hub.send_c2d(
            device.device,
            '{"open":true}',
            message_id="message-1",
            correlation_id="correlation/1",
            user_id="someone",
            content_type="application/json",
            content_encoding="utf-8",
            properties="plain=value;with space=a b;umlaut-ä=grüße 🚀;signs=a&b/c?d%e+f",
        )
        message = take(recorder.messages, "the message")
    assert data(message) == '{"open":true}'
    assert message.message_id == "message-1"
    assert message.correlation_id == "correlation/1"
    assert message.user_id == "someone"
    assert message.content_type == "application/json"
    assert message.content_encoding == "utf-8"
    assert message.custom_properties == {
        "plain": "value",
        "with space": "a b",
        "umlaut-ä": "grüße 🚀",
        "signs": "a&b/c?d%e+f",
    }


def test_c2d_of_the_past_is_not_delivered(hub, service):
    device = service.create()
    hub.send_c2d(device.device, "soon over", expiry_time_utc=in_seconds(1))
    # The moment itself is the condition: a message sent after it must be the only one to arrive.
    over = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=1.1)
    number = 0
    while datetime.datetime.now(datetime.timezone.utc) < over:
        service.registry.get_device(device.device)
        number += 1
    assert number > 0
    hub.send_c2d(device.device, "in time", expiry_time_utc=in_seconds(600))
    with device.connected() as client:
        recorder = Recorder(client).c2d()
        assert data(take(recorder.messages, "the message in time")) == "in time"
        assert recorder.messages.empty()


def test_c2d_waits_for_its_device(hub, service):
    device = service.create()
    for number in range(5):
        hub.send_c2d(device.device, str(number))
    with device.connected() as client:
        recorder = Recorder(client).c2d()
        got = [data(take(recorder.messages, f"message {number}")) for number in range(5)]
        assert got == ["0", "1", "2", "3", "4"]
    # What was acknowledged is not sent again.
    hub.send_c2d(device.device, "next")
    # The session knows its subscription, so that the message comes with the connection. The SDK keeps what comes before
    # a handler stands in a place where handlers never look: it is set first, and connects by itself.
    client = device.client()
    try:
        recorder = Recorder(client).c2d()
        assert data(take(recorder.messages, "the next message")) == "next"
        assert recorder.messages.empty()
    finally:
        client.shutdown()


def test_c2d_comes_through_a_lost_connection(hub, service):
    device = service.create()
    with device.connected() as client:
        recorder = Recorder(client).c2d()
        hub.send_c2d(device.device, "before")
        assert data(take(recorder.messages, "the message before")) == "before"
        cut(client)
        for number in range(5):
            hub.send_c2d(device.device, f"while away {number}")
        got = [data(take(recorder.messages, f"message {number}")) for number in range(5)]
        assert got == [f"while away {number}" for number in range(5)]


def test_c2d_purged_is_gone(hub, service):
    device = service.create()
    for number in range(3):
        hub.send_c2d(device.device, str(number))
    hub.call("c2d", "purge", "--device-id", device.device)
    hub.send_c2d(device.device, "after")
    with device.connected() as client:
        recorder = Recorder(client).c2d()
        assert data(take(recorder.messages, "the message after the purge")) == "after"


def cut(client):
    """Takes the socket away under the SDK, as a dead network would: no MQTT farewell is sent."""
    stage = client._mqtt_pipeline._pipeline
    while not hasattr(stage, "transport"):
        stage = stage.next
    stage.transport._mqtt_client.socket().shutdown(2)
