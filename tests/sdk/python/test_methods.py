"""Direct methods."""

import json
import threading

import pytest
from azure.iot.device import MethodResponse
from azure.iot.hub.models import CloudToDeviceMethod
from msrest.exceptions import HttpOperationError

from devices import Recorder

KINDS = [None, True, False, 0, -7, 2.5, 1e100, 2**53, "", "text", "grüße 🚀", [], [1, [None]], {}, {"a": {"b": [1, "c"]}}]


def call(name="act", payload=None, response=20, connect=0):
    return CloudToDeviceMethod(
        method_name=name,
        payload=payload,
        response_timeout_in_seconds=response,
        connect_timeout_in_seconds=connect,
    )


def error_of(refused):
    """Status and the name of the vendor's error code; header and body have to agree on it."""
    response = refused.value.response
    name = json.loads(response.text)["Message"].split(";")[0].removeprefix("ErrorCode:")
    assert response.headers["iothub-errorcode"] == name
    return response.status_code, name


def test_method_payloads_of_every_json_kind(service):
    device = service.create()
    with device.connected() as client:
        recorder = Recorder(client).answering(lambda request: (200, request.payload))
        for payload in KINDS:
            result = service.registry.invoke_device_method(device.device, call(payload=payload))
            # The service SDK sends an empty text where it is given nothing.
            sent = "" if payload is None else payload
            assert recorder.methods.get_nowait().payload == sent
            assert (result.status, result.payload) == (200, sent)


def test_method_status_is_the_devices_own(service):
    device = service.create()
    with device.connected() as client:
        Recorder(client).answering(lambda request: (request.payload, {"name": request.name}))
        for status in [0, 1, 200, 404, 500, 12345]:
            result = service.registry.invoke_device_method(device.device, call("Set Speed!", status))
            assert (result.status, result.payload) == (status, {"name": "Set Speed!"})


def test_method_to_an_offline_device(service):
    device = service.create()
    with pytest.raises(HttpOperationError) as refused:
        service.registry.invoke_device_method(device.device, call())
    assert error_of(refused) == (404, "DeviceNotOnline")


def test_method_without_an_answer(service):
    device = service.create()
    with device.connected() as client:
        Recorder(client).answering(lambda _: None)
        with pytest.raises(HttpOperationError) as refused:
            service.registry.invoke_device_method(device.device, call(response=5))
    assert error_of(refused) == (504, "GatewayTimeout")


def test_method_waits_for_a_device_to_connect(service):
    device = service.create()
    client = device.client()
    begun = threading.Event()
    result = []

    def invoke():
        begun.set()
        result.append(service.registry.invoke_device_method(device.device, call(payload=1, connect=20)))

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


def test_method_reaches_a_module(service):
    module = service.create(module="camera")
    with module.connected() as client:
        Recorder(client).answering(lambda request: (201, {"got": request.payload}))
        result = service.registry.invoke_device_module_method(module.device, "camera", call(payload="x"))
    assert (result.status, result.payload) == (201, {"got": "x"})


def test_methods_run_side_by_side(service):
    device = service.create()
    fast_is_done = threading.Event()

    def answer(request):
        if request.name == "slow":
            assert fast_is_done.wait(20)
        return 200, request.name

    with device.connected() as client:
        waiting = []
        slow_has_come = threading.Event()

        def handle(request):
            # The SDK calls its handler for one request at a time, so that a slow one has to leave it.
            if request.name == "slow":
                slow_has_come.set()
            worker = threading.Thread(target=lambda: respond(client, request, answer(request)))
            worker.start()
            waiting.append(worker)

        client.on_method_request_received = handle
        slow = []
        caller = threading.Thread(
            target=lambda: slow.append(service.registry.invoke_device_method(device.device, call("slow")))
        )
        caller.start()
        assert slow_has_come.wait(20)
        fast = service.registry.invoke_device_method(device.device, call("fast"))
        fast_is_done.set()
        caller.join(20)
        for worker in waiting:
            worker.join()
    assert fast.payload == "fast" and slow[0].payload == "slow"


def respond(client, request, answer):
    client.send_method_response(MethodResponse(request.request_id, *answer))
