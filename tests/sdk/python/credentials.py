"""How an identity proves who it is: registered by the service SDK, presented by the device SDK."""

import base64
import os
import pathlib
import uuid

from azure.iot.device import IoTHubDeviceClient, IoTHubModuleClient, X509

from harness import certificates


class Sas:
    """Two symmetric keys."""

    def __init__(self):
        self.primary, self.secondary = new_key(), new_key()

    def register_device(self, registry, device, status):
        registry.create_device_with_sas(device, self.primary, self.secondary, status)

    def register_module(self, registry, device, module):
        registry.create_module_with_sas(device, module, None, self.primary, self.secondary)

    def update_device(self, registry, device, etag, status):
        registry.update_device_with_sas(device, etag, self.primary, self.secondary, status)

    def client(self, identity, slot, options):
        key = {"primary": self.primary, "secondary": self.secondary, "wrong": new_key()}[slot]
        text = f"HostName={identity.hub.host};DeviceId={identity.device}"
        text += f";ModuleId={identity.module}" if identity.module else ""
        text += f";SharedAccessKey={key}"
        return client_kind(identity).create_from_connection_string(text, **options)


class WithCertificate:
    """What both kinds of certificates have in common on the device's side."""

    def client(self, identity, slot, options):
        certificate = self.certificate(identity, slot)
        folder = pathlib.Path(os.environ["BEHAVIOURS_SCRATCH"])
        files = [str(path) for path in certificate.write(folder, f"certificate-{uuid.uuid4().hex[:12]}")]
        names = {"device_id": identity.device} | ({"module_id": identity.module} if identity.module else {})
        kind = client_kind(identity)
        return kind.create_from_x509_certificate(X509(*files), identity.hub.host, **names, **options)


class SelfSigned(WithCertificate):
    """The thumbprints of two certificates that nobody else signed."""

    def __init__(self):
        self.slots = {"primary": certificates.self_signed("first"), "secondary": certificates.self_signed("second")}
        # Both lengths that the registry takes.
        self.thumbprints = [
            self.slots["primary"].thumbprint(),
            self.slots["secondary"].thumbprint(certificates.hashes.SHA1),
        ]

    def certificate(self, _identity, slot):
        return certificates.self_signed("first") if slot == "wrong" else self.slots[slot]

    def register_device(self, registry, device, status):
        registry.create_device_with_x509(device, *self.thumbprints, status)

    def register_module(self, registry, device, module):
        registry.create_module_with_x509(device, module, None, *self.thumbprints)

    def update_device(self, registry, device, etag, status):
        registry.update_device_with_x509(device, etag, *self.thumbprints, status)


class Signed(WithCertificate):
    """A certificate with the identity's name, signed by an authority that the hub knows."""

    def __init__(self, authority):
        self.authority = authority

    def certificate(self, identity, slot):
        name = f"{identity.device}/{identity.module}" if identity.module else identity.device
        return self.authority.leaf("another-device" if slot == "wrong" else name)

    def register_device(self, registry, device, status):
        registry.create_device_with_certificate_authority(device, status)

    def register_module(self, registry, device, module):
        registry.create_module_with_certificate_authority(device, module, None)

    def update_device(self, registry, device, etag, status):
        registry.update_device_with_certificate_authority(device, etag, status)


def client_kind(identity):
    return IoTHubModuleClient if identity.module else IoTHubDeviceClient


def new_key():
    return base64.b64encode(os.urandom(32)).decode()

