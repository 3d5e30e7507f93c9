"""How a device that registers proves itself: what its enrollment says, and what the device presents, there and at its hub."""

import base64
import hashlib
import hmac
import os
import pathlib
import uuid

from azure.iot.device import IoTHubDeviceClient, ProvisioningDeviceClient, X509
from provisioningserviceclient.models import AttestationMechanism, SymmetricKeyAttestation

from credentials import new_key
from harness import certificates
from harness.authority import forget, provisioned


class Attestation:
    """What has to be there before the enrollment, and has to go after it: nothing, for most."""

    is_group = False

    def prepare(self, provisioning, registration):
        pass

    def clear(self, provisioning):
        pass


class Symmetric(Attestation):
    """Keys, of the device or of its group."""

    def __init__(self):
        self.keys = {"primary": new_key(), "secondary": new_key()}

    def mechanism(self):
        keys = SymmetricKeyAttestation(primary_key=self.keys["primary"], secondary_key=self.keys["secondary"])
        return AttestationMechanism(type="symmetricKey", symmetric_key=keys)

    def key(self, registration, slot="own"):
        return new_key() if slot == "wrong" else self.keys["primary" if slot == "own" else slot]

    def registering(self, registrant, slot, options):
        key = self.key(registrant.registration, slot)
        return ProvisioningDeviceClient.create_from_symmetric_key(*registrant.address(), key, **options)

    def client(self, registrant, host, device, slot, options):
        key = self.key(registrant.registration, slot)
        return IoTHubDeviceClient.create_from_symmetric_key(key, host, device, **options)


class SymmetricIndividual(Symmetric):
    """Two keys of one device."""


class SymmetricGroup(Symmetric):
    """Two keys, from which each device has its own by its registration id."""

    is_group = True

    def key(self, registration, slot="own"):
        return derived_key(super().key(registration, slot), registration)


def derived_key(group_key, registration):
    digest = hmac.new(base64.b64decode(group_key), registration.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


class WithCertificate(Attestation):
    """What all kinds of certificates have in common on the device's side."""

    def registering(self, registrant, slot, options):
        certificate = self.certificate(registrant.registration, slot)
        return ProvisioningDeviceClient.create_from_x509_certificate(
            *registrant.address(), files_of(certificate), **options
        )

    def client(self, registrant, host, device, slot, options):
        certificate = self.certificate(registrant.registration, slot)
        return IoTHubDeviceClient.create_from_x509_certificate(files_of(certificate), host, device, **options)


class X509Individual(WithCertificate):
    """The certificates of one device; it shows that of one slot."""

    def __init__(self, slot="primary"):
        self.slot = slot
        self.slots = None

    def prepare(self, provisioning, registration):
        self.slots = {slot: certificates.self_signed(registration) for slot in ("primary", "secondary")}

    def mechanism(self):
        pems = [self.slots[slot].chain_pem() for slot in ("primary", "secondary")]
        return AttestationMechanism.create_with_x509_client_certs(*pems)

    def certificate(self, registration, slot):
        if slot == "wrong":
            return certificates.self_signed(registration)
        return self.slots[self.slot if slot == "own" else slot]


class X509Group(WithCertificate):
    """Certificates with the name of the registration, from an authority that the service knows."""

    is_group = True

    def __init__(self):
        self.name = self.authority = None
        self.issued = {}

    def prepare(self, provisioning, registration):
        if self.authority is None:
            self.name, self.authority = provisioned(provisioning.hub)

    def clear(self, provisioning):
        forget(provisioning.hub, self.name)

    def certificate(self, registration, slot):
        if slot == "wrong":
            return certificates.Authority("stranger").leaf(registration)
        # One for each device: the hub knows it by its thumbprint.
        if registration not in self.issued:
            self.issued[registration] = self.authority.leaf(registration)
        return self.issued[registration]


class X509GroupRoot(X509Group):
    """The group names the authority's root, as the service knows it."""

    def mechanism(self):
        return AttestationMechanism.create_with_x509_ca_refs(self.name)


class X509GroupIntermediate(X509Group):
    """The group holds the certificate of an intermediate."""

    def mechanism(self):
        pem = self.authority.intermediate.chain_pem()
        return AttestationMechanism.create_with_x509_signing_certs(pem)


# By the words of the matrix.
ATTESTATIONS = {
    "symmetric-individual": SymmetricIndividual,
    "symmetric-group": SymmetricGroup,
    "x509-individual-primary": X509Individual,
    "x509-individual-secondary": lambda: X509Individual("secondary"),
    "x509-group-root": X509GroupRoot,
    "x509-group-intermediate": X509GroupIntermediate,
}


def files_of(certificate):
    folder = pathlib.Path(os.environ["BEHAVIOURS_SCRATCH"])
    return X509(*(str(path) for path in certificate.write(folder, f"registrant-{uuid.uuid4().hex[:12]}")))
