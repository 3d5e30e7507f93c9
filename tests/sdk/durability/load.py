"""Load that remembers what was acknowledged to it, and what it only sent."""

import json
import ssl
import threading
import urllib.request

from raw_mqtt import Lost, RawClient
from harness.tokens import token

WINDOW = 32


class Load:
    """Something that writes to the hub until the hub is gone."""

    def __init__(self, identity):
        self.identity = identity
        self.errors = []
        self.thread = None

    def begin(self, epoch):
        self.thread = threading.Thread(target=self.run, args=(epoch,), name=type(self).__name__)
        self.thread.start()

    def end(self):
        self.thread.join(60)
        assert not self.thread.is_alive(), f"{type(self).__name__} does not end"
        assert not self.errors, self.errors

    def run(self, epoch):
        try:
            self.work(epoch)
        except (Lost, OSError):
            pass
        except Exception as error:  # noqa: BLE001 - shown by `end`, in the thread that can fail the behaviour
            self.errors.append(error)

    def connect(self, *, clean):
        return RawClient(self.identity, token(self.identity.resource(), self.identity.primary), clean=clean)


class Telemetry(Load):
    """QoS 1 with a window of messages under way."""

    def __init__(self, identity):
        super().__init__(identity)
        self.acknowledged = []

    def work(self, epoch):
        client = self.connect(clean=True)
        under_way = {}
        number = 0
        topic = f"devices/{self.identity.device}/messages/events/epoch={epoch}"
        while True:
            while len(under_way) < WINDOW:
                body = f"{epoch}-{number}".encode()
                under_way[client.publish(topic, body)] = body
                number += 1
            self.acknowledged.append(under_way.pop(client.read_puback()))


class Reported(Load):
    """One reported patch after the other; each names its number twice."""

    def __init__(self, identity):
        super().__init__(identity)
        self.sent = 0
        # The version that each was answered with.
        self.acknowledged = {}

    def work(self, _epoch):
        client = self.connect(clean=True)
        client.subscribe("$iothub/twin/res/#")
        while True:
            self.sent += 1
            patch = json.dumps({"number": self.sent, f"slot{self.sent % 7}": self.sent}).encode()
            client.publish(f"$iothub/twin/PATCH/properties/reported/?$rid={self.sent}", patch)
            topic, _, _ = client.read_publish()
            assert topic.startswith("$iothub/twin/res/204/"), topic
            self.acknowledged[self.sent] = int(topic.rsplit("$version=", 1)[1])


class Desired(Load):
    """One desired patch after the other, by the service SDK's own path."""

    def __init__(self, identity):
        super().__init__(identity)
        self.sent = 0
        self.acknowledged = []

    def work(self, _epoch):
        hub = self.identity.hub
        key = hub.policy_key("service")
        while True:
            self.sent += 1
            patch = {"properties": {"desired": {"number": self.sent, f"slot{self.sent % 7}": self.sent}}}
            path = f"/twins/{self.identity.device}?api-version=2021-04-12"
            headers = {"If-Match": '"*"', "Authorization": token(hub.host, key, policy="service")}
            request(hub, "PATCH", path, patch, headers)
            self.acknowledged.append(self.sent)


class Messages(Load):
    """Cloud-to-device messages one after the other."""

    def __init__(self, identity):
        super().__init__(identity)
        self.sent = 0
        self.acknowledged = []

    def work(self, _epoch):
        hub = self.identity.hub
        run = json.loads((hub.folder / "run.json").read_text())
        name = hub.host.split(".")[0]
        path = f"/api/v1/hubs/{name}/devices/{self.identity.device}/messages"
        while True:
            self.sent += 1
            body = {"body": {"text": str(self.sent)}}
            request(hub, "POST", path, body, {"Authorization": f"Bearer {run['adminToken']}"})
            self.acknowledged.append(self.sent)


class Receiver(Load):
    """The device that those messages are for, in a session that lasts."""

    def __init__(self, identity):
        super().__init__(identity)
        self.got = []

    def work(self, _epoch):
        client = self.connect(clean=False)
        client.subscribe(f"devices/{self.identity.device}/messages/devicebound/#")
        while True:
            _, body, number = client.read_publish()
            self.got.append(int(body))
            client.acknowledge(number)


def request(hub, verb, path, body, headers):
    """One HTTPS call; anything but success ends the load."""
    context = ssl.create_default_context(cafile=hub.authority)
    headers = {"Content-Type": "application/json", **headers}
    call = urllib.request.Request(f"https://{hub.host}{path}", json.dumps(body).encode(), headers, method=verb)
    with urllib.request.urlopen(call, timeout=20, context=context) as answer:
        return answer.read()
