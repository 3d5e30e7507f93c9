"""The server is killed between the steps of a cloud-to-device message: each step that was acknowledged holds, and its
sender hears of each outcome once."""

import json

from devices import Service
from harness.tokens import token
from harness.wait import until
from raw_mqtt import RawClient

SENT = [f"m-{number}" for number in range(5)]
COMPLETED = SENT[:3]


def test_feedback_survives_kills(fresh_hub):
    hub = fresh_hub()
    identity = Service(hub).create()
    for name in SENT:
        hub.send_c2d(identity.device, name, message_id=name, ack="full")

    # Between the queue and the device.
    hub.restart("kill")
    client = connect(identity)
    client.subscribe(f"devices/{identity.device}/messages/devicebound/#")
    delivered = [client.read_publish() for _ in SENT]
    assert [body.decode() for _, body, _ in delivered] == SENT
    for _, body, number in delivered:
        if body.decode() in COMPLETED:
            client.acknowledge(number)
    waiting = len(SENT) - len(COMPLETED)
    until(lambda: queued(hub, identity) == waiting, f"{waiting} messages wait")

    # Between the device and the reader of the feedback.
    hub.restart("kill")
    assert feedback(hub) == [(name, "Success", identity.device) for name in COMPLETED]

    # What was read is gone, and what was not completed comes again.
    hub.restart("kill")
    assert feedback(hub) == []
    client = connect(identity)
    again = [client.read_publish() for _ in range(waiting)]
    assert [body.decode() for _, body, _ in again] == SENT[len(COMPLETED) :]
    hub.call("c2d", "purge", "--device-id", identity.device)
    hub.restart("kill")
    assert feedback(hub) == [(name, "Purged", identity.device) for name in SENT[len(COMPLETED) :]]


def connect(identity):
    return RawClient(identity, token(identity.resource(), identity.primary), clean=False)


def queued(hub, identity):
    return hub.ask("device", "show", "--device-id", identity.device)["cloudToDeviceMessageCount"]


def feedback(hub):
    """Everything that there is to read, taken out of the queue."""
    lines = hub.call("feedback", "watch", "--no-follow", "-o", "json").splitlines()
    records = [json.loads(line) for line in lines]
    return [(record["messageId"], record["status"], record["deviceId"]) for record in records]
