"""Log-in, renewal, restart, cuts and take-over."""

import threading
import time

import pytest
from azure.iot.device import exceptions
from azure.iot.hub.models import CloudToDeviceMethod, Twin, TwinProperties

from devices import Recorder, new_key, take, take_message, token
from harness.wait import until

# The promise of the hub, counted from its answer to whoever disabled the device.
CUT_WITHIN = 1.0


def reaches(service, device, recorder, mark):
    """Desired patch, method and message all come to the client object that subscribed at first."""
    service.registry.update_twin(device.device, Twin(properties=TwinProperties(desired={"mark": mark})), "*")
    until(lambda: take(recorder.patches, f"desired patch {mark}").get("mark") == mark, f"desired patch {mark}")
    method = CloudToDeviceMethod(method_name="mark", payload=mark, response_timeout_in_seconds=20)
    method.connect_timeout_in_seconds = 20
    result = service.registry.invoke_device_method(device.device, method)
    assert (result.status, result.payload) == (200, mark)
    service.hub.send_c2d(device.device, mark)
    take_message(recorder, mark)


def everything(client):
    return Recorder(client).desired().c2d().answering(lambda request: (200, request.payload))


def survives(hub, service, how):
    device = service.create()
    with device.connected() as client:
        recorder = everything(client)
        reaches(service, device, recorder, "before")
        for number in range(2):
            hub.restart(how)
            # Sent before the client is back: it waits in the store.
            hub.send_c2d(device.device, f"waiting {number}")
            until(lambda: client.connected, "the client is back")
            service.wait_until_connected(device)
            take_message(recorder, f"waiting {number}")
            reaches(service, device, recorder, f"after {number}")


def test_restart_keeps_the_session(hub, service):
    survives(hub, service, "stop")


def test_kill_keeps_the_session(hub, service):
    survives(hub, service, "kill")


def test_renewed_token_keeps_the_session(hub, service):
    device = service.create()
    # The SDK renews 120 s before the end of a token's life, by a new connection under the same client id.
    with device.connected(sastoken_ttl=123) as client:
        recorder = everything(client)
        reaches(service, device, recorder, "before")
        renewals = count_connections(client)
        sent = 0
        while not renewals():
            hub.send_c2d(device.device, f"message {sent}")
            take_message(recorder, f"message {sent}")
            sent += 1
        # One last renewal, for a token that lives long: a method that falls into the gap of another is lost, as documented.
        client._mqtt_pipeline._nucleus.pipeline_configuration.sastoken.ttl = 3600
        before = renewals()
        until(lambda: renewals() > before, "the last renewal")
        reaches(service, device, recorder, "after")


def count_connections(client):
    """Counts the connections that the client makes from here on."""
    stage = client._mqtt_pipeline._pipeline
    while not hasattr(stage, "transport"):
        stage = stage.next
    made = []
    original = stage.transport.on_mqtt_connected_handler

    def connected():
        made.append(True)
        original()

    stage.transport.on_mqtt_connected_handler = connected
    return lambda: len(made)


def test_policy_token_opens_a_session(hub, service, events):
    device = service.create()
    signature = token(device.resource(), hub.policy_key("device"), policy="device")
    client = device.client_with_token(signature)
    try:
        client.connect()
        client.send_message("by policy")
    finally:
        client.shutdown()
    assert len(events.wait_for(device.device)) == 1


def is_refused(client, error=exceptions.CredentialError):
    try:
        with pytest.raises(error):
            client.connect()
    finally:
        client.shutdown()


def test_wrong_key_is_refused(service):
    device = service.create()
    is_refused(device.client(key=new_key(), connection_retry=False))
    is_refused(service.create(module="camera").client(key=new_key(), connection_retry=False))
    # A module's key does not open its device, and its second key opens it as well as the first.
    client = device.client(key=device.secondary)
    client.connect()
    client.shutdown()


def test_expired_token_is_refused(service, monkeypatch):
    device = service.create()
    day = 24 * 3600
    signature = token(device.resource(), device.primary, lives=-day)
    # The SDK itself refuses a token of the past: its clock is set back, so that the hub decides.
    clock = time.time
    monkeypatch.setattr("azure.iot.device.iothub.abstract_clients.time.time", lambda: clock() - 2 * day)
    client = device.client_with_token(signature, connection_retry=False)
    is_refused(client)


def test_unknown_device_is_refused(service):
    device = service.create()
    service.registry.delete_device(device.device)
    is_refused(device.client(connection_retry=False))


def test_disabled_device_is_refused(service):
    device = service.create(status="disabled")
    is_refused(device.client(connection_retry=False))
    service.set_status(device, "enabled")
    with device.connected() as client:
        assert client.connected


def seconds_until_cut(client, begun):
    until(lambda: not client.connected, "the client is cut", within=10)
    return time.monotonic() - begun


def test_disabled_device_is_cut_while_idle(service):
    device = service.create()
    with device.connected(connection_retry=False) as client:
        service.wait_until_connected(device)
        begun = service.set_status(device, "disabled")
        assert seconds_until_cut(client, begun) < CUT_WITHIN
        assert not service.is_connected(device)


def test_disabled_device_is_cut_while_sending(service, events):
    device = service.create()
    acknowledged = []
    with device.connected(connection_retry=False, auto_connect=False) as client:

        def stream():
            try:
                while True:
                    client.send_message(str(len(acknowledged)))
                    acknowledged.append(time.monotonic())
            except exceptions.ClientError:
                return

        sender = threading.Thread(target=stream)
        sender.start()
        until(lambda: len(acknowledged) > 20, "the stream flows")
        begun = service.set_status(device, "disabled")
        assert seconds_until_cut(client, begun) < CUT_WITHIN
        sender.join(20)
    assert acknowledged[-1] - begun < CUT_WITHIN
    # What was acknowledged is in the log.
    assert len(events.wait_for(device.device, len(acknowledged))) >= len(acknowledged)


def test_disabled_device_is_cut_while_connecting(service):
    device = service.create()
    stop = threading.Event()
    opened = []

    def connect_again_and_again():
        client = device.client(connection_retry=False)
        while not stop.is_set():
            try:
                client.connect()
                opened.append(time.monotonic())
                client.disconnect()
            except exceptions.ClientError:
                pass
        client.shutdown()

    connecting = threading.Thread(target=connect_again_and_again)
    connecting.start()
    try:
        until(lambda: len(opened) > 3, "the device comes and goes")
        begun = service.set_status(device, "disabled")
        # Ten refusals in a row after the promised time, each a real attempt.
        until(lambda: time.monotonic() > begun + CUT_WITHIN, "the promised time is over")
    finally:
        stop.set()
        connecting.join(20)
    assert [moment for moment in opened if moment > begun + CUT_WITHIN] == []
    assert not service.is_connected(device)


def test_deleted_device_is_cut(service):
    device = service.create()
    with device.connected(connection_retry=False) as client:
        service.wait_until_connected(device)
        service.registry.delete_device(device.device)
        begun = time.monotonic()
        assert seconds_until_cut(client, begun) < CUT_WITHIN


def test_newer_connection_takes_over(service):
    device = service.create()
    with device.connected(connection_retry=False) as older:
        with device.connected() as newer:
            until(lambda: not older.connected, "the older connection is closed")
            recorder = everything(newer)
            reaches(service, device, recorder, "newer")


def test_connection_state_is_true_at_once(service):
    device = service.create()
    assert not service.is_connected(device)
    with device.connected() as client:
        assert service.is_connected(device)
        assert service.registry.get_twin(device.device).connection_state == "Connected"
        client.disconnect()
        service.wait_until_connected(device, connected=False)
    assert service.registry.get_twin(device.device).connection_state == "Disconnected"
