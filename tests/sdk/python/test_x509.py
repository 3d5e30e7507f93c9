"""Certificates of devices, beyond what every cell of the matrix shows."""

import datetime
import os
import pathlib
import time
import uuid

import pytest
from azure.iot.device import exceptions

from credentials import SelfSigned, Signed
from harness import certificates
from harness.authority import registered
from harness.wait import until

CUT_WITHIN = 1.0
DAY = datetime.timedelta(days=1)
NOT_NOW = [{"begins": -2 * DAY, "ends": -DAY}, {"begins": DAY, "ends": 2 * DAY}]


def is_refused(client):
    try:
        with pytest.raises((exceptions.CredentialError, exceptions.ConnectionFailedError, exceptions.ConnectionDroppedError)):
            client.connect()
    finally:
        client.shutdown()


def is_accepted(client):
    try:
        client.connect()
    finally:
        client.shutdown()


def is_cut(client, begun):
    until(lambda: not client.connected, "the client is cut", within=10)
    assert time.monotonic() - begun < CUT_WITHIN


class Dated(SelfSigned):
    """A certificate whose thumbprint fits and whose dates do not."""

    def __init__(self, dates):
        super().__init__()
        self.slots["primary"] = certificates.self_signed("dated", **dates)
        self.thumbprints[0] = self.slots["primary"].thumbprint()


class DatedLeaf(Signed):
    def __init__(self, authority, dates):
        super().__init__(authority)
        self.dates = dates

    def certificate(self, identity, slot):
        return self.authority.leaf(identity.device, **self.dates)


def test_certificate_out_of_its_time_is_refused(hub, service):
    for dates in NOT_NOW:
        is_refused(service.create(credential=Dated(dates)).client(connection_retry=False))
        is_refused(service.create(credential=DatedLeaf(registered(hub), dates)).client(connection_retry=False))


def test_certificate_of_an_unknown_authority_is_refused(hub, service):
    registered(hub)
    stranger = certificates.Authority("stranger")
    is_refused(service.create(credential=Signed(stranger)).client(connection_retry=False))


def test_credential_of_another_kind_is_refused(hub, service):
    # A certificate for an identity with keys, and the reverse.
    with_keys, with_certificate = service.create(), service.create(credential=SelfSigned())
    with_keys.credential, with_certificate.credential = with_certificate.credential, with_keys.credential
    is_refused(with_keys.client(connection_retry=False))
    is_refused(with_certificate.client(connection_retry=False))


def test_changed_thumbprint_cuts_its_device(service):
    device = service.create(credential=SelfSigned())
    with device.connected(connection_retry=False) as client:
        service.wait_until_connected(device)
        etag = service.registry.get_device(device.device).etag
        SelfSigned().update_device(service.registry, device.device, etag, "enabled")
        is_cut(client, time.monotonic())
    is_refused(device.client(connection_retry=False))


def file_of(certificate):
    name = f"certificate-{uuid.uuid4().hex[:8]}"
    path, _key = certificate.write(pathlib.Path(os.environ["BEHAVIOURS_SCRATCH"]), name)
    return name, str(path)


def test_deleted_authority_cuts_its_devices(hub, service):
    authority = certificates.Authority("short-lived")
    name, path = file_of(authority.root)
    hub.call("hub", "certificate", "create", "--name", name, "--path", path, "--verified")
    device = service.create(credential=Signed(authority))
    with device.connected(connection_retry=False) as client:
        service.wait_until_connected(device)
        etag = hub.ask("hub", "certificate", "show", "--name", name)["etag"]
        hub.call("hub", "certificate", "delete", "--name", name, "--etag", etag)
        is_cut(client, time.monotonic())
    is_refused(device.client(connection_retry=False))


def test_authority_counts_once_it_proved_itself(hub, service):
    authority = certificates.Authority("to-be-proved")
    name, path = file_of(authority.root)
    created = hub.ask("hub", "certificate", "create", "--name", name, "--path", path)
    assert created["isVerified"] is False
    device = service.create(credential=Signed(authority))
    is_refused(device.client(connection_retry=False))
    asked = hub.ask("hub", "certificate", "generate-verification-code", "--name", name, "--etag", created["etag"])
    _name, proof = file_of(authority.directly_signed(asked["verificationCode"]))
    hub.call("hub", "certificate", "verify", "--name", name, "--path", proof, "--etag", asked["etag"])
    is_accepted(device.client())
