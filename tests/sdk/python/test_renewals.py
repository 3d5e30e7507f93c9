"""Certificates that the service issues, and that devices renew at their hub over MQTT ("Issue Certificate API")."""

import contextlib
import datetime

import pytest
from cryptography.x509.oid import NameOID

from enrollments import new_id
from harness.tokens import token
from renewing import Device, SigningRequest

DAYS = 30


@pytest.fixture
def new_policy(hub):
    """Makes credential policies, each with an issuer of its own."""
    made = []

    def make(days):
        name = new_id("fleet")
        made.append(name)
        hub.call("dps", "issuer", "create", "--name", name)
        hub.call("dps", "credential-policy", "create", "--name", name, "--issuer", name, "--validity-days", str(days))
        return name

    yield make
    for name in made:
        hub.call("dps", "credential-policy", "delete", "--name", name)
        hub.call("dps", "issuer", "delete", "--name", name)
        # Not there when no device registered with a request.
        with contextlib.suppress(AssertionError):
            hub.call("hub", "certificate", "delete", "--name", f"provisioning-{name}")


@pytest.fixture
def policy(new_policy):
    return new_policy(DAYS)


@pytest.fixture
def device(provisioning, hub, policy):
    return Device(provisioning, hub, policy)


def name_of(certificate):
    return certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value


def test_issued_certificate_connects_the_device(device, events):
    held = device.register()
    assert name_of(held.leaf) == device.id
    lives = held.leaf.not_valid_after_utc - datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(days=DAYS - 1) < lives <= datetime.timedelta(days=DAYS)
    device.sends(held, events)


def test_certificate_is_renewed_at_the_hub(device, events):
    first = device.register()
    with device.connected(first) as connection:
        assert connection.subscribe() == (1,)
        second = connection.renew(replace="*")
        third = connection.renew()
    serials = {each.leaf.serial_number for each in (first, second, third)}
    assert len(serials) == 3
    for held in (second, third):
        assert name_of(held.leaf) == device.id
        assert held.chain[1:] == first.chain[1:]
        device.sends(held, events)
    # The one before stays good until it ends.
    device.sends(first, events)


def test_renewed_certificate_renews_again(device):
    held = device.register()
    for _ in range(3):
        with device.connected(held) as connection:
            connection.subscribe("$iothub/credential/#")
            held = connection.renew(replace=None)


def test_renewal_uses_the_policy_of_now(device, new_policy, events):
    first = device.register()
    other = new_policy(7)
    device.update("--credential-policy", other)
    with device.connected(first) as connection:
        connection.subscribe()
        second = connection.renew()
    assert name_of(second.chain[1]) == other
    device.sends(second, events)


def test_renewal_is_answered_to_subscribers_alone(device):
    held = device.register()
    with device.connected(held, clean=False) as connection:
        body = {"id": device.id, "csr": SigningRequest(device.id).text}
        connection.publish(body)
        connection.subscribe()
        connection.unsubscribe()
        connection.publish(body)
        connection.subscribe()
        # Whatever came before would stand in front of this.
        connection.renew()
    with device.connected(held, clean=False) as connection:
        assert connection.resumed, "the subscription was kept"
        connection.renew()


def test_renewal_errors_have_the_documented_codes(device):
    held = device.register()
    good = {"id": device.id, "csr": SigningRequest(device.id).text}
    with device.connected(held) as connection:
        connection.subscribe()
        for body in (
            b"",
            ["not", "an", "object"],
            good | {"id": "other"},
            good | {"id": ""},
            good | {"csr": ""},
            good | {"csr": "not-valid-base64!!@@##"},
            good | {"csr": "A" * 10_240},
            good | {"unknownField": "value"},
            good | {"replace": "123"},
        ):
            assert connection.refused(body)["errorCode"] == 400_004, body
        assert connection.refused(b'{"id": "device", "csr":')["errorCode"] == 400_006
        missing = connection.refused(good | {"replace": "db8c0f73-ac73-4b90-bba4-8a26ae2fcb27"})
        assert missing["errorCode"] == 412_001
        assert missing["info"]["requestId"] == "db8c0f73-ac73-4b90-bba4-8a26ae2fcb27"
        for text in ("AAAA", SigningRequest("other").text):
            refused = connection.refused(good | {"csr": text}, accepted_first=True)
            assert refused["errorCode"] == 400_037
            assert refused["info"]["credentialError"] == "400000"
            assert refused["info"]["credentialMessage"] and refused["info"]["correlationId"]
        connection.renew()


def test_renewal_depends_on_the_enrollment(device):
    held = device.register()
    good = {"id": device.id, "csr": SigningRequest(device.id).text}
    with device.connected(held) as connection:
        connection.subscribe()
        device.update("--provisioning-status", "disabled")
        refused = connection.refused(good, accepted_first=True)
        assert (refused["errorCode"], refused["info"]["credentialError"]) == (400_040, "403201")
        device.update("--provisioning-status", "enabled", "--credential-policy", "")
        refused = connection.refused(good, accepted_first=True)
        assert (refused["errorCode"], refused["info"]["credentialError"]) == (400_040, "400211")
        device.registrant.withdraw()
        refused = connection.refused(good, accepted_first=True)
        assert (refused["errorCode"], refused["info"]["credentialError"]) == (400_040, "404201")
        assert "register again" in refused["message"]


def test_renewal_needs_a_certificate(device, hub):
    state = device.registrant.registered()
    key = device.registrant.attestation.key(device.id)
    password = token(f"{hub.host}/devices/{state.device_id}", key)
    with device.connected(None, password=password) as connection:
        connection.subscribe()
        refused = connection.refused({"id": device.id, "csr": SigningRequest(device.id).text})
        assert (refused["errorCode"], refused["info"]["credentialError"]) == (400_040, "403001")


def test_renewals_are_bounded(device):
    held = device.register()
    body = {"id": device.id, "csr": SigningRequest(device.id).text}
    with device.connected(held) as connection:
        connection.subscribe()
        for _ in range(10):
            connection.renew()
        refused = connection.refused(body)
        assert refused["errorCode"] == 429_002
        assert 0 < refused["retryAfter"] <= 60
