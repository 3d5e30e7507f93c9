"""The server is killed under load, again and again: what it acknowledged has to be there afterwards."""

import os
import random

from devices import Service
from harness.events import Events
from harness.wait import until
from load import Desired, Messages, Receiver, Reported, Telemetry

KILLS = int(os.environ.get("BEHAVIOURS_KILLS", "30"))
# Seconds a behaviour may take: on a core that others use too, a start alone takes five.
BEHAVIOUR_WITHIN = max(120, 10 * KILLS)
# Which acknowledgement each kill waits for. Another seed is another run; a failing one is kept by writing it here.
SEED = 20


def kill_under_load(hub, loads, count, lives=KILLS, most=400):
    """Kills the hub after a random number of acknowledgements in each of its lives."""
    moments = random.Random(SEED)
    for epoch in range(lives):
        before = count()
        for load in loads:
            load.begin(epoch)
        wanted = moments.randint(1, most)
        begun = [(load, len(load.acknowledged)) for load in loads if hasattr(load, "acknowledged")]

        def enough():
            # A life in which a kind was not acknowledged once shows nothing of it.
            return count() >= before + wanted and all(len(load.acknowledged) > at for load, at in begun)

        until(enough, f"{wanted} acknowledgements in life {epoch}", within=60)
        hub.kill()
        for load in loads:
            load.end()
        hub.restart("kill")


def test_acknowledged_writes_survive_kills(fresh_hub):
    hub = fresh_hub()
    service = Service(hub)
    telemetry = [Telemetry(service.create()) for _ in range(3)]
    reported = [Reported(service.create()) for _ in range(2)]
    desired = Desired(service.create())
    messages = Messages(service.create())
    receiver = Receiver(messages.identity)
    writers = [*telemetry, *reported, desired, messages]

    def count():
        return sum(len(load.acknowledged) for load in writers)

    kill_under_load(hub, [*writers, receiver], count)

    # Each kind was under load, or the run shows nothing.
    assert all(len(load.acknowledged) >= KILLS for load in writers)
    for load in telemetry:
        telemetry_is_there(hub, load)
    for load in reported:
        section = service.registry.get_twin(load.identity.device).properties.reported
        section_is_there(section, load)
    section_is_there(service.registry.get_twin(desired.identity.device).properties.desired, desired)
    messages_are_there(hub, messages, receiver)


def telemetry_is_there(hub, load):
    events = Events(hub)
    wanted = set(load.acknowledged)

    def seen():
        return [event["body"] for event in events.of(load.identity.device)]

    try:
        until(lambda: wanted <= set(seen()), lambda: f"lost: {sorted(wanted - set(seen()))[:20]}")
        # The order in which they were sent, a message sent twice counted where it first stands.
        first = list(dict.fromkeys(seen()))
        assert first == sorted(first, key=lambda body: tuple(int(part) for part in body.split(b"-")))
    finally:
        events.close()


def section_is_there(section, load):
    """Each patch sets one of seven slots to its own number; numbers grow, so a lost one shows in its slot."""
    for slot in range(7):
        last = max((number for number in load.acknowledged if number % 7 == slot), default=0)
        assert last <= section.get(f"slot{slot}", 0) <= load.sent, (slot, last, section)
    assert max(load.acknowledged) <= section["number"] <= load.sent, section["number"]


def messages_are_there(hub, messages, receiver):
    wanted = set(messages.acknowledged)
    receiver.begin(KILLS)
    try:
        until(lambda: wanted <= set(receiver.got), lambda: f"lost: {sorted(wanted - set(receiver.got))[:20]}")
    finally:
        hub.kill()
        receiver.end()
        hub.start()


def test_facts_survive_kills(fresh_hub):
    hub = fresh_hub()
    service = Service(hub)
    loads = [Reported(service.create()) for _ in range(3)]
    kill_under_load(hub, loads, lambda: sum(len(load.acknowledged) for load in loads))
    changes = Events(hub, source="twinChangeEvents")
    try:
        for load in loads:
            facts_are_there(changes, load)
    finally:
        changes.close()


def facts_are_there(changes, load):
    wanted = set(load.acknowledged.values())

    def versions():
        return [version_of(event) for event in changes.of(load.identity.device)]

    until(lambda: wanted <= set(versions()), lambda: f"lost: {sorted(wanted - set(versions()))[:20]}")
    seen = versions()
    assert seen == sorted(set(seen)), "a fact stands twice or out of order"
    assert seen == list(range(seen[0], seen[-1] + 1)), "a fact between two others is missing"


def version_of(event):
    return event["raw"]["body"]["properties"]["reported"]["$version"]
