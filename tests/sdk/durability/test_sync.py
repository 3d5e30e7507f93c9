"""Kill -9 leaves the page cache alone, so that it cannot show a missing fsync: the order of system calls can."""

import json
import os
import re
import signal

from devices import Service
from raw_mqtt import RawClient
from harness.tokens import token

ROUNDS = 40
GROUP = 16
CALLS = "fsync,fdatasync,sync_file_range,pwrite64,pwritev,write,writev,sendto,sendmsg"
STRACE = ["strace", "-f", "-y", "-s", "0", "-e", f"trace={CALLS}", "-e", "signal=none", "-o"]


def test_sync_precedes_acknowledgement(fresh_hub):
    check(trace_of(fresh_hub, send_groups, "log"))


def test_sync_precedes_a_twins_answer(fresh_hub):
    check(trace_of(fresh_hub, patch_twin, "store.db"))


def trace_of(fresh_hub, work, path):
    """The order of writes to a file or folder of the hub's data, of its syncs and of answers, while a client works."""
    trace = f"{os.environ['BEHAVIOURS_SCRATCH']}/trace-{path}"
    hub = fresh_hub(wrapper=[*STRACE, trace])
    device = Service(hub).create()
    client = RawClient(device, token(device.resource(), device.primary), clean=True)
    work(client)
    client.close()
    os.kill(json.loads((hub.folder / "run.json").read_text())["pid"], signal.SIGTERM)
    hub.process.wait(30)
    with open(trace, encoding="utf-8", errors="replace") as lines:
        return order_of(lines, str(hub.folder / path))


def send_groups(client):
    """The client waits for every acknowledgement before the next group, so that groups do not overlap."""
    topic = f"devices/{client.identity.device}/messages/events/"
    for number in range(ROUNDS):
        wanted = set(client.publish_many(topic, [f"{number}-{index}".encode() for index in range(GROUP)]))
        got = set()
        while got != wanted:
            got.add(client.read_puback())


def patch_twin(client):
    """One reported patch after the other."""
    client.subscribe("$iothub/twin/res/#")
    for number in range(ROUNDS):
        client.publish(f"$iothub/twin/PATCH/properties/reported/?$rid={number}", b'{"number":%d}' % number)
        topic, _, _ = client.read_publish()
        assert topic.startswith("$iothub/twin/res/204/"), topic


def order_of(lines, path):
    """The trace as letters: W a write to the data, S a sync of it that has returned, A a write to a socket.

    A call that another thread interrupts stands in two lines. A write counts from its first one and a sync from its
    last one, which is the reading that is least kind to the hub.
    """
    begun = {}
    letters = []
    for line in lines:
        thread, _, rest = line.partition(" ")
        rest = rest.strip()
        resumed = re.match(r"<\.\.\. (\w+) resumed>", rest)
        if resumed:
            letter = begun.pop(thread, None)
        else:
            letter = letter_of(rest, path)
            if "<unfinished ...>" in rest and letter == "S":
                begun[thread] = letter
                continue
        if letter is not None and (not resumed or letter == "S"):
            letters.append(letter)
    return "".join(letters)


def letter_of(call, path):
    match = re.match(r"(\w+)\(\d+<([^>]*)>", call)
    if match is None:
        return None
    name, target = match.groups()
    if target.startswith(path):
        if "sync" in name:
            return "S"
        # A checkpoint copies what was synced before; the group itself goes to the write-ahead log.
        return "W" if target.endswith("-wal") else None
    if name in ("write", "writev", "sendto", "sendmsg") and re.match(r"(TCP|TCPv6|socket)", target):
        return "A"
    return None


def check(letters):
    # Before the first group there are handshakes.
    letters = letters[letters.index("W") :]
    rounds = re.findall(r"W+[^A]*", letters)
    assert len(rounds) >= ROUNDS, f"{len(rounds)} groups, {ROUNDS} were waited for: {letters[:400]}"
    for match in re.finditer(r"(W+)([^A]*)A", letters):
        tail = match.group(1) + match.group(2)
        assert tail.rindex("W") < tail.rfind("S"), f"an acknowledgement without a sync before it: {letters[:400]}"
