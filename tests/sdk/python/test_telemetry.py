"""Device to cloud."""

import uuid

import pytest
from azure.iot.device import Message

AWKWARD = {
    "plain": "value",
    "with space": "a b",
    "signs": "a=b&c/d?e%f+g#h;i",
    "umlaut-ä": "grüße 你好 🚀",
    "empty": "",
}


def test_telemetry_with_properties_arrives_intact(service, events):
    device = service.create()
    message = Message('{"temperature":21.5}', content_encoding="utf-8", content_type="application/json")
    message.message_id = str(uuid.uuid4())
    message.correlation_id = "correlation 1"
    message.user_id = "someone"
    message.custom_properties = dict(AWKWARD)
    with device.connected() as client:
        client.send_message(message)
    [event] = events.wait_for(device.device)
    assert event["body"] == b'{"temperature":21.5}'
    assert event["application"] == AWKWARD
    system = event["system"]
    assert system["message-id"] == message.message_id
    assert system["correlation-id"] == "correlation 1"
    assert system["user-id"] == "someone"
    assert system["content-type"] == "application/json"
    assert system["content-encoding"] == "utf-8"
    assert system["iothub-connection-device-id"] == device.device
    assert event["raw"]["enqueuedTime"].endswith("Z")


def test_telemetry_of_any_bytes_arrives_intact(service, events):
    device = service.create()
    body = bytes(range(256))
    with device.connected() as client:
        client.send_message(body)
    [event] = events.wait_for(device.device)
    assert event["body"] == body


def test_telemetry_of_the_largest_size_arrives(service, events):
    device = service.create()
    # The SDK counts its own objects, so that it stops a little below the hub's 256 KB.
    largest = Message(b"")
    largest.custom_properties = {"key": "value"}
    largest.data = b"x" * (256 * 1024 - largest.get_size())
    with device.connected() as client:
        client.send_message(largest)
        with pytest.raises(ValueError):
            client.send_message(b"x" * (256 * 1024))
        client.send_message(b"after")
    first, second = events.wait_for(device.device, 2)
    assert first["body"] == largest.data
    assert first["application"] == {"key": "value"}
    assert second["body"] == b"after"


def test_telemetry_keeps_its_order(service, events):
    device = service.create()
    sent = [str(number).encode() for number in range(200)]
    with device.connected() as client:
        for body in sent:
            client.send_message(body)
    assert [event["body"] for event in events.wait_for(device.device, len(sent))] == sent


def test_telemetry_of_a_module_names_it(service, events):
    module = service.create(module="camera")
    with module.connected() as client:
        client.send_message_to_output("frame", "pictures")
        client.send_message("plain")
    first, second = events.wait_for(module.device, 2, module="camera")
    assert first["body"] == b"frame"
    assert first["system"]["iothub-connection-module-id"] == "camera"
    assert second["body"] == b"plain"
