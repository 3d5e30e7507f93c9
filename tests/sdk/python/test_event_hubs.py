"""The built-in endpoint, by the vendor's client for Event Hubs (azure-eventhub)."""

import datetime
import threading

import pytest
from azure.eventhub import TransportType
from azure.eventhub.exceptions import EventHubError

from harness.eventhub import client_of, text
from harness.wait import WITHIN, until


class Reading:
    """One reader of one partition, in a thread of its own, until it is left."""

    def __init__(self, client, partition, position, **options):
        self.client = client
        self.events = []
        self.errors = []
        arguments = {"partition_id": partition, "starting_position": position, "on_error": self.fail} | options
        self.thread = threading.Thread(target=client.receive, args=(self.keep,), kwargs=arguments, daemon=True)

    def keep(self, _context, event):
        if event is not None:
            self.events.append(event)

    def fail(self, _context, error):
        self.errors.append(error)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.client.close()
        self.thread.join(WITHIN)

    def bodies(self):
        return [event.body_as_str() for event in list(self.events)]

    def of(self, device):
        """Bodies of one device: others write into the same partition."""
        return [event.body_as_str() for event in list(self.events) if source(event) == device]


def source(event):
    return text(event.system_properties[b"iothub-connection-device-id"])


def sent(service, events, count=5):
    """A device that has sent `0`, `1` and so on; its partition; the events as a first reader saw them."""
    device = service.create()
    with device.connected() as client:
        for number in range(count):
            client.send_message(str(number))
    seen = events.wait_for(device, count)
    return device, seen[0]["partition"], [event["raw"] for event in seen]


def test_event_hub_tells_about_itself(hub, service, events):
    device, partition, seen = sent(service, events)
    with client_of(hub) as client:
        shown = client.get_eventhub_properties()
        assert shown["partition_ids"] == [str(number) for number in range(hub.shown["events"]["partitionCount"])]
        assert shown["eventhub_name"] and shown["created_at"]
        facts = client.get_partition_properties(partition)
    assert facts["id"] == partition and facts["is_empty"] is False
    assert facts["last_enqueued_sequence_number"] >= seen[-1].sequence_number
    assert facts["last_enqueued_time_utc"] >= seen[-1].enqueued_time


def test_event_hub_is_read_from_any_position(hub, service, events):
    device, partition, seen = sent(service, events)
    third = seen[2]
    before_third = seen[2].enqueued_time - datetime.timedelta(milliseconds=1)
    positions = [
        ("-1", False, ["0", "1", "2", "3", "4"]),
        (third.offset, False, ["3", "4"]),
        (third.offset, True, ["2", "3", "4"]),
        (third.sequence_number, False, ["3", "4"]),
        (third.sequence_number, True, ["2", "3", "4"]),
    ]
    for position, inclusive, expected in positions:
        with Reading(client_of(hub), partition, position, starting_position_inclusive=inclusive) as reading:
            until(lambda: reading.of(device.device)[-1:] == ["4"], f"the last event from {position!r}")
            assert reading.of(device.device) == expected
    with Reading(client_of(hub), partition, before_third) as reading:
        until(lambda: reading.of(device.device)[-1:] == ["4"], "the last event by time")
        assert reading.of(device.device)[-3:] == ["2", "3", "4"]


def test_event_hub_is_read_from_its_end(hub, service, events):
    device, partition, _seen = sent(service, events)
    with Reading(client_of(hub), partition, "@latest") as reading, device.connected() as client:
        number = 0

        def arrives():
            nonlocal number
            client.send_message(f"new {number}")
            number += 1
            return reading.of(device.device)

        # Where its end was is known once the first one came.
        until(arrives, "a new event")
        assert all(body.startswith("new ") for body in reading.of(device.device))


def test_event_hub_groups_are_known_without_case(hub, service, events):
    device, partition, _seen = sent(service, events)
    with Reading(client_of(hub, "$DEFAULT"), partition, "-1") as reading:
        until(lambda: len(reading.of(device.device)) == 5, "the events")


def test_event_hub_owner_takes_over(hub, service, events):
    device, partition, _seen = sent(service, events)
    with Reading(client_of(hub), partition, "-1", owner_level=1) as first:
        until(lambda: len(first.of(device.device)) == 5, "the first owner reads")
        with Reading(client_of(hub), partition, "-1", owner_level=2) as second:
            until(lambda: len(second.of(device.device)) == 5, "the second owner reads")
            until(lambda: first.errors, "the first owner is told")
            assert isinstance(first.errors[0], EventHubError)


def test_event_hub_is_read_over_websocket(hub, service, events):
    device, partition, _seen = sent(service, events)
    client = client_of(hub, transport_type=TransportType.AmqpOverWebsocket)
    with Reading(client, partition, "-1") as reading:
        until(lambda: len(reading.of(device.device)) == 5, "the events")


def test_event_hub_refuses_a_wrong_key(hub):
    wrong = hub.shown["events"]["connectionString"].replace("SharedAccessKey=", "SharedAccessKey=AAAA")
    with pytest.raises(EventHubError):
        with client_of(hub, connection_string=wrong, retry_total=0) as client:
            client.get_eventhub_properties()
