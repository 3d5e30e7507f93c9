"""The server, or the hub of another installation, is killed at each call between them: one hub has the device, whole."""

import os
import pathlib

import pytest
import requests

from azure.iot.device import exceptions
from azure.iot.device.provisioning.pipeline import constant as provisioning_constant

from msrest.exceptions import ClientException

from devices import Service, desired, members
from doors import Door, finished
from enrollments import MIGRATE, NEVER, RESET, Provisioning, new_id
from harness.hub import Hub
from harness.namespace import BESIDE
from harness.relay import Relay
from harness.trust import trust
from harness.wait import until

FAR_ADDRESS = "127.0.0.3"
(FAR,) = BESIDE[FAR_ADDRESS]
OWN = "hub.test"
# A former hub that was killed is asked again with the next look of the service for what is not finished.
LEFT_WITHIN = 45


class Two:
    """An installation with the provisioning service, and a hub of another one, linked by way of a relay."""

    def __init__(self, near, far, relay):
        self.near, self.far, self.relay = near, far, relay
        self.hubs = {OWN: near, FAR: far}
        self.services = {host: Service(hub) for host, hub in self.hubs.items()}
        self.provisioning = Provisioning(near)
        near.call("dps", "linked-hub", "create", "--hub-connection-string", relay.connection_string)

    def homes(self, device):
        return [host for host, service in self.services.items() if service.has(device)]

    def live(self, host, device):
        """A back end writes into its twin."""
        lived = desired(interval=60)
        lived.tags = {"site": "lived in"}
        self.services[host].registry.update_twin(device, lived, "*")


@pytest.fixture
def two(fresh_hub, monkeypatch):
    monkeypatch.setattr(provisioning_constant, "DEFAULT_POLLING_INTERVAL", 0.1)
    scratch = pathlib.Path(os.environ["BEHAVIOURS_SCRATCH"])
    folder = scratch / new_id("far")
    far = Hub(folder, host=FAR, address=FAR_ADDRESS).start()
    config = scratch / f"{folder.name}.toml"
    config.write_text(f"[provisioning]\ntrusted_certificates = {far.authority!r}\n")
    near = fresh_hub(config=config, address="127.0.0.1")
    trust(near, far)
    with Relay(far) as relay:
        yield Two(near, far, relay)
    far.close()


def first(two):
    """A new device, to the far hub."""
    registrant = two.provisioning.enroll(allocation_policy="static", iot_hubs=[FAR], twin=initial())
    return registrant, FAR, "initialAssignment", "initial"


def initial():
    return {"tags": {"site": "initial"}, "desired": {"interval": 5}}


def moving(two, start, end, policy):
    """A device that lived in one hub, and whose enrollment names the other by now."""
    terms = {"allocation_policy": "static", "iot_hubs": [start], "reprovision_policy": policy, "twin": initial()}
    registrant = two.provisioning.enroll(**terms)
    state = registrant.registered()
    assert state.assigned_hub == start
    two.live(start, state.device_id)
    registrant.change(iot_hubs=[end])
    return registrant


def out_with_twin(two):
    return moving(two, OWN, FAR, MIGRATE), FAR, "deviceDataMigrated", "lived in"


def out_without_twin(two):
    return moving(two, OWN, FAR, RESET), FAR, "deviceDataReset", "initial"


def home_with_twin(two):
    return moving(two, FAR, OWN, MIGRATE), OWN, "deviceDataMigrated", "lived in"


def home_without_twin(two):
    return moving(two, FAR, OWN, RESET), OWN, "deviceDataReset", "initial"


def never(two):
    return moving(two, FAR, OWN, NEVER), FAR, "reprovisionedToInitialAssignment", "lived in"


def one_outcome(two, way, call, killed, when):
    """Kills at one call; true when the way has that many."""
    registrant, host, substatus, site = way(two)
    two.relay.arm(call, **{when: killed.kill})
    try:
        operation = Door(registrant).register().json()["operationId"]
        until(lambda: two.relay.struck.is_set() or settled(two, registrant, operation), "the call or the end")
    except (requests.RequestException, ClientException):
        # Who was killed does not answer the test either.
        assert two.relay.struck.wait(20)
    # The end may be seen before the last call has gone wrong: what it did was done before that.
    struck = two.relay.disarm()
    if struck:
        killed.restart("kill")
    # The device asks until it is told its hub; an attempt that the kill let fail says why.
    state = until(lambda: assigned(registrant), "the device is assigned")
    where = f"{way.__name__}, call {call} of {two.relay.calls}"
    assert (state.assigned_hub, state.sub_status) == (host, substatus), where
    until(lambda: two.homes(state.device_id) == [host], f"one hub has it: {where}", LEFT_WITHIN)
    twin = two.services[host].registry.get_twin(state.device_id)
    assert twin.tags == {"site": site}, where
    assert members(twin.properties.desired) == {"interval": 60 if site == "lived in" else 5}, where
    with registrant.connected(state, hub=two.hubs[host]):
        pass
    return struck


def assigned(registrant):
    try:
        result = registrant.register()
    except exceptions.ClientError:
        return None
    return result.registration_state if result.status == "assigned" else None


def settled(two, registrant, operation):
    """It has its hub, and the other one has let go of it."""
    if not finished(Door(registrant).status(operation)):
        return False
    return len(two.homes(registrant.registration)) == 1


def at_each_call(two, ways, killed, when):
    for way in ways:
        call = 0
        while one_outcome(two, way, call, killed, when):
            call += 1
        assert call >= 2, f"{way.__name__} has {call} calls"


def test_kills_before_calls_to_a_far_hub_have_one_outcome(two):
    at_each_call(two, [first, out_with_twin, home_with_twin], two.near, "before")


def test_kills_after_calls_to_a_far_hub_have_one_outcome(two):
    at_each_call(two, [first, out_with_twin, home_with_twin], two.near, "after")


def test_kills_with_other_policies_have_one_outcome(two):
    at_each_call(two, [out_without_twin, home_without_twin, never], two.near, "after")


def test_kills_of_a_far_hub_before_calls_have_one_outcome(two):
    at_each_call(two, [first, out_with_twin, never], two.far, "before")


def test_kills_of_a_far_hub_after_calls_have_one_outcome(two):
    at_each_call(two, [first, out_with_twin, never], two.far, "after")


def test_kills_of_a_hub_that_is_left_have_one_outcome(two):
    at_each_call(two, [home_with_twin], two.far, "after")
