"""Devices that register, over every transport and with every attestation."""

import pytest

from attestations import ATTESTATIONS
from devices import desired, members
from enrollments import Provisioning, status_of
from harness.webhook import Webhook
from registrants import payload_of, status_in


@pytest.fixture
def provisioning(shared_hub):
    """The service SDK as the owner of the provisioning service."""
    provisioning = Provisioning(shared_hub)
    yield provisioning
    provisioning.clear()


@pytest.fixture
def enroll(cell, provisioning):
    """Enrolls a device as the cell wants it."""

    def enroll(**terms):
        return provisioning.enroll(ATTESTATIONS[cell.cell.credential](), transport=cell.cell.transport, **terms)

    return enroll


def test_registration_leads_to_the_hub(enroll, provisioning, service, events):
    registrant = enroll(twin={"tags": {"site": "north"}, "desired": {"interval": 5}})
    state = registrant.registered()
    assert (state.assigned_hub, state.device_id) == (provisioning.hub.host, registrant.registration)
    assert state.sub_status == "initialAssignment"
    assert state.etag and state.created_date_time and state.last_update_date_time
    registrant.reaches_its_hub(state, events)

    twin = service.registry.get_twin(state.device_id)
    assert twin.tags == {"site": "north"}
    assert members(twin.properties.desired) == {"interval": 5}
    record = provisioning.registration(registrant.registration)
    assert (record.status, record.assigned_hub, record.device_id) == ("assigned", state.assigned_hub, state.device_id)


def test_registration_again_keeps_the_device(enroll, service, events):
    registrant = enroll(twin={"desired": {"interval": 5}})
    first = registrant.registered()
    generation = service.registry.get_device(first.device_id).generation_id
    service.registry.update_twin(first.device_id, desired(interval=60), "*")

    second = registrant.registered()
    assert (second.assigned_hub, second.device_id) == (first.assigned_hub, first.device_id)
    assert second.sub_status == "initialAssignment"
    assert service.registry.get_device(first.device_id).generation_id == generation
    assert members(service.registry.get_twin(first.device_id).properties.desired) == {"interval": 60}
    registrant.reaches_its_hub(second, events)


def test_registration_carries_payloads_both_ways(enroll, provisioning):
    def choose(request):
        payload = request["deviceRuntimeContext"]["payload"]
        return 200, {"iotHubHostName": provisioning.hub.host, "payload": {"seen": payload, "grüße": [1, None]}}

    with Webhook(choose) as webhook:
        registrant = enroll(webhook=webhook.url)
        state = registrant.registered(payload={"model": "T-800", "größe": 1.5})
    assert payload_of(state) == {"seen": {"model": "T-800", "größe": 1.5}, "grüße": [1, None]}
    assert state.assigned_hub == provisioning.hub.host


def test_stranger_is_not_registered(enroll, provisioning, service):
    registrant = enroll()
    error = registrant.refused(slot="wrong")
    assert status_in(error) in (None, 401), error
    assert status_of(provisioning.registration, registrant.registration) == 404
    assert not service.has(registrant.registration)


def test_disabled_enrollment_registers_nobody(enroll, provisioning, events):
    registrant = enroll(status="disabled")
    assert "disabled" in str(registrant.refused().__cause__)
    assert status_of(provisioning.registration, registrant.registration) == 404
    registrant.change(provisioning_status="enabled")
    registrant.reaches_its_hub(registrant.registered(), events)
