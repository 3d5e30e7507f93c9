"""Devices that register, beyond what every cell of the matrix shows."""

import base64
import concurrent.futures

import pytest
from azure.iot.device import exceptions
from cryptography.hazmat.primitives import serialization

from attestations import SymmetricGroup, SymmetricIndividual, X509GroupIntermediate, X509GroupRoot, X509Individual, derived_key
from devices import members
from doors import Door, finished
from enrollments import WEBHOOK_VERSION, new_id, status_of
from harness import certificates
from harness.tokens import token
from harness.wait import until
from harness.webhook import HANG, Webhook
from registrants import Registrant, close, payload_of, status_in

DAY = 24 * 3600


def device_of(service, state):
    return service.registry.get_device(state.device_id)


def keys_of(service, state):
    keys = device_of(service, state).authentication.symmetric_key
    return keys.primary_key, keys.secondary_key


def test_enrollment_names_the_device(provisioning, service, events):
    registrant = provisioning.enroll(device_id=new_id("another-name"))
    state = registrant.registered()
    assert state.device_id == registrant.enrollment.device_id != registrant.registration
    registrant.reaches_its_hub(state, events)
    # Only an enrollment of its own can: a device of a group is called after its registration.
    member = provisioning.enroll(SymmetricGroup())
    assert member.registered().device_id == member.registration


def test_enrollment_may_ask_for_an_edge_device(provisioning, service):
    edge = provisioning.enroll(edge=True).registered()
    assert device_of(service, edge).capabilities.iot_edge is True
    plain = provisioning.enroll().registered()
    assert device_of(service, plain).capabilities.iot_edge is False


def test_registration_gives_the_hub_its_keys(provisioning, service):
    individual = provisioning.enroll()
    keys = individual.attestation.keys
    assert keys_of(service, individual.registered()) == (keys["primary"], keys["secondary"])
    member = provisioning.enroll(SymmetricGroup())
    expected = tuple(derived_key(member.attestation.keys[slot], member.registration) for slot in ("primary", "secondary"))
    assert keys_of(service, member.registered()) == expected


def test_registration_gives_the_hub_its_thumbprints(provisioning, service):
    registrant = provisioning.enroll(X509Individual())
    authentication = device_of(service, registrant.registered()).authentication
    assert authentication.type == "selfSigned"
    shown = authentication.x509_thumbprint
    expected = [registrant.attestation.slots[slot].thumbprint() for slot in ("primary", "secondary")]
    assert [shown.primary_thumbprint.upper(), shown.secondary_thumbprint.upper()] == expected


def test_rolled_key_reaches_the_hub(provisioning, service, events):
    for attestation in (SymmetricIndividual(), SymmetricGroup()):
        registrant = provisioning.enroll(attestation)
        state = registrant.registered()
        before = keys_of(service, state)
        # Any of the two keys registers.
        assert registrant.registered(slot="secondary").device_id == state.device_id

        attestation.keys["primary"] = SymmetricIndividual().keys["primary"]
        registrant.change()
        assert keys_of(service, state) == before
        again = registrant.registered(slot="secondary")
        after = keys_of(service, again)
        assert after[0] != before[0] and after[1] == before[1]
        registrant.reaches_its_hub(again, events, slot="primary")


def test_rolled_certificate_reaches_the_hub(provisioning, service, events):
    attestation = X509Individual()
    registrant = provisioning.enroll(attestation)
    state = registrant.registered()
    # The second slot takes the place of the first, which gets a new certificate.
    old = attestation.slots["primary"]
    attestation.slots["primary"] = certificates.self_signed(registrant.registration)
    registrant.change()
    again = registrant.registered(slot="secondary")
    assert again.device_id == state.device_id
    registrant.reaches_its_hub(again, events)
    attestation.slots["primary"] = old
    registrant.refused()


def test_renewed_intermediate_registers_beside_the_old_one(provisioning, events):
    attestation = X509GroupIntermediate()
    first = provisioning.enroll(attestation)
    first.registered()
    renewed = certificates.issue("renewed intermediate", issuer=attestation.authority.root, authority=True)
    pems = [attestation.authority.intermediate.chain_pem(), renewed.chain_pem()]
    attestation.mechanism = lambda: type(first.enrollment.attestation).create_with_x509_signing_certs(*pems)
    first.change()
    attestation.authority.intermediate = renewed
    second = provisioning.member(first)
    second.reaches_its_hub(second.registered(), events)
    attestation.issued.pop(first.registration)
    first.reaches_its_hub(first.registered(), events)


def test_enrollment_withdrawn_registers_nobody(provisioning, events):
    for attestation in (SymmetricIndividual(), SymmetricGroup(), X509Individual(), X509GroupRoot()):
        registrant = provisioning.enroll(attestation)
        state = registrant.registered()
        registrant.withdraw()
        registrant.refused()
        # The hub is not told: a back end that wants the device gone deletes it there.
        registrant.reaches_its_hub(state, events)


def test_enrollment_of_its_own_goes_before_the_group(provisioning, events):
    """A single device of a group is locked out by a disabled enrollment of its own."""
    member = provisioning.enroll(X509GroupIntermediate())
    member.registered()
    leaf = member.attestation.issued[member.registration]
    own = X509Individual()
    own.prepare(provisioning, member.registration)
    own.slots["primary"] = certificates.Certificate(leaf.certificate, leaf.key)
    locked = provisioning.create_individual(member.registration, own, status="disabled")
    try:
        member.refused()
    finally:
        provisioning.service.delete(locked)
    member.reaches_its_hub(member.registered(), events)


def test_registration_by_strangers_is_refused(provisioning, monkeypatch):
    known = provisioning.enroll()
    # A registration id that nobody enrolled.
    unknown = Registrant(provisioning, new_id("nobody"), known.attestation, known.enrollment, "mqtt")
    assert status_in(unknown.refused()) in (None, 401, 404)
    # Another service's scope.
    monkeypatch.setattr(provisioning, "id_scope", "0ne0000FFFF")
    assert status_in(known.refused()) in (None, 401, 404)


def test_registration_with_an_expired_token_is_refused(provisioning):
    registrant = provisioning.enroll()
    client = registrant.attestation.registering(registrant, "own", registrant.options())
    resource = f"{provisioning.id_scope}/registrations/{registrant.registration}"
    # The SDK renews a token before it ends.
    sastoken = client._pipeline._nucleus.pipeline_configuration.sastoken
    sastoken._token = token(resource, registrant.attestation.key(registrant.registration), lives=-DAY)
    try:
        with pytest.raises(exceptions.CredentialError):
            client.register()
    finally:
        close(client)


def test_registration_ids_are_compared_without_case(provisioning, events):
    registrant = provisioning.enroll(registration=new_id("Sensor-A"))
    first = registrant.registered()
    other = Registrant(provisioning, registrant.registration.lower(), registrant.attestation, registrant.enrollment, "mqtt")
    second = other.registered()
    assert second.device_id == first.device_id == registrant.registration
    # A group's key is derived of the id as the device spells it.
    member = provisioning.enroll(SymmetricGroup(), registration=new_id("Sensor-B"))
    member.reaches_its_hub(member.registered(), events)


def test_registrations_at_once_have_one_outcome(provisioning, service, events):
    registrant = provisioning.enroll(twin={"tags": {"site": "north"}})
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        states = list(pool.map(lambda _: registrant.registered(), range(8)))
        operations = list(pool.map(lambda _: Door(registrant).register().json()["operationId"], range(8)))
    assert {(state.assigned_hub, state.device_id) for state in states} == {(provisioning.hub.host, registrant.registration)}
    # Whoever was told an operation may ask for it, though another one came after it.
    for operation in operations:
        answer = until(lambda: finished(Door(registrant).status(operation)), f"the outcome of {operation}")
        assert answer.json()["status"] == "assigned", answer.text
    final = registrant.registered()
    assert provisioning.registration(registrant.registration).status == "assigned"
    assert service.registry.get_twin(final.device_id).tags == {"site": "north"}
    registrant.reaches_its_hub(final, events)


# Custom allocation


def test_webhook_chooses_the_hub_and_the_twin(hub, provisioning, service, events):
    chosen = {
        "iotHubHostName": hub.host,
        "initialTwin": {"tags": {"by": "webhook"}, "properties": {"desired": {"interval": 7}}},
        "payload": {"welcome": True},
    }
    with Webhook(lambda _request: (200, chosen)) as webhook:
        registrant = provisioning.enroll(webhook=webhook.url, twin={"tags": {"by": "enrollment"}})
        state = registrant.registered(payload={"model": "T-800"})
        asked = webhook.asked.get_nowait()
    assert payload_of(state) == {"welcome": True}
    twin = service.registry.get_twin(state.device_id)
    assert twin.tags == {"by": "webhook"}
    assert members(twin.properties.desired) == {"interval": 7}
    registrant.reaches_its_hub(state, events)

    definition = registrant.enrollment.custom_allocation_definition
    assert (definition.webhook_url, definition.api_version) == (webhook.url, WEBHOOK_VERSION)
    assert asked["path"] == "/allocate?code=secret"
    assert asked["headers"]["content-type"].startswith("application/json")
    body = asked["body"]
    assert set(body) == {"individualEnrollment", "deviceRuntimeContext", "linkedHubs"}
    assert body["linkedHubs"] == [hub.host]
    assert body["individualEnrollment"]["registrationId"] == registrant.registration
    context = body["deviceRuntimeContext"]
    assert context["registrationId"] == registrant.registration
    assert context["payload"] == {"model": "T-800"}
    assert "symmetricKey" in context
    # No key leaves the service.
    assert not any(key in str(body) for key in registrant.attestation.keys.values())


def test_webhook_of_a_group_sees_the_certificate_and_the_present_hub(hub, provisioning):
    with Webhook(lambda _request: (200, {"iotHubHostName": hub.host})) as webhook:
        registrant = provisioning.enroll(X509GroupRoot(), webhook=webhook.url)
        registrant.registered()
        first = webhook.asked.get_nowait()["body"]
        registrant.registered()
        second = webhook.asked.get_nowait()["body"]
    assert first["enrollmentGroup"]["enrollmentGroupId"] == registrant.enrollment.enrollment_group_id
    leaf = registrant.attestation.certificate(registrant.registration, "own").certificate
    shown = base64.b64decode(first["deviceRuntimeContext"]["x509"]["clientCertificate"])
    assert shown == leaf.public_bytes(serialization.Encoding.DER)
    assert "currentIotHubHostName" not in first["deviceRuntimeContext"]
    assert second["deviceRuntimeContext"]["currentIotHubHostName"] == hub.host
    assert second["deviceRuntimeContext"]["currentDeviceId"] == registrant.registration


def test_webhook_that_gives_no_hub_fails_the_registration(hub, provisioning, service):
    answers = {
        "fails": (500, {"message": "out of order"}),
        "lies": (200, {"iotHubHostName": "not-linked.test"}),
        "says nothing": (200, {}),
        "is confused": (200, ["hub.test"]),
        "does not know": (404, {}),
    }
    for how, answer in answers.items():
        with Webhook(lambda _request, answer=answer: answer) as webhook:
            registrant = provisioning.enroll(webhook=webhook.url)
            failed(provisioning, service, registrant, how)


def test_webhook_that_hangs_fails_the_registration(provisioning, service):
    with Webhook(lambda _request: HANG) as webhook:
        registrant = provisioning.enroll(webhook=webhook.url)
        failed(provisioning, service, registrant, "hangs")


def failed(provisioning, service, registrant, how):
    """The client sees a failure; the record says why, and so does the command line; no device was made."""
    registrant.refused()
    record = provisioning.registration(registrant.registration)
    assert record.status == "failed", (how, record.status)
    assert record.error_code >= 400_000 and record.error_message, how
    assert record.assigned_hub is None, how
    listed = provisioning.hub.ask("dps", "registration", "list", "--filter", "failed")
    [line] = [line for line in listed if line["registrationId"] == registrant.registration]
    assert line["status"] == "failed" and line["errorMessage"] == record.error_message, (how, line)
    assert not service.has(registrant.registration), how


def test_webhook_that_recovers_registers_at_the_next_try(hub, provisioning, events):
    answers = [(500, {}), (200, {"iotHubHostName": hub.host})]
    with Webhook(lambda _request: answers.pop(0)) as webhook:
        registrant = provisioning.enroll(webhook=webhook.url)
        registrant.refused()
        state = registrant.registered()
    registrant.reaches_its_hub(state, events)
    record = provisioning.registration(registrant.registration)
    assert (record.status, record.error_code) == ("assigned", None)


def test_pending_registrations_are_listed(hub, provisioning):
    with Webhook(lambda _request: HANG) as webhook:
        registrant = provisioning.enroll(webhook=webhook.url)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            refused = pool.submit(registrant.refused)
            webhook.asked.get(timeout=20)

            def pending():
                listed = provisioning.hub.ask("dps", "registration", "list", "--filter", "assigning")
                return [line for line in listed if line["registrationId"] == registrant.registration]

            until(pending, "the registration is listed as assigning")
            refused.result()


def test_refused_registrations_are_listed_with_the_reason(provisioning):
    disabled = provisioning.enroll(status="disabled")
    disabled.refused()
    wrong = provisioning.enroll()
    wrong.refused(slot="wrong")

    def listed():
        refusals = provisioning.hub.ask("dps", "registration", "list", "--filter", "refused")
        lines = {line["registrationId"]: line for line in refusals}
        found = [lines.get(each.registration) for each in (disabled, wrong)]
        return found if all(found) else None

    for line in until(listed, "both refusals are listed"):
        assert line["errorCode"] >= 400_000 and line["errorMessage"]
    assert status_of(provisioning.registration, disabled.registration) == 404
