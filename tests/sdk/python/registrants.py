"""A device on its way into its hub: it registers, is told where it belongs, and connects there with the same proof."""

import contextlib
import dataclasses
import json
import re

from azure.iot.device import exceptions
from azure.iot.device.provisioning.pipeline.exceptions import PipelineNotRunning
from provisioningserviceclient import ProvisioningServiceError

from devices import authority_text

# What the SDK says of an answer that is no success.
STATUS = re.compile(r"status code (\d{3})")


class Registrant:
    """A registration id, the proof for it, and the enrollment that lets it in."""

    def __init__(self, provisioning, registration, attestation, enrollment, transport):
        self.provisioning = provisioning
        self.registration = registration
        self.attestation = attestation
        self.enrollment = enrollment
        self.transport = transport

    def address(self):
        """Where it registers, in the order of the SDK's arguments."""
        return self.provisioning.endpoint, self.registration, self.provisioning.id_scope

    def options(self, hub=None):
        return {
            "server_verification_cert": authority_text(hub or self.provisioning.hub),
            "websockets": self.transport == "mqtt-ws",
        }

    # Registering

    def register(self, slot="own", payload=None):
        """Registers by the SDK; its result."""
        client = self.attestation.registering(self, slot, self.options())
        client.provisioning_payload = payload
        try:
            return client.register()
        finally:
            close(client)

    def registered(self, **how):
        """Registers, and has a hub for certain."""
        result = self.register(**how)
        assert result.status == "assigned", result.status
        return result.registration_state

    def refused(self, slot="own", payload=None):
        """Registers and is refused; why, in the SDK's words."""
        try:
            result = self.register(slot, payload)
        except exceptions.ClientError as error:
            return error
        raise AssertionError(f"{self.registration} was not refused: {result.status}")

    # At its hub

    def identity(self, state):
        """What the readers of events and the service SDK know it by."""
        return Assigned(state.device_id)

    @contextlib.contextmanager
    def connected(self, state, slot="own", hub=None):
        """A client of the hub that the registration named, connected with the same proof."""
        client = self.attestation.client(self, state.assigned_hub, state.device_id, slot, self.options(hub))
        try:
            client.connect()
            yield client
        finally:
            client.shutdown()

    def reaches_its_hub(self, state, events, slot="own", hub=None):
        """It connects where it was told to, and a message of it arrives there."""
        before = len(events.of(state.device_id))
        text = f"{self.registration} {before}"
        with self.connected(state, slot, hub) as client:
            client.send_message(text)
        seen = events.wait_for(self.identity(state), before + 1)
        assert seen[-1]["body"] == text.encode()

    # Its enrollment

    def change(self, **members):
        """Changes the enrollment; its keys go along, as it does not say them when it is read."""
        for name, value in members.items():
            setattr(self.enrollment, name, value)
        self.enrollment.attestation = self.attestation.mechanism()
        self.enrollment = self.provisioning.put(self.enrollment)

    def withdraw(self):
        self.enrollment.etag = None
        self.provisioning.service.delete(self.enrollment)

    def clear(self):
        """Takes everything away that its enrollment needed, whatever the behaviour left of it."""
        with contextlib.suppress(ProvisioningServiceError):
            self.withdraw()
        self.attestation.clear(self.provisioning)


@dataclasses.dataclass(frozen=True)
class Assigned:
    """A device of a hub, by name."""

    device: str
    module: None = None


def close(client):
    """The SDK closes the connection itself after a success alone."""
    with contextlib.suppress(PipelineNotRunning):
        client._pipeline.shutdown(callback=lambda error=None: None)


def status_in(error):
    """The status of the service's answer, where the SDK tells of one."""
    found = STATUS.search(f"{error} {error.__cause__}")
    return int(found.group(1)) if found else None


def payload_of(state):
    return json.loads(state.response_payload)
