"""The back end's view by the vendor's own client for Event Hubs: one reader of all partitions, from their start."""

import collections
import threading

from azure.eventhub import EventHubConsumerClient

from .wait import WITHIN, until

GROUP = "$Default"


class EventHubReader:
    """Follows the log from its start and keeps what it has seen, by device and module."""

    def __init__(self, hub):
        self.seen = collections.defaultdict(list)
        self.errors = []
        self.client = client_of(hub)
        self.threads = [
            threading.Thread(target=self.read, args=(str(partition),), daemon=True)
            for partition in range(hub.shown["events"]["partitionCount"])
        ]
        for thread in self.threads:
            thread.start()

    def read(self, partition):
        self.client.receive(
            on_event=self.keep,
            on_error=lambda _context, error: self.errors.append(error),
            partition_id=partition,
            starting_position="-1",
            prefetch=300,
        )

    def keep(self, context, event):
        if event is not None:
            shown = event_of(event) | {"partition": context.partition_id}
            self.seen[shown["device"], shown["module"]].append(shown)

    def of(self, device, module=None):
        """The events of one device or module so far, in order."""
        return list(self.seen[device, module])

    def wait_for(self, identity, count=1, within=WITHIN):
        """At least `count` events of a device or module."""
        name = (identity.device, identity.module)

        def enough():
            found = self.of(*name)
            return found if len(found) >= count else None

        def missing():
            return f"{count} events of {name}, {len(self.of(*name))} came; the reader's errors: {self.errors}"

        return until(enough, missing, within)

    def close(self):
        self.client.close()


def client_of(hub, group=GROUP, connection_string=None, **options):
    return EventHubConsumerClient.from_connection_string(
        connection_string or hub.shown["events"]["connectionString"],
        consumer_group=group,
        connection_verify=hub.authority,
        **options,
    )


def event_of(event):
    """What the tests look at, in the words of the client."""
    system = {text(key): text(value) for key, value in event.system_properties.items()}
    application = {text(key): text(value) for key, value in (event.properties or {}).items()}
    output = application.pop("iothub-outputname", None)
    return {
        "device": system.get("iothub-connection-device-id"),
        "module": system.get("iothub-connection-module-id"),
        "body": b"".join(event.body),
        "system": system,
        "application": application,
        "output": output or system.get("iothub-outputname"),
        "enqueued": event.enqueued_time,
        "raw": event,
    }


def text(value):
    return value.decode() if isinstance(value, bytes) else value
