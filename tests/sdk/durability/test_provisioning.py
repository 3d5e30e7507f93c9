"""The server is killed while devices register: whoever was told an operation finds its outcome, and nobody is half there."""

import requests

from attestations import SymmetricGroup
from devices import Service
from doors import Door, finished
from enrollments import Provisioning, new_id
from harness.wait import until
from harness.webhook import HANG, Webhook
from load import Load
from test_kills import BEHAVIOUR_WITHIN, KILLS, kill_under_load  # noqa: F401

# Each registration is a handshake of its own.
LIVES = max(1, KILLS // 3)
WITHIN_A_LIFE = 60


class Registering(Load):
    """One new device of a group after the other."""

    def __init__(self, provisioning, first):
        super().__init__(first)
        self.provisioning = provisioning
        self.acknowledged = {}
        self.tried = []

    def work(self, _epoch):
        while True:
            registrant = self.provisioning.member(self.identity)
            self.tried.append(registrant)
            answer = Door(registrant).register()
            assert answer.status_code == 202, answer.text
            self.acknowledged[registrant.registration] = (registrant, answer.json()["operationId"])

    def run(self, epoch):
        try:
            self.work(epoch)
        except requests.RequestException:
            pass
        except Exception as error:  # noqa: BLE001 - shown by `end`, in the thread that can fail the behaviour
            self.errors.append(error)


def test_registrations_survive_kills(fresh_hub):
    hub = fresh_hub()
    provisioning, service = Provisioning(hub), Service(hub)
    group = provisioning.enroll(SymmetricGroup(), twin={"tags": {"site": "north"}})
    loads = [Registering(provisioning, group) for _ in range(2)]
    kill_under_load(hub, loads, lambda: sum(len(load.acknowledged) for load in loads), LIVES, WITHIN_A_LIFE)

    assert all(len(load.acknowledged) >= LIVES for load in loads)
    for load in loads:
        for registration, (registrant, operation) in load.acknowledged.items():
            final = until(lambda: finished(Door(registrant).status(operation)), f"{registration} is assigned").json()
            assert final["status"] == "assigned", final
            assert final["registrationState"]["assignedHub"] == hub.host
            assert service.registry.get_twin(registration).tags == {"site": "north"}
        # Those that were not answered any more: there whole or not at all, and free to try again.
        for registrant in load.tried:
            if registrant.registration not in load.acknowledged:
                assert service.has(registrant.registration) == provisioning.has_registration(registrant.registration)
                assert Door(registrant).register().status_code == 202


def test_pending_registration_survives_a_kill(fresh_hub):
    hub = fresh_hub()
    provisioning, service = Provisioning(hub), Service(hub)
    answers = [HANG, (200, {"iotHubHostName": hub.host, "payload": {"attempt": 2}})]
    with Webhook(lambda _request: answers.pop(0)) as webhook:
        door = Door(provisioning.enroll(webhook=webhook.url, registration=new_id("pending")))
        operation = door.register().json()["operationId"]
        webhook.asked.get(timeout=20)
        assert door.status(operation).status_code == 202
        hub.kill()
        hub.restart("kill")
        # The new life takes the work up by itself: nobody registers again.
        final = until(lambda: finished(door.status(operation)), "the registration is taken up again").json()
    assert final["status"] == "assigned"
    assert final["registrationState"]["payload"] == {"attempt": 2}
    assert service.has(door.registrant.registration)
