"""Kill -9 leaves the page cache alone, so that it cannot show a missing fsync: the order of system calls can."""

import json
import os
import re
import signal

from devices import Service, token
from raw_mqtt import RawClient

ROUNDS = 40
GROUP = 16
CALLS = "fsync,fdatasync,sync_file_range,pwrite64,pwritev,write,writev,sendto,sendmsg"
STRACE = ["strace", "-f", "-y", "-s", "0", "-e", f"trace={CALLS}", "-e", "signal=none", "-o"]


def test_sync_precedes_acknowledgement(fresh_hub):
    trace = f"{os.environ['BEHAVIOURS_SCRATCH']}/trace"
    hub = fresh_hub(wrapper=[*STRACE, trace])
    device = Service(hub).create()
    client = RawClient(device, token(device.resource(), device.primary), clean=True)
    topic = f"devices/{device.device}/messages/events/"
    send_groups(client, topic)
    client.close()
    pid = json.loads((hub.folder / "run.json").read_text())["pid"]
    os.kill(pid, signal.SIGTERM)
    hub.process.wait(30)
    events = order_of(open(trace, encoding="utf-8", errors="replace"), str(hub.folder / "log"))
    check(events)


def send_groups(client, topic):
    """The client waits for every acknowledgement before the next group, so that groups do not overlap."""
    for number in range(ROUNDS):
        wanted = set(client.publish_many(topic, [f"{number}-{index}".encode() for index in range(GROUP)]))
        got = set()
        while got != wanted:
            got.add(client.read_puback())


def order_of(lines, folder):
    """The trace as letters: W a write to the log, S a sync of the log that has returned, A a write to a socket.

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
            letter = letter_of(rest, folder)
            if "<unfinished ...>" in rest and letter == "S":
                begun[thread] = letter
                continue
        if letter is not None and (not resumed or letter == "S"):
            letters.append(letter)
    return "".join(letters)


def letter_of(call, folder):
    match = re.match(r"(\w+)\(\d+<([^>]*)>", call)
    if match is None:
        return None
    name, target = match.groups()
    if target.startswith(folder):
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
