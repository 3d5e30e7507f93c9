"""Direct methods of devices and modules, in every cell."""

import json
import threading

import pytest
from azure.iot.device import MethodResponse
from msrest.exceptions import HttpOperationError

from devices import Recorder

KINDS = [None, True, False, 0, -7, 2.5, 1e100, 2**53, "", "text", "grüße 🚀", [], [1, [None]], {}, {"a": {"b": [1, "c"]}}]


def refusal(service, identity, **options):
    """Status and the name of the vendor's error code; header and body have to agree on it."""
    with pytest.raises(HttpOperationError) as refused:
        service.invoke(identity, **options)
    response = refused.value.response
    name = json.loads(response.text)["Message"].split(";")[0].removeprefix("ErrorCode:")
    assert response.headers["iothub-errorcode"] == name
    return response.status_code, name


def test_method_payloads_of_every_json_kind(cell, service):
    identity = cell.create()
    with identity.connected() as client:
        recorder = Recorder(client).answering(lambda request: (200, request.payload))
        for payload in KINDS:
            result = service.invoke(identity, payload=payload)
            # The service SDK sends an empty text where it is given nothing.
            sent = "" if payload is None else payload
            assert recorder.methods.get_nowait().payload == sent
            assert (result.status, result.payload) == (200, sent)


def test_method_status_is_the_clients_own(cell, service):
    identity = cell.create()
    with identity.connected() as client:
        Recorder(client).answering(lambda request: (request.payload, {"name": request.name}))
        for status in [0, 1, 200, 404, 500, 12345]:
            result = service.invoke(identity, "Set Speed!", status)
            assert (result.status, result.payload) == (status, {"name": "Set Speed!"})


def test_method_to_an_offline_client(cell, service):
    identity = cell.create()
    assert refusal(service, identity) == (404, "DeviceNotOnline")
    with identity.connected() as client:
        Recorder(client).answering(lambda request: (200, request.payload))
        service.invoke(identity)
        client.disconnect()
        service.wait_until_connected(identity, connected=False)
        assert refusal(service, identity) == (404, "DeviceNotOnline")


def test_method_without_an_answer(cell, service):
    identity = cell.create()
    with identity.connected() as client:
        Recorder(client).answering(lambda _: None)
        assert refusal(service, identity, response=5) == (504, "GatewayTimeout")


def test_method_waits_for_the_client_to_connect(cell, service):
    identity = cell.create()
    client = identity.client()
    begun = threading.Event()
    result = []

    def invoke():
        begun.set()
        result.append(service.invoke(identity, payload=1, connect=20))

    caller = threading.Thread(target=invoke)
    caller.start()
    begun.wait()
    try:
        client.connect()
        Recorder(client).answering(lambda request: (200, request.payload))
        caller.join(20)
    finally:
        client.shutdown()
    assert [(answer.status, answer.payload) for answer in result] == [(200, 1)]


def test_methods_run_side_by_side(cell, service):
    identity = cell.create()
    fast_is_done = threading.Event()
    slow_has_come = threading.Event()
    workers = []

    def respond(client, request):
        if request.name == "slow":
            slow_has_come.set()
            assert fast_is_done.wait(20)
        client.send_method_response(MethodResponse(request.request_id, 200, request.name))

    with identity.connected() as client:

        def handle(request):
            # The SDK calls its handler for one request at a time, so that a slow one has to leave it.
            workers.append(threading.Thread(target=respond, args=(client, request)))
            workers[-1].start()

        client.on_method_request_received = handle
        slow = []
        caller = threading.Thread(target=lambda: slow.append(service.invoke(identity, "slow")))
        caller.start()
        assert slow_has_come.wait(20)
        fast = service.invoke(identity, "fast")
        fast_is_done.set()
        caller.join(20)
        for worker in workers:
            worker.join()
    assert fast.payload == "fast" and slow[0].payload == "slow"
