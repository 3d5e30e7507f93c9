"""Device to cloud, in every cell."""

import datetime
import json
import uuid

import pytest
from azure.iot.device import Message

from devices import MODULE

AWKWARD = {
    "plain": "value",
    "with space": "a b",
    "signs": "a=b&c/d?e%f+g#h;i",
    "umlaut-ä": "grüße 你好 🚀",
    "empty": "",
}
METHODS = {"sas": "sas", "x509-self-signed": "x509Certificate", "x509-ca": "x509Certificate"}


def test_telemetry_with_properties_arrives_intact(cell, events):
    identity = cell.create()
    message = Message('{"temperature":21.5}', content_encoding="utf-8", content_type="application/json")
    message.message_id = str(uuid.uuid4())
    message.correlation_id = "correlation 1"
    message.user_id = "someone"
    message.custom_properties = dict(AWKWARD)
    with identity.connected() as client:
        client.send_message(message)
    [event] = events.wait_for(identity)
    assert event["body"] == b'{"temperature":21.5}'
    assert event["application"] == AWKWARD
    system = event["system"]
    assert system["message-id"] == message.message_id
    assert system["correlation-id"] == "correlation 1"
    assert system["user-id"] == "someone"
    assert system["content-type"] == "application/json"
    assert system["content-encoding"] == "utf-8"
    age = datetime.datetime.now(datetime.timezone.utc) - event["enqueued"]
    assert datetime.timedelta() <= age < datetime.timedelta(minutes=1)


def test_telemetry_of_any_bytes_arrives_intact(cell, events):
    identity = cell.create()
    body = bytes(range(256))
    with identity.connected() as client:
        client.send_message(body)
    [event] = events.wait_for(identity)
    assert event["body"] == body


def test_telemetry_without_a_body_arrives(cell, events):
    identity = cell.create()
    message = Message(b"")
    message.custom_properties = {"key": "value"}
    with identity.connected() as client:
        client.send_message(message)
    [event] = events.wait_for(identity)
    assert event["body"] == b""
    assert event["application"] == {"key": "value"}


def test_telemetry_of_the_largest_size_arrives(cell, events):
    identity = cell.create()
    # The SDK counts its own objects, so that it stops a little below the hub's 256 KB.
    largest = Message(b"")
    largest.custom_properties = {"key": "value"}
    largest.data = b"x" * (256 * 1024 - largest.get_size())
    with identity.connected() as client:
        client.send_message(largest)
        with pytest.raises(ValueError):
            client.send_message(b"x" * (256 * 1024))
        client.send_message(b"after")
    first, second = events.wait_for(identity, 2)
    assert first["body"] == largest.data
    assert first["application"] == {"key": "value"}
    assert second["body"] == b"after"


def test_telemetry_keeps_its_order(cell, events):
    identity = cell.create()
    sent = [str(number).encode() for number in range(200)]
    with identity.connected() as client:
        for body in sent:
            client.send_message(body)
    assert [event["body"] for event in events.wait_for(identity, len(sent))] == sent


def test_telemetry_names_its_source(cell, events):
    identity = cell.create()
    with identity.connected() as client:
        client.send_message("plain")
    [event] = events.wait_for(identity)
    system = event["system"]
    assert system["iothub-connection-device-id"] == identity.device
    assert system.get("iothub-connection-module-id") == identity.module
    method = json.loads(system["iothub-connection-auth-method"])
    assert method["scope"] == cell.cell.kind
    assert method["type"] == METHODS[cell.cell.credential]


def test_output_of_a_module_is_named(cell, events):
    module = cell.create()
    with module.connected() as client:
        client.send_message_to_output("frame", "pictures")
        client.send_message("plain")
    first, second = events.wait_for(module, 2)
    assert first["body"] == b"frame"
    assert first["system"]["iothub-connection-module-id"] == MODULE
    assert first["output"] == "pictures"
    assert second["body"] == b"plain"
    assert second["output"] is None
