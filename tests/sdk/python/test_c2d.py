"""Cloud to device, beyond what every cell of the matrix shows."""

import contextlib
import datetime

from devices import Recorder, take


def moment(time):
    """As the command line takes it."""
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def soon_over(hub, device):
    """Sends a message with a short life; when that is over. One that is over before the hub reads it is refused: on a slow
    machine a longer one is taken."""
    for lives in (1, 2, 4, 8):
        over = now() + datetime.timedelta(seconds=lives)
        with contextlib.suppress(AssertionError):
            hub.send_c2d(device, "soon over", expiry_time_utc=moment(over))
            return over
    raise AssertionError("no message with a short life is taken")


def data(message):
    return message.data.decode()


def test_c2d_of_the_past_is_not_delivered(hub, service):
    device = service.create()
    over = soon_over(hub, device.device)
    # The moment itself is the condition: a message sent after it must be the only one to arrive.
    while now() <= over:
        service.registry.get_device(device.device)
    hub.send_c2d(device.device, "in time", expiry_time_utc=moment(now() + datetime.timedelta(minutes=10)))
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
