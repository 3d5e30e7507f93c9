"""A disk without room: nothing is acknowledged that is not stored, and everything that needs no room goes on."""

import urllib.error

import pytest
from azure.iot.hub.models import CloudToDeviceMethod
from msrest.exceptions import ClientRequestError

from devices import Recorder, Service
from harness.events import Events
from harness.tokens import token
from harness.wait import until
from load import request
from raw_mqtt import Lost, RawClient


def connect(device):
    return RawClient(device, token(device.resource(), device.primary), clean=True)


def acknowledged(device, body):
    """Whether a message on a connection of its own is acknowledged."""
    try:
        client = connect(device)
        number = client.publish(f"devices/{device.device}/messages/events/", body)
        assert client.read_puback() == number
        client.close()
    except Lost:
        return False
    return True


def writes(hub, device, number):
    """Whether the service may change the twin; a refusal has to be 503. Without the SDK, which would try again."""
    path = f"/twins/{device.device}?api-version=2021-04-12"
    headers = {"Authorization": token(hub.host, hub.policy_key("service"), policy="service")}
    try:
        request(hub, "PATCH", path, {"properties": {"desired": {"number": number}}}, headers)
    except urllib.error.HTTPError as error:
        assert error.code == 503, error.read()
        return False
    return True


def test_full_disk_stops_writes_and_nothing_else(fresh_hub, small_disk):
    hub = fresh_hub(on=small_disk)
    service = Service(hub)
    sender, answering = service.create(), service.create()
    with answering.connected() as client:
        # Subscriptions are kept for good, so that a new one needs room as well.
        Recorder(client).answering(lambda request: (200, request.payload))
        client.get_twin()
        assert acknowledged(sender, b"before") and writes(hub, sender, 1)

        ballast = small_disk / "ballast"
        ballast.write_bytes(bytes(72 * 1024 * 1024))
        until(lambda: not writes(hub, sender, 2), "writes are refused")
        assert not acknowledged(sender, b"full")
        with pytest.raises(ClientRequestError, match="503"):
            service.create()
        assert "number" in service.registry.get_twin(sender.device).properties.desired
        assert client.get_twin()["desired"]["$version"] == 1
        method = CloudToDeviceMethod(method_name="act", payload=1, response_timeout_in_seconds=20)
        assert service.registry.invoke_device_method(answering.device, method).payload == 1

        ballast.unlink()
        until(lambda: writes(hub, sender, 3), "writes are taken again")
        until(lambda: acknowledged(sender, b"after"), "messages are taken again")
    events = Events(hub)
    try:
        bodies = [event["body"] for event in events.wait_for(sender, 2)]
        assert bodies[0] == b"before" and b"full" not in bodies and b"after" in bodies
    finally:
        events.close()
