"""What modules do among themselves, beyond what every cell of the matrix shows."""

import contextlib

import pytest
from azure.iot.device import IoTHubModuleClient

from devices import MODULE, Recorder


@contextlib.contextmanager
def on_an_edge_device(monkeypatch, identity):
    """A connected client as the edge runtime's development tools make it: its gateway is the hub itself."""
    text = f"HostName={identity.hub.host};GatewayHostName={identity.hub.host}"
    text += f";DeviceId={identity.device};ModuleId={identity.module};SharedAccessKey={identity.primary}"
    monkeypatch.setenv("EdgeHubConnectionString", text)
    monkeypatch.setenv("EdgeModuleCACertificateFile", identity.hub.authority)
    client = IoTHubModuleClient.create_from_edge_environment()
    try:
        client.connect()
        yield client
    finally:
        client.shutdown()


def test_module_calls_a_method(service, monkeypatch):
    caller = service.create(MODULE)
    called = service.add_module(caller, "lamp")
    stranger = service.create(MODULE)
    call = {"methodName": "light", "payload": {"on": True}, "responseTimeoutInSeconds": 20}
    with called.connected() as lamp:
        Recorder(lamp).answering(lambda request: (202, {"got": request.payload}))
        with on_an_edge_device(monkeypatch, caller) as camera:
            answer = camera.invoke_method(call, called.device, "lamp")
        assert answer == {"status": 202, "payload": {"got": {"on": True}}}
        # A module of another device may not.
        with on_an_edge_device(monkeypatch, stranger) as other, pytest.raises(Exception):
            other.invoke_method(call, called.device, "lamp")
