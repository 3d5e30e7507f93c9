"""A service that keeps the limits of the vendor's tier, and clients that wait as they are told."""

import logging
import os
import pathlib
import threading

import pytest

from attestations import SymmetricGroup
from doors import Door
from enrollments import Provisioning, status_of
from harness.hub import Hub
from harness.namespace import LIMITED, LIMITED_ADDRESS
from harness.trust import trust
from harness.wait import until

# As documented: so many questions of a device in ten seconds.
POLLS = 5
# And so many groups with symmetric keys.
GROUPS = 100
# What the SDK says when it waits because it was told to.
WAITS = "Op needs retry with interval"
# Now and then the SDK's question is the one that finds room among the others.
ATTEMPTS = 5


@pytest.fixture(scope="module")
def limited(shared_hub):
    scratch = pathlib.Path(os.environ["BEHAVIOURS_SCRATCH"])
    config = scratch / "limited.toml"
    config.write_text('[provisioning]\nquota = "S1"\n')
    installation = Hub(scratch / "limited", host=LIMITED, address=LIMITED_ADDRESS, config=config).start()
    trust(shared_hub, installation)
    yield installation
    installation.close()
    trust(shared_hub)


@pytest.fixture
def provisioning(limited):
    provisioning = Provisioning(limited)
    yield provisioning
    provisioning.clear()


def test_device_that_is_throttled_waits_and_is_registered(provisioning, caplog):
    registrant = provisioning.enroll()
    door = Door(registrant)
    refusals = []
    ended = threading.Event()

    def ask_too_often():
        while not ended.is_set() and WAITS not in caplog.text:
            answer = door.status("5.none")
            if answer.status_code == 429:
                refusals.append(answer)
            ended.wait(0.05)

    asking = threading.Thread(target=ask_too_often)
    asking.start()
    try:
        until(lambda: len(refusals) >= POLLS, "the device's questions find no room")
        with caplog.at_level(logging.INFO, logger="azure.iot.device.provisioning"):
            # They find none until the SDK was told so.
            states = (registrant.registered() for _ in range(ATTEMPTS))
            state = next((state for state in states if WAITS in caplog.text), None)
    finally:
        ended.set()
        asking.join()
    assert state is not None, "the SDK was not told to wait"
    assert state.assigned_hub == LIMITED
    error = refusals[0].json()
    assert error["errorCode"] == 429_001 and error["message"], error
    assert int(refusals[0].headers["Retry-After"]) >= 1


def test_groups_are_as_many_as_the_tier_has(provisioning):
    attestation = SymmetricGroup()
    created = []
    try:
        for number in range(GROUPS):
            created.append(provisioning.create_group(attestation, f"full-{number}"))
        assert status_of(provisioning.create_group, attestation, "one-too-many") == 403
    finally:
        for group in created:
            provisioning.service.delete(group)
