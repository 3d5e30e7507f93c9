"""The device's HTTPS routes as the documents tell them, without an SDK; the vendor's Python client does not use them."""

import base64
import hashlib
import hmac
import json
import re
import time
import urllib.parse
import uuid

import pytest
from azure.iot.device import IoTHubDeviceClient
from provisioningserviceclient.models import AttestationMechanism

from attestations import Attestation, X509GroupIntermediate, X509GroupRoot, X509Individual, files_of
from doors import WITHIN, Door, finished
from enrollments import new_id
from harness import tpm
from harness.tokens import token
from harness.wait import until
from harness.webhook import HANG, Webhook

DAY = 24 * 3600


@pytest.fixture
def door(provisioning):
    return Door(provisioning.enroll())


def refused(answer, status):
    """An error of the service has the documented members, and says its code in a header too."""
    assert answer.status_code == status, answer.text
    error = answer.json()
    assert error["errorCode"] // 1000 == status, error
    assert error["message"] and error["trackingId"] and error["timestampUtc"], error
    return error


def test_registration_over_https_step_by_step(door, hub):
    answer = door.register({"registrationId": door.registrant.registration, "payload": {"model": 1}})
    assert answer.status_code == 202, answer.text
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["x-ms-request-id"]
    first = answer.json()
    operation = first["operationId"]
    assert first["status"] == "assigning"
    assert first["registrationState"]["registrationId"] == door.registrant.registration
    assert first["registrationState"]["status"] == "assigning"
    assert operation in answer.headers["Location"]

    answer = until(lambda: finished(door.status(operation)), "the device is assigned")
    final = answer.json()
    assert (final["operationId"], final["status"]) == (operation, "assigned")
    state = final["registrationState"]
    assert (state["assignedHub"], state["deviceId"]) == (hub.host, door.registrant.registration)
    assert (state["status"], state["substatus"]) == ("assigned", "initialAssignment")
    assert state["registrationId"] == door.registrant.registration
    assert state["etag"] and state["createdDateTimeUtc"] and state["lastUpdatedDateTimeUtc"]
    assert "symmetricKey" in state

    looked_up = door.look_up()
    assert looked_up.status_code == 200, looked_up.text
    assert looked_up.json()["assignedHub"] == hub.host
    assert looked_up.json()["deviceId"] == door.registrant.registration


# What the devices' clients send over HTTPS: the version, their headers, and how they write the id into path and token.
JSON = "application/json; charset=utf-8"
CLIENTS = {
    "C": ("2021-06-01", {"UserAgent": "prov_device_client/1.0", "Accept": "application/json", "Content-Type": JSON}, str.lower),
    "C, of 2018": ("2018-04-01", {"UserAgent": "prov_device_client/1.0", "Content-Type": JSON}, str.lower),
    "C#": ("2021-06-01", {"User-Agent": "Microsoft.Azure.Devices.Provisioning.Client", "Content-Type": JSON}, str.lower),
    "Java": ("2019-03-31", {"Accept": "application/json", "Content-Type": "application/json; charset=utf-8"}, str),
    "Node": ("2019-03-31&forceRegistration=true", {"Content-Type": JSON}, str),
    "IoT Edge": ("2021-11-01-preview", {"Content-Type": "application/json"}, str.lower),
    "curl of the documentation": ("2019-03-31", {"Content-Encoding": "utf-8", "Content-Type": "application/json"}, str.lower),
    "the preview": ("2025-07-01-preview", {"Content-Type": "application/json"}, str),
}


def test_clients_of_every_kind_register_over_https(provisioning, hub):
    for name, (version, headers, spelled) in CLIENTS.items():
        door = Door(provisioning.enroll(registration=new_id("Device:a.b_c")))
        # Their URL encoders write hexadecimal digits in their own way; what was signed is what counts.
        key = door.registrant.attestation.key(door.registrant.registration)
        resource = re.sub("%..", lambda found: spelled(found[0]), urllib.parse.quote(door.resource, safe=""))
        proof = signed(resource, key)
        path = "/" + re.sub("%..", lambda found: spelled(found[0]), urllib.parse.quote(door.resource))
        how = {"version": version, "authorization": proof, "headers": headers}
        body = json.dumps({"registrationId": door.registrant.registration})
        begun = door.ask("PUT", f"{path}/register", data=body, **how)
        assert begun.status_code == 202, f"{name}: {begun.text}"
        operation = f"{path}/operations/{begun.json()['operationId']}"
        # Some say a type for a body that they do not have.
        ended = until(lambda: finished(door.ask("GET", operation, **how)), f"the device is assigned: {name}").json()
        assert (ended["status"], ended["registrationState"]["assignedHub"]) == ("assigned", hub.host), name


def signed(resource, key):
    """A token for a resource that is encoded already."""
    expiry = int(time.time()) + DAY
    digest = hmac.new(base64.b64decode(key), f"{resource}\n{expiry}".encode(), hashlib.sha256).digest()
    signature = urllib.parse.quote(base64.b64encode(digest), safe="")
    return f"SharedAccessSignature sr={resource}&sig={signature}&se={expiry}&skn=registration"


def test_registration_pending_is_told_to_be_asked_again(provisioning):
    with Webhook(lambda _request: HANG) as webhook:
        door = Door(provisioning.enroll(webhook=webhook.url))
        operation = door.register().json()["operationId"]
        webhook.asked.get(timeout=WITHIN)
        pending = door.status(operation)
        assert pending.status_code == 202
        assert int(pending.headers["Retry-After"]) >= 1
        assert pending.json()["status"] == "assigning"
        ended = until(lambda: finished(door.status(operation)), "the registration fails").json()
    assert ended["status"] == "failed"
    assert ended["registrationState"]["errorCode"] >= 400_000
    assert ended["registrationState"]["errorMessage"]


def test_registration_over_https_by_certificate(provisioning, hub):
    registrant = provisioning.enroll(X509Individual())
    door = Door(registrant)
    shown = files_of(registrant.attestation.certificate(registrant.registration, "own"))
    options = {"cert": (shown.certificate_file, shown.key_file), "authorization": ""}
    operation = door.register(**options).json()["operationId"]
    final = until(lambda: finished(door.status(operation, **options)), "the device is assigned").json()
    assert final["registrationState"]["assignedHub"] == hub.host
    certificate = registrant.attestation.certificate(registrant.registration, "own")
    assert final["registrationState"]["x509"] == {"certificateInfo": certificate.described()}
    refused(door.register(authorization=""), 401)


def test_registration_tells_its_certificates(provisioning):
    for attestation, above in ((X509GroupRoot(), "root"), (X509GroupIntermediate(), "intermediate")):
        registrant = provisioning.enroll(attestation)
        registrant.registered()
        certificate = attestation.certificate(registrant.registration, "own")
        shown = files_of(certificate)
        answer = Door(registrant).look_up(cert=(shown.certificate_file, shown.key_file), authorization="")
        assert answer.status_code == 200, answer.text
        assert answer.json()["x509"] == {
            "enrollmentGroupId": registrant.enrollment.enrollment_group_id,
            "certificateInfo": certificate.described(),
            "signingCertificateInfo": getattr(attestation.authority, above).described(),
        }
        told = provisioning.hub.ask("dps", "registration", "show", "--registration-id", registrant.registration)
        assert told["certificate"]["sha256Thumbprint"] == certificate.thumbprint()
        assert told["signingCertificate"]["subject"] == getattr(attestation.authority, above).described()["subjectName"]


def test_registration_by_a_disabled_enrollment_is_told_so(provisioning):
    door = Door(provisioning.enroll(status="disabled"))
    answer = door.register()
    assert answer.status_code == 202, answer.text
    assert answer.json()["status"] == "disabled"
    assert answer.json()["registrationState"]["errorCode"] // 1000 == 403
    assert door.status(answer.json()["operationId"]).json()["status"] == "disabled"
    assert door.look_up().json()["status"] == "disabled"


def test_registration_errors_over_https_have_the_documented_body(provisioning, door):
    # Who asks
    refused(door.register(authorization=door.token("wrong")), 401)
    refused(door.register(authorization=door.token(lives=-DAY)), 401)
    refused(door.register(authorization=door.token(resource=f"{provisioning.id_scope}/registrations/another")), 401)
    refused(door.register(authorization="SharedAccessSignature nonsense"), 401)
    refused(door.register(authorization=""), 401)
    nobody = Door(type(door.registrant)(provisioning, new_id("nobody"), door.registrant.attestation, None, "https"))
    assert nobody.register().status_code in (401, 404)
    path = f"/0ne0000FFFF/registrations/{door.registrant.registration}/register"
    assert door.ask("PUT", path, json={"registrationId": door.registrant.registration}).status_code in (401, 404)

    # What is asked
    whole = f"/{door.resource}/register"
    refused(door.ask("PUT", whole, data="{", headers={"Content-Type": "application/json"}), 400)
    refused(door.ask("PUT", whole, data="[]", headers={"Content-Type": "application/json"}), 400)
    refused(door.register({"registrationId": "another"}), 400)
    refused(door.register(version=None), 400)
    refused(door.register(version="not a version"), 400)
    refused(door.ask("PUT", whole, data="<a/>", headers={"Content-Type": "text/xml"}), 415)
    refused(door.ask("DELETE", whole), 405)
    refused(door.ask("GET", whole), 405)
    refused(door.status("5.0000000000000000.no-such-operation"), 404)
    refused(door.look_up(), 404)
    # All of it changed nothing.
    assert door.register().status_code == 202


def test_operation_of_one_device_is_no_other_devices_business(provisioning, door):
    operation = door.register().json()["operationId"]
    other = Door(provisioning.enroll())
    refused(other.status(operation), 404)
    refused(door.status(operation, authorization=other.token()), 401)


def test_tpm_challenge_has_the_documented_shape(provisioning):
    registration = f"tpm-{uuid.uuid4().hex[:8]}"
    endorsement = tpm.endorsement_key()
    mechanism = AttestationMechanism.create_with_tpm(endorsement)
    registrant = provisioning.enroll(Tpm(mechanism), registration=registration)
    door = Door(registrant)
    shown = {"endorsementKey": endorsement, "storageRootKey": tpm.storage_root_key()}
    answer = door.register({"registrationId": registration, "tpm": shown}, authorization="")
    assert answer.status_code == 401, answer.text
    challenge = answer.json()
    assert challenge["keyName"] == "registration"
    assert challenge["message"] and challenge["timestampUtc"]
    assert answer.headers["x-ms-error-code"] == str(challenge["errorCode"])
    assert len(base64.b64decode(challenge["authenticationKey"], validate=True)) > 100
    again = door.register({"registrationId": registration, "tpm": shown}, authorization="").json()
    assert again["authenticationKey"] != challenge["authenticationKey"]
    # Another TPM gets no challenge that it could solve, and a token of no nonce lets nobody in.
    foreign = shown | {"endorsementKey": tpm.endorsement_key()}
    assert "authenticationKey" not in door.register({"registrationId": registration, "tpm": foreign}, authorization="").json()
    guessed = token(door.resource, base64.b64encode(b"0" * 32).decode(), policy="registration")
    refused(door.register({"registrationId": registration, "tpm": shown}, authorization=guessed), 401)


def test_tpm_registers_over_https_step_by_step(provisioning, hub, events):
    software = tpm.SoftwareTpm()
    mechanism = AttestationMechanism.create_with_tpm(software.endorsement_key)
    registrant = provisioning.enroll(Tpm(mechanism))
    door = Door(registrant)
    shown = {"registrationId": registrant.registration, "tpm": software.shown()}
    # The service of IoT Edge shows its keys with the first request alone, C and Node with both.
    for second in (shown, {"registrationId": registrant.registration}):
        challenge = door.register(shown, authorization="").json()
        proof = token(door.resource, software.imported(challenge["authenticationKey"]), policy=challenge["keyName"])
        begun = door.register(second, authorization=proof)
        assert begun.status_code == 202, begun.text
        operation = begun.json()["operationId"]
        ended = until(lambda: finished(door.status(operation, authorization=proof)), "the device is assigned").json()
        state = ended["registrationState"]
        assert (ended["status"], state["assignedHub"]) == ("assigned", hub.host)
        key = software.imported(state["tpm"]["authenticationKey"])
        # A challenge is good for one registration. Who shows the keys with an old token is given another: Node keeps its token.
        refused(door.register({"registrationId": registrant.registration}, authorization=proof), 401)
        assert refused(door.register(shown, authorization=proof), 401)["authenticationKey"]
    before = len(events.of(state["deviceId"]))
    client = IoTHubDeviceClient.create_from_symmetric_key(key, hub.host, state["deviceId"], **registrant.options())
    try:
        client.send_message("by the key that came into the TPM")
    finally:
        client.shutdown()
    until(lambda: len(events.of(state["deviceId"])) > before, "its message arrives")


class Tpm(Attestation):
    """An enrollment of a TPM; with the keys of nobody's it is enough for the challenge."""

    def __init__(self, mechanism):
        self.mechanism = lambda: mechanism
