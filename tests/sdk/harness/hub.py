"""The server's process: started, watched until it is ready, stopped or killed, started again on the same data."""

import ctypes
import json
import os
import pathlib
import signal
import subprocess
import sys

from . import namespace
from .wait import until

READY_WITHIN = 30.0
STOPPED_WITHIN = 30.0
PR_SET_PDEATHSIG = 1
# For whoever looks for a fault: `BEHAVIOURS_SERVE="--log debug"`.
MORE_ARGUMENTS = os.environ.get("BEHAVIOURS_SERVE", "").split()


class Hub:
    """A hub on the real ports, in a data folder of its own."""

    # Those that this process started and that may still be running, for whoever looks for a fault.
    started = []

    def __init__(self, folder: pathlib.Path, wrapper=(), host=namespace.HOST, address=None, config=None):
        self.folder = folder
        # Of the default hub; with an address the installation listens there alone, beside another one.
        self.host_name = host
        self.address = address
        # The path of a configuration file.
        self.config = config
        self.binary = os.environ["BEHAVIOURS_BINARY"]
        self.wrapper = list(wrapper)
        self.log = folder.parent / f"{folder.name}.log"
        self.process = None
        self.closed = False
        self.shown = None

    @classmethod
    def running(cls, folder: pathlib.Path):
        """The hub that another process started there, for one that only uses it."""
        hub = cls(folder)
        hub.shown = hub.ask("hub", "show")
        return hub

    # Life

    def start(self):
        """Starts the server and returns when it is ready."""
        if self not in Hub.started:
            Hub.started.append(self)
        arguments = ["serve", "--data-dir", str(self.folder), "--hostname", self.host_name]
        arguments += ["--listen", self.address] if self.address else []
        arguments += ["--config", str(self.config)] if self.config else []
        arguments += MORE_ARGUMENTS
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*self.wrapper, self.binary, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,
            )
        until(self.is_ready, lambda: f"the server is ready; it says:\n{self.log_tail()}", READY_WITHIN)
        self.shown = self.ask("hub", "show")
        return self

    def is_ready(self):
        """`run.json` is written once the ports are bound, and names the process that bound them."""
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.log_tail()}")
        try:
            run = json.loads((self.folder / "run.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return False
        return self.wrapper or run.get("pid") in (None, self.process.pid)

    def stop(self):
        """The orderly way: SIGTERM, and the exit status has to be zero."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(STOPPED_WITHIN)
        assert status == 0, f"the server ended with {status} after SIGTERM:\n{self.log_tail()}"

    def kill(self):
        """The hard way: SIGKILL."""
        self.process.kill()
        self.process.wait(STOPPED_WITHIN)

    def restart(self, how="stop"):
        """Stops (`stop`) or kills (`kill`) the server and starts it on the same data."""
        {"stop": self.stop, "kill": self.kill}[how]()
        # A file of the killed process must not be taken for the new one's.
        (self.folder / "run.json").unlink(missing_ok=True)
        return self.start()

    def close(self):
        """Ends the server whatever its state."""
        self.closed = True
        if self in Hub.started:
            Hub.started.remove(self)
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def log_tail(self, lines=40):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def create_hub(self, name, host):
        """One more hub of this installation."""
        self.call("hub", "create", name, "--hostname", host)
        return FurtherHub(self, name)

    # What a client needs

    @property
    def host(self):
        return self.shown["hostName"]

    @property
    def authority(self):
        """Path of the certificate that every client has to trust."""
        return self.shown["caCertificate"]

    def connection_string(self, policy="iothubowner"):
        return self.shown["connectionStrings"][policy]

    def policy_key(self, policy):
        return dict(part.split("=", 1) for part in self.connection_string(policy).split(";"))["SharedAccessKey"]

    # The command line

    def command(self, *arguments):
        return [self.binary, *arguments, "--data-dir", str(self.folder)]

    def call(self, *arguments):
        """Runs a command of `thingstead` against this hub; its output."""
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True, stdin=subprocess.DEVNULL)
        shown = " ".join(arguments)
        assert done.returncode == 0, f"`thingstead {shown}` ended with {done.returncode}: {done.stderr.strip()}"
        return done.stdout

    def ask(self, *arguments):
        """The same with `-o json`, parsed."""
        return json.loads(self.call(*arguments, "-o", "json"))

    def send_c2d(self, device, body, **options):
        """Sends a cloud-to-device message; options are flags, `message_id="1"` for `--message-id 1`."""
        flags = [text for key, value in options.items() for text in (f"--{key.replace('_', '-')}", value)]
        self.call("c2d", "send", "--device-id", device, "--data", body, *flags)


class FurtherHub(Hub):
    """A hub beside the default one; the process is the installation's."""

    def __init__(self, installation, name):
        super().__init__(installation.folder)
        self.name = name
        self.shown = self.ask("hub", "show")

    def command(self, *arguments):
        return [*super().command(*arguments), "--hub", self.name]


def die_with_parent():
    """Runs in the child: no server outlives the run that started it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
