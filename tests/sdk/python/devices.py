"""Identities made by the service SDK, and clients of the device SDK for them."""

import base64
import contextlib
import hashlib
import hmac
import os
import pathlib
import queue
import time
import urllib.parse
import uuid

from azure.iot.device import IoTHubDeviceClient, IoTHubModuleClient, MethodResponse
from azure.iot.hub import IoTHubRegistryManager

from harness.wait import WITHIN, until


class Service:
    """The service SDK on one hub, with the owner's policy."""

    def __init__(self, hub, policy="iothubowner"):
        self.hub = hub
        self.registry = IoTHubRegistryManager.from_connection_string(hub.connection_string(policy))

    def create(self, module=None, status="enabled"):
        """A device of a new name, with keys of its own; with a module where a name is given."""
        device = f"device-{uuid.uuid4().hex[:12]}"
        primary, secondary = new_key(), new_key()
        self.registry.create_device_with_sas(device, primary, secondary, status)
        if module is None:
            return Identity(self.hub, device, None, primary, secondary)
        primary, secondary = new_key(), new_key()
        self.registry.create_module_with_sas(device, module, None, primary, secondary)
        return Identity(self.hub, device, module, primary, secondary)

    def set_status(self, identity, status):
        """Enables or disables; returns the moment at which the hub had answered."""
        device = self.registry.get_device(identity.device)
        keys = device.authentication.symmetric_key
        self.registry.update_device_with_sas(
            identity.device, device.etag, keys.primary_key, keys.secondary_key, status
        )
        return time.monotonic()

    def is_connected(self, identity):
        if identity.module is None:
            return self.registry.get_device(identity.device).connection_state == "Connected"
        return self.registry.get_module(identity.device, identity.module).connection_state == "Connected"

    def wait_until_connected(self, identity, connected=True):
        state = "connected" if connected else "disconnected"
        until(lambda: self.is_connected(identity) == connected, f"{identity.device} is {state}")


class Identity:
    """What a device or module needs to log in."""

    def __init__(self, hub, device, module, primary, secondary):
        self.hub = hub
        self.device = device
        self.module = module
        self.primary = primary
        self.secondary = secondary

    def connection_string(self, key=None):
        text = f"HostName={self.hub.host};DeviceId={self.device}"
        text += f";ModuleId={self.module}" if self.module else ""
        return f"{text};SharedAccessKey={key or self.primary}"

    def resource(self):
        path = f"{self.hub.host}/devices/{self.device}"
        return f"{path}/modules/{self.module}" if self.module else path

    def client(self, key=None, **options):
        """A client that is not connected yet; a lost connection is taken up again within a second."""
        kind = IoTHubModuleClient if self.module else IoTHubDeviceClient
        options = {"connection_retry_interval": 1, "server_verification_cert": authority_text(self.hub)} | options
        return kind.create_from_connection_string(self.connection_string(key), **options)

    def client_with_token(self, token, **options):
        kind = IoTHubModuleClient if self.module else IoTHubDeviceClient
        return kind.create_from_sastoken(token, server_verification_cert=authority_text(self.hub), **options)

    @contextlib.contextmanager
    def connected(self, **options):
        """A connected client, shut down at the end."""
        client = self.client(**options)
        try:
            client.connect()
            yield client
        finally:
            client.shutdown()


class Recorder:
    """What the hub asks of a client: desired patches and messages as they come, methods answered by a function."""

    def __init__(self, client):
        self.client = client
        self.patches = queue.Queue()
        self.messages = queue.Queue()
        self.methods = queue.Queue()
        self.bodies = []

    def desired(self):
        self.client.on_twin_desired_properties_patch_received = self.patches.put
        return self

    def c2d(self):
        self.client.on_message_received = self.messages.put
        return self

    def answering(self, answer):
        """Answers each method with what `answer(request)` returns: status and payload, or nothing at all."""

        def handle(request):
            self.methods.put(request)
            result = answer(request)
            if result is not None:
                status, payload = result
                self.client.send_method_response(MethodResponse(request.request_id, status, payload))

        self.client.on_method_request_received = handle
        return self


def take(waiting, what, within=WITHIN):
    """The next of a queue, or a failure that says what did not come."""
    try:
        return waiting.get(timeout=within)
    except queue.Empty:
        raise AssertionError(f"not within {within:g} s: {what}") from None


def take_message(recorder, body):
    """The message with that body. Delivery is at least once: those that came before may come again in front of it."""
    while True:
        message = take(recorder.messages, f"message {body}")
        if message.data.decode() == body:
            recorder.bodies.append(body)
            return message
        assert message.data.decode() in recorder.bodies, f"{message.data} came instead of {body}"


def authority_text(hub):
    return pathlib.Path(hub.authority).read_text()


def new_key():
    return base64.b64encode(os.urandom(32)).decode()


def token(resource, key, lives=3600, policy=None):
    """A shared access signature; `lives` may lie in the past."""
    resource = urllib.parse.quote(resource, safe="")
    expiry = int(time.time() + lives)
    text = f"{resource}\n{expiry}".encode()
    digest = hmac.new(base64.b64decode(key), text, hashlib.sha256).digest()
    signature = urllib.parse.quote(base64.b64encode(digest), safe="")
    policy = f"&skn={policy}" if policy else ""
    return f"SharedAccessSignature sr={resource}&sig={signature}&se={expiry}{policy}"
