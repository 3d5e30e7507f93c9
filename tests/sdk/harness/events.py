"""The back end's view: committed events, read through `thingstead events watch` while they come."""

import base64
import collections
import datetime
import json
import subprocess
import threading

from .hub import die_with_parent
from .wait import WITHIN, until


class Events:
    """Follows the log from its start and keeps what it has seen, by device and module."""

    def __init__(self, hub, source=None):
        self.hub = hub
        self.source = source
        self.seen = collections.defaultdict(list)
        self.process = None
        self.reader = None

    def of(self, device, module=None):
        """The events of one device or module so far, in order."""
        self.follow()
        return list(self.seen[device, module])

    def wait_for(self, identity, count=1, within=WITHIN):
        """At least `count` events of a device or module."""
        name = (identity.device, identity.module)

        def enough():
            found = self.of(*name)
            return found if len(found) >= count else None

        return until(enough, lambda: f"{count} events of {name}, {len(self.of(*name))} came", within)

    def follow(self):
        """Starts reading, again where the hub was restarted: then from the start, for the log is kept."""
        if self.process is not None and self.process.poll() is None:
            return
        if self.reader is not None:
            self.reader.join()
        self.seen = collections.defaultdict(list)
        arguments = ["events", "watch", "--from", "start", "-o", "json"]
        arguments += ["--source", self.source] if self.source else []
        self.process = subprocess.Popen(
            self.hub.command(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent,
        )
        self.reader = threading.Thread(target=self.read, args=(self.process, self.seen), daemon=True)
        self.reader.start()

    @staticmethod
    def read(process, seen):
        for text in process.stdout:
            line = json.loads(text) if text.strip() else {"notice": "alive"}
            if "notice" not in line:
                event = event_of(line)
                seen[event["device"], event["module"]].append(event)

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def event_of(line):
    """The one place that knows how the stream spells an event."""
    if line["bodyEncoding"] == "json":
        body = json.dumps(line["body"], separators=(",", ":"), ensure_ascii=False).encode()
    else:
        body = base64.b64decode(line["body"])
    return {
        "device": line["deviceId"],
        "module": line.get("moduleId"),
        "body": body,
        "system": line["systemProperties"] | line["annotations"],
        "application": line["properties"],
        "output": line["systemProperties"].get("iothub-outputname"),
        "enqueued": datetime.datetime.fromisoformat(line["enqueuedTime"]),
        "raw": line,
    }
