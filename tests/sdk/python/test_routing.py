"""Routes, enrichments and the fallback route, made by the command line and seen by a reader of the built-in endpoint."""

import contextlib
import json

import pytest
from azure.iot.device import Message
from azure.iot.hub.models import Twin

from devices import desired
from harness.wait import until

JSON = {"content_type": "application/json", "content_encoding": "utf-8"}
# Where telemetry is concerned, what a route leaves out is only known once something later has arrived.
LAST = "last"


class Routing:
    """The hub's routes while a behaviour runs; as they were when it ends."""

    def __init__(self, hub):
        self.hub = hub
        self.undo = contextlib.ExitStack()

    def route(self, name, source="DeviceMessages", condition="true"):
        self.hub.call("route", "create", "--route-name", name, "--source-type", source, "--condition", condition)
        self.undo.callback(self.hub.call, "route", "delete", "--route-name", name)

    def enrichment(self, key, value):
        self.hub.call("enrichment", "create", "--key", key, "--value", value)
        self.undo.callback(self.hub.call, "enrichment", "delete", "--key", key)

    def without_fallback(self):
        """What no route takes is dropped, but for a mark by which a behaviour knows that everything before it has arrived."""
        self.hub.call("route", "fallback", "--enabled", "false")
        self.undo.callback(self.hub.call, "route", "fallback", "--enabled", "true")
        self.route("last", condition=f"mark = '{LAST}'")


@pytest.fixture
def routing(hub):
    routing = Routing(hub)
    with routing.undo:
        yield routing


def message(body, system=None, **properties):
    made = Message(body)
    made.custom_properties.update(properties)
    for name, value in (system or {}).items():
        setattr(made, name, value)
    return made


def arrived(events, device, client):
    """The bodies that came of all that was sent so far."""
    client.send_message(message(LAST, mark=LAST))

    def bodies():
        seen = [event["body"].decode() for event in events.of(device.device, device.module)]
        return [seen[:-1]] if seen[-1:] == [LAST] else None

    return until(bodies, "the last message")[0]


def source_of(event):
    return event["system"]["iothub-message-source"]


def of_source(events, device, source, count):
    """The first events of one source and device."""

    def found():
        return [event for event in events.of(device.device, device.module) if source_of(event) == source]

    return until(lambda: len(found()) >= count and found(), lambda: f"{count} {source}, {len(found())} came")


def test_route_takes_by_application_property(service, events, routing):
    routing.without_fallback()
    routing.route("hot", condition="level = 'hot'")
    device = service.create()
    with device.connected() as client:
        client.send_message(message("1", level="hot"))
        client.send_message(message("2", level="cold"))
        client.send_message(message("3"))
        client.send_message(message("4", level="hot"))
        assert arrived(events, device, client) == ["1", "4"]
    first = events.of(device.device)[0]
    assert first["application"] == {"level": "hot"}
    assert source_of(first) == "Telemetry"


def test_route_takes_by_body(service, events, routing):
    routing.without_fallback()
    routing.route("warm", condition="$body.climate.temperature > 30 AND $connectionDeviceId != 'nobody'")
    device = service.create()
    with device.connected() as client:
        for temperature in (29, 31):
            body = json.dumps({"climate": {"temperature": temperature}})
            client.send_message(message(body, JSON))
            # Without its type and encoding a body is not looked into.
            client.send_message(message(body))
        assert arrived(events, device, client) == [json.dumps({"climate": {"temperature": 31}})]


def test_route_takes_by_twin(service, events, routing):
    routing.without_fallback()
    routing.route("north", condition="$twin.tags.site = 'north' OR $twin.properties.reported.battery < 10")
    device = service.create()
    with device.connected() as client:
        client.send_message("nowhere")
        service.patch_twin(device, Twin(tags={"site": "north"}))
        client.send_message("north")
        service.patch_twin(device, Twin(tags={"site": "south"}))
        client.send_message("south")
        client.patch_twin_reported_properties({"battery": 5})
        client.send_message("low")
        assert arrived(events, device, client) == ["north", "low"]


def test_fallback_takes_what_no_route_takes(service, events, routing):
    routing.route("hot", condition="level = 'hot'")
    device = service.create()
    with device.connected() as client:
        client.send_message(message("kept", level="cold"))
        client.send_message(message("hot", level="hot"))
        events.wait_for(device, 2)
        routing.without_fallback()
        client.send_message(message("dropped", level="cold"))
        client.send_message(message("hot again", level="hot"))
        assert arrived(events, device, client) == ["kept", "hot", "hot again"]


def test_enrichments_are_stamped(service, events, routing, hub):
    routing.enrichment("site", "$twin.tags.site")
    routing.enrichment("hub", "$iothubname")
    routing.enrichment("kind", "plain text")
    routing.enrichment("missing", "$twin.tags.nothing")
    device = service.create()
    service.patch_twin(device, Twin(tags={"site": "north"}))
    with device.connected() as client:
        client.send_message(message("1", own="yes"))
    [event] = events.wait_for(device, 1)
    name = hub.shown["events"]["connectionString"].partition("EntityPath=")[2]
    assert event["application"] == {
        "own": "yes",
        "site": "north",
        "hub": name,
        "kind": "plain text",
        "missing": "$twin.tags.nothing",
    }


def test_twin_changes_are_routed(service, events, routing):
    routing.route("twins", "TwinChangeEvents")
    device = service.create()
    service.desire(device, {"speed": 7})
    with device.connected() as client:
        client.patch_twin_reported_properties({"speed": 6})
    wanted, told = of_source(events, device, "twinChangeEvents", 2)
    for event in (wanted, told):
        application = event["application"]
        assert application["deviceId"] == device.device
        assert application["opType"] == "updateTwin"
        assert application["iothub-message-schema"] == "twinChangeNotification"
        assert application["hubName"] and application["operationTimestamp"]
        assert event["raw"].content_type == "application/json"
    body = json.loads(wanted["body"])
    assert body["properties"]["desired"]["speed"] == 7
    assert body["properties"]["desired"]["$version"] == 2
    assert json.loads(told["body"])["properties"]["reported"]["speed"] == 6


def test_twin_changes_are_filtered(service, events, routing):
    routing.route("fast", "TwinChangeEvents", "$body.properties.desired.speed > 10")
    device = service.create()
    for speed in (7, 11, 8, 12):
        service.patch_twin(device, desired(speed=speed))
    found = of_source(events, device, "twinChangeEvents", 2)
    assert [json.loads(event["body"])["properties"]["desired"]["speed"] for event in found] == [11, 12]


def test_lives_are_routed(service, events, routing):
    routing.route("lives", "DeviceLifecycleEvents")
    device = service.create("camera")
    service.delete(device)
    # The events of a module are its own.
    created, deleted = of_source(events, device, "deviceLifecycleEvents", 2)
    assert created["application"]["opType"] == "createDeviceIdentity"
    assert deleted["application"]["opType"] == "deleteDeviceIdentity"
    for event in (created, deleted):
        assert event["application"]["deviceId"] == device.device
        assert event["application"]["moduleId"] == "camera"
        assert json.loads(event["body"])["moduleId"] == "camera"


def test_connections_are_routed(service, events, routing):
    routing.route("connections", "DeviceConnectionStateEvents")
    device = service.create()
    with device.connected():
        pass
    came, went = of_source(events, device, "deviceConnectionStateEvents", 2)
    assert came["application"]["opType"] == "deviceConnected"
    assert went["application"]["opType"] == "deviceDisconnected"
    first, second = (json.loads(event["body"])["sequenceNumber"] for event in (came, went))
    assert first < second and len(first) == 64
