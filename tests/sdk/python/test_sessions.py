"""Log-in, restart and cuts, beyond what every cell of the matrix shows."""

import threading
import time

import pytest
from azure.iot.device import Message, exceptions

from devices import count_connections, everything, reaches, take_message
from harness.tokens import token
from harness.wait import until

# The promise of the hub, counted from its answer to whoever disabled the device.
CUT_WITHIN = 1.0


def survives(hub, service, how):
    device = service.create()
    with device.connected() as client:
        recorder = everything(client)
        reaches(service, device, recorder, "before")
        for number in range(2):
            hub.restart(how)
            # Sent before the client is back: it waits in the store.
            service.send_c2d(device, f"waiting {number}")
            until(lambda: client.connected, "the client is back")
            service.wait_until_connected(device)
            take_message(recorder, f"waiting {number}")
            reaches(service, device, recorder, f"after {number}")


def test_restart_keeps_the_session(hub, service):
    survives(hub, service, "stop")


def test_kill_keeps_the_session(hub, service):
    survives(hub, service, "kill")


def survives_fault(hub, service, kind):
    """The device asks the hub to harm its own connection, which refuses connects for a second then."""
    hub.call("hub", "update", "--fault-injection", "true")
    device = service.create()
    with device.connected() as client:
        recorder = everything(client)
        reaches(service, device, recorder, "before")
        connections = count_connections(client)
        wish = Message("fault")
        wish.custom_properties = {
            "AzIoTHub_FaultOperationType": kind,
            "AzIoTHub_FaultOperationCloseReason": "the test asks for it",
            "AzIoTHub_FaultOperationDelayInSecs": "1",
            "AzIoTHub_FaultOperationDurationInSecs": "1",
        }
        client.send_message(wish)
        until(connections, "the client is back")
        service.wait_until_connected(device)
        reaches(service, device, recorder, "after")


def test_injected_fault_is_survived_mqtt_KillTcp(hub, service):
    survives_fault(hub, service, "KillTcp")


def test_injected_fault_is_survived_mqtt_ShutDownMqtt(hub, service):
    survives_fault(hub, service, "ShutDownMqtt")


def test_policy_token_opens_a_session(hub, service, events):
    device = service.create()
    signature = token(device.resource(), hub.policy_key("device"), policy="device")
    client = device.client_with_token(signature)
    try:
        client.connect()
        client.send_message("by policy")
    finally:
        client.shutdown()
    assert len(events.wait_for(device)) == 1


def test_expired_token_is_refused(service, monkeypatch):
    device = service.create()
    day = 24 * 3600
    signature = token(device.resource(), device.primary, lives=-day)
    # The SDK itself refuses a token of the past: its clock is set back, so that the hub decides.
    clock = time.time
    monkeypatch.setattr("azure.iot.device.iothub.abstract_clients.time.time", lambda: clock() - 2 * day)
    client = device.client_with_token(signature, connection_retry=False)
    try:
        with pytest.raises(exceptions.CredentialError):
            client.connect()
    finally:
        client.shutdown()


def test_disabled_device_is_cut_while_idle(service):
    device = service.create()
    with device.connected(connection_retry=False) as client:
        service.wait_until_connected(device)
        begun = service.set_status(device, "disabled")
        until(lambda: not client.connected, "the client is cut")
        assert time.monotonic() - begun < CUT_WITHIN
        assert not service.is_connected(device)


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

    # A refusal at the wrong moment leaves this SDK in `connect` until its watchdog wakes it a minute later.
    connecting = threading.Thread(target=connect_again_and_again, daemon=True)
    connecting.start()
    try:
        until(lambda: len(opened) > 3, "the device comes and goes")
        begun = service.set_status(device, "disabled")
        # Ten refusals in a row after the promised time, each a real attempt.
        until(lambda: time.monotonic() > begun + CUT_WITHIN, "the promised time is over")
    finally:
        stop.set()
        connecting.join(1)
    assert [moment for moment in opened if moment > begun + CUT_WITHIN] == []
    assert not service.is_connected(device)
