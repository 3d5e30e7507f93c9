"""Identities made by the service SDK, and clients of the device SDK for them."""

import contextlib
import pathlib
import queue
import time
import uuid

from azure.iot.device import MethodResponse
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod, Twin, TwinProperties
from msrest.exceptions import HttpOperationError
from uamqp.errors import AMQPError

from credentials import Sas, client_kind
from harness.wait import WITHIN, until

MODULE = "camera"
OF_COMMAND_LINE = {
    "messageId": "message_id",
    "correlationId": "correlation_id",
    "contentType": "content_type",
    "contentEncoding": "content_encoding",
    "iothub-ack": "ack",
}


class Service:
    """The service SDK on one hub, with the owner's policy."""

    def __init__(self, hub, policy="iothubowner"):
        self.hub = hub
        self.policy = policy
        self.registry = IoTHubRegistryManager.from_connection_string(hub.connection_string(policy))

    # Identities

    def create(self, module=None, status="enabled", credential=None, transport="mqtt"):
        """A device of a new name, with keys of its own; with a module where a name is given."""
        device = f"device-{uuid.uuid4().hex[:12]}"
        credential = credential or Sas()
        if module is None:
            credential.register_device(self.registry, device, status)
            return Identity(self.hub, device, None, credential, credential, transport)
        of_device = Sas()
        of_device.register_device(self.registry, device, status)
        credential.register_module(self.registry, device, module)
        return Identity(self.hub, device, module, credential, of_device, transport)

    def add_module(self, identity, module):
        """One more module of the device, with keys of its own."""
        credential = Sas()
        credential.register_module(self.registry, identity.device, module)
        return Identity(self.hub, identity.device, module, credential, identity.of_device, identity.transport)

    def set_status(self, identity, status):
        """Enables or disables the device; returns the moment at which the hub had answered."""
        etag = self.registry.get_device(identity.device).etag
        identity.of_device.update_device(self.registry, identity.device, etag, status)
        return time.monotonic()

    def has(self, device):
        """Whether the registry has a device of that name."""
        try:
            return self.registry.get_device(device).device_id == device
        except HttpOperationError as error:
            if error.response.status_code == 404:
                return False
            raise

    def delete(self, identity):
        if identity.module is None:
            self.registry.delete_device(identity.device)
        else:
            self.registry.delete_module(identity.device, identity.module)
        return time.monotonic()

    def is_connected(self, identity):
        if identity.module is None:
            return self.registry.get_device(identity.device).connection_state == "Connected"
        return self.registry.get_module(identity.device, identity.module).connection_state == "Connected"

    def wait_until_connected(self, identity, connected=True):
        state = "connected" if connected else "disconnected"
        until(lambda: self.is_connected(identity) == connected, f"{identity.device} is {state}")

    # Twins, methods, messages

    def twin(self, identity):
        if identity.module is None:
            return self.registry.get_twin(identity.device)
        return self.registry.get_module_twin(identity.device, identity.module)

    def patch_twin(self, identity, patch, etag="*"):
        if identity.module is None:
            return self.registry.update_twin(identity.device, patch, etag)
        return self.registry.update_module_twin(identity.device, identity.module, patch, etag)

    def desire(self, identity, members, etag="*"):
        """Patches the desired properties; the twin as the hub answers it."""
        return self.patch_twin(identity, desired(**members), etag)

    def invoke(self, identity, name="act", payload=None, response=20, connect=0):
        call = CloudToDeviceMethod(
            method_name=name,
            payload=payload,
            response_timeout_in_seconds=response,
            connect_timeout_in_seconds=connect,
        )
        if identity.module is None:
            return self.registry.invoke_device_method(identity.device, call)
        return self.registry.invoke_device_module_method(identity.device, identity.module, call)

    def send_c2d(self, identity, body, properties=None, **system):
        """Sends a message to a device; `system` are the names of the service SDK, such as `messageId`."""
        if "amqp" in self.hub.shown["ports"]:
            self.send_over_amqp(identity, body, dict(properties or {}) | system)
            return
        flags = {OF_COMMAND_LINE[name]: value for name, value in system.items()}
        if properties:
            flags["properties"] = ";".join(f"{key}={value}" for key, value in properties.items())
        self.hub.send_c2d(identity.device, body, **flags)


    def send_over_amqp(self, identity, body, properties):
        try:
            self.registry.send_c2d_message(identity.device, body, properties)
        except AMQPError:
            # The service SDK does not connect again by itself when the hub was restarted.
            self.registry = IoTHubRegistryManager.from_connection_string(self.hub.connection_string(self.policy))
            self.registry.send_c2d_message(identity.device, body, properties)


class Identity:
    """What a device or module needs to log in."""

    def __init__(self, hub, device, module, credential, of_device, transport):
        self.hub = hub
        self.device = device
        self.module = module
        self.credential = credential
        self.of_device = of_device
        self.transport = transport

    @property
    def primary(self):
        """The first of its symmetric keys."""
        return self.credential.primary

    def resource(self):
        path = f"{self.hub.host}/devices/{self.device}"
        return f"{path}/modules/{self.module}" if self.module else path

    def client(self, slot="primary", **options):
        """A client that is not connected yet; a lost connection is taken up again within a second."""
        return self.credential.client(self, slot, self.options() | {"connection_retry_interval": 1} | options)

    def client_with_token(self, token, **options):
        return client_kind(self).create_from_sastoken(token, **self.options(), **options)

    def options(self):
        return {"server_verification_cert": authority_text(self.hub), "websockets": self.transport == "mqtt-ws"}

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


def everything(client):
    """A recorder of all that the hub may ask; methods answer with what they were given."""
    return Recorder(client).desired().c2d().answering(lambda request: (200, request.payload))


def reaches(service, identity, recorder, mark):
    """Desired patch, method and (for a device) message all come to the client object that subscribed at first."""
    service.desire(identity, {"mark": mark})
    until(lambda: take(recorder.patches, f"desired patch {mark}").get("mark") == mark, f"desired patch {mark}")
    result = service.invoke(identity, "mark", mark, connect=20)
    assert (result.status, result.payload) == (200, mark)
    if identity.module is None:
        service.send_c2d(identity, mark)
        take_message(recorder, mark)


def desired(**members):
    return Twin(properties=TwinProperties(desired=members))


def members(section):
    """A section without its `$metadata` and `$version`."""
    return {key: value for key, value in section.items() if not key.startswith("$")}


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


# Inside the device SDK, for what it has no verb for.


def cut(client):
    """Takes the socket away under the SDK, as a dead network would: nobody says farewell."""

    def is_cut():
        socket = transport_of(client)._mqtt_client.socket()
        if socket is None:
            return False
        try:
            # Over a WebSocket it is wrapped once more.
            getattr(socket, "_socket", socket).shutdown(2)
        except (OSError, ValueError):
            # The SDK was just exchanging it for another one.
            return False
        return True

    until(is_cut, "there is a connection to cut")


def count_connections(client):
    """Counts the connections that the client makes from here on."""
    transport = transport_of(client)
    made = []
    original = transport.on_mqtt_connected_handler

    def connected():
        made.append(True)
        original()

    transport.on_mqtt_connected_handler = connected
    return lambda: len(made)


def set_token_lifetime(client, seconds):
    client._mqtt_pipeline._nucleus.pipeline_configuration.sastoken.ttl = seconds


def transport_of(client):
    stage = client._mqtt_pipeline._pipeline
    while not hasattr(stage, "transport"):
        stage = stage.next
    return stage.transport


def authority_text(hub):
    return pathlib.Path(hub.authority).read_text()
