"""What modules do among themselves, beyond what every cell of the matrix shows."""

import pytest

from devices import MODULE, Recorder


def test_module_calls_a_method(service):
    caller = service.create(MODULE)
    called = service.add_module(caller, "lamp")
    stranger = service.create(MODULE)
    call = {"methodName": "light", "payload": {"on": True}, "responseTimeoutInSeconds": 20}
    with called.connected() as lamp, caller.connected() as camera, stranger.connected() as other:
        Recorder(lamp).answering(lambda request: (202, {"got": request.payload}))
        answer = camera.invoke_method(call, called.device, "lamp")
        assert answer == {"status": 202, "payload": {"got": {"on": True}}}
        # A module of another device may not.
        with pytest.raises(Exception):
            other.invoke_method(call, called.device, "lamp")
