"""Log-in, renewal, reconnection, cuts and take-over, in every cell."""

import threading
import time

import pytest
from azure.iot.device import exceptions

from devices import count_connections, cut, everything, reaches, set_token_lifetime, take_message
from harness.wait import until

# The promise of the hub, counted from its answer to whoever disabled the device.
CUT_WITHIN = 1.0


def is_refused(client):
    try:
        with pytest.raises(exceptions.CredentialError):
            client.connect()
    finally:
        client.shutdown()


def is_accepted(client):
    try:
        client.connect()
        assert client.connected
    finally:
        client.shutdown()


def test_lost_connection_is_taken_up_again(cell, service):
    identity = cell.create()
    with identity.connected() as client:
        recorder = everything(client)
        reaches(service, identity, recorder, "before")
        for number in range(2):
            connections = count_connections(client)
            cut(client)
            until(lambda: connections() > 0 and client.connected, "the client is back")
            service.wait_until_connected(identity)
            reaches(service, identity, recorder, f"after {number}")


def test_renewed_token_keeps_the_session(cell, service):
    identity = cell.create()
    # The SDK renews 120 s before the end of a token's life, by a new connection under the same client id.
    with identity.connected(sastoken_ttl=122) as client:
        recorder = everything(client)
        reaches(service, identity, recorder, "before")
        renewals = count_connections(client)
        sent = 0
        while not renewals():
            sent += 1
            if identity.module is None:
                service.send_c2d(identity, f"message {sent}")
                take_message(recorder, f"message {sent}")
            else:
                client.send_message(f"message {sent}")
        # One last renewal, for a token that lives long: a method that falls into the gap of another is lost, as documented.
        set_token_lifetime(client, 3600)
        before = renewals()
        until(lambda: renewals() > before, "the last renewal")
        reaches(service, identity, recorder, "after")


def test_newer_connection_takes_over(cell, service):
    identity = cell.create()
    with identity.connected(connection_retry=False) as older:
        with identity.connected() as newer:
            until(lambda: not older.connected, "the older connection is closed")
            reaches(service, identity, everything(newer), "newer")


def test_connection_state_is_true_at_once(cell, service):
    identity = cell.create()
    assert not service.is_connected(identity)
    with identity.connected() as client:
        assert service.is_connected(identity)
        assert service.twin(identity).connection_state == "Connected"
        client.disconnect()
        service.wait_until_connected(identity, connected=False)
    assert service.twin(identity).connection_state == "Disconnected"


def test_wrong_credential_is_refused(cell):
    identity = cell.create()
    is_refused(identity.client(slot="wrong", connection_retry=False))
    is_accepted(identity.client())


def test_second_credential_opens_as_well(cell):
    identity = cell.create()
    is_accepted(identity.client(slot="secondary"))
    is_accepted(identity.client())


def test_unknown_identity_is_refused(cell, service):
    identity = cell.create()
    service.delete(identity)
    is_refused(identity.client(connection_retry=False))


def test_disabled_device_is_refused(cell, service):
    identity = cell.create(status="disabled")
    is_refused(identity.client(connection_retry=False))
    service.set_status(identity, "enabled")
    is_accepted(identity.client())


def cut_within(client, begun):
    until(lambda: not client.connected, "the client is cut", within=10)
    assert time.monotonic() - begun < CUT_WITHIN


def test_disabled_device_is_cut_while_streaming(cell, service, events):
    identity = cell.create()
    acknowledged = []
    with identity.connected(connection_retry=False, auto_connect=False) as client:

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
        begun = service.set_status(identity, "disabled")
        cut_within(client, begun)
        sender.join(20)
    assert acknowledged[-1] - begun < CUT_WITHIN
    # What was acknowledged is in the log.
    assert len(events.wait_for(identity, len(acknowledged))) >= len(acknowledged)


def test_deleted_identity_is_cut(cell, service):
    identity = cell.create()
    with identity.connected(connection_retry=False) as client:
        service.wait_until_connected(identity)
        cut_within(client, service.delete(identity))
