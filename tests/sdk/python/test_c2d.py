"""Cloud to device, beyond what every cell of the matrix shows."""

import datetime

from devices import Recorder, take


def in_seconds(seconds):
    """A moment as the command line takes it."""
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def data(message):
    return message.data.decode()


def test_c2d_of_the_past_is_not_delivered(hub, service):
    device = service.create()
    hub.send_c2d(device.device, "soon over", expiry_time_utc=in_seconds(1))
    # The moment itself is the condition: a message sent after it must be the only one to arrive.
    over = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=1.1)
    number = 0
    while datetime.datetime.now(datetime.timezone.utc) < over:
        service.registry.get_device(device.device)
        number += 1
    assert number > 0
    hub.send_c2d(device.device, "in time", expiry_time_utc=in_seconds(600))
    with device.connected() as client:
        recorder = Recorder(client).c2d()
        assert data(take(recorder.messages, "the message in time")) == "in time"
        assert recorder.messages.empty()


def test_c2d_of_the_command_line_keeps_its_user_id(hub, service):
    device = service.create()
    with device.connected() as client:
        recorder = Recorder(client).c2d()
        hub.send_c2d(device.device, "from an operator", user_id="someone", properties="plain=value;with space=a b")
        message = take(recorder.messages, "the message")
    assert (data(message), message.user_id) == ("from an operator", "someone")
    assert message.custom_properties == {"plain": "value", "with space": "a b"}


def test_c2d_purged_is_gone(hub, service):
    device = service.create()
    for number in range(3):
        service.send_c2d(device, str(number))
    hub.call("c2d", "purge", "--device-id", device.device)
    service.send_c2d(device, "after")
    with device.connected() as client:
        recorder = Recorder(client).c2d()
        assert data(take(recorder.messages, "the message after the purge")) == "after"
