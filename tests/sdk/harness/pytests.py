"""The parts that run under pytest."""

import os
import pathlib
import subprocess
import sys

from .feedback import collect, file_of
from .hub import Hub

HERE = pathlib.Path(__file__).resolve().parent.parent
# The SDK leaves timers behind (for tokens that live an hour), which would hold the process until they fire.
PYTEST = "import os, sys, pytest; status = pytest.main(sys.argv[1:]); sys.stdout.flush(); os._exit(status)"
# Processes that share the cells of the matrix among them: most of their time they wait.
SHARES = 4
SHARE_WITHIN = 600
NOTHING_CHOSEN = 5


def run_durability(pick):
    return subprocess.run(command("durability", pick), cwd=HERE, stdin=subprocess.DEVNULL).returncode


def run_python(pick):
    """What is shown once, and then the matrix, side by side on one hub."""
    once = [*command("python", pick), f"--ignore={HERE / 'python' / 'matrix'}"]
    ended = [subprocess.run(once, cwd=HERE, stdin=subprocess.DEVNULL).returncode, *run_matrix(pick)]
    chosen = [status for status in ended if status != NOTHING_CHOSEN]
    return next((status for status in chosen if status != 0), 0)


def run_matrix(pick):
    hub = Hub(pathlib.Path(os.environ["BEHAVIOURS_SCRATCH"]) / "matrix").start()
    # For azure-iot-hub, which has no option of its own: over HTTPS and over AMQP.
    os.environ["REQUESTS_CA_BUNDLE"] = os.environ["SSL_CERT_FILE"] = hub.authority
    try:
        if "amqp" in hub.shown["ports"]:
            collect(hub, file_of(hub))
        shares = [start_share(hub, number, pick) for number in range(SHARES)]
        return [ended(share) for share in shares]
    finally:
        if os.environ.get("BEHAVIOURS_SHOW_LOG"):
            print(hub.log_tail(200), flush=True)
        hub.close()


def ended(share):
    try:
        return share.wait(SHARE_WITHIN)
    except subprocess.TimeoutExpired:
        print(f"a share of the matrix did not end within {SHARE_WITHIN} s", flush=True)
        share.kill()
        return share.wait()


def start_share(hub, number, pick):
    environment = os.environ | {"BEHAVIOURS_DATA": str(hub.folder), "BEHAVIOURS_SHARE": f"{number}/{SHARES}"}
    return subprocess.Popen(command("python/matrix", pick), cwd=HERE, stdin=subprocess.DEVNULL, env=environment)


def command(folder, pick):
    # Who hangs in a library's native code, where no signal reaches, at least says where.
    arguments = ["-o", "faulthandler_timeout=60", "-q", "-p", "no:cacheprovider", "-W", "ignore", "--rootdir", str(HERE)]
    arguments += ["-k", pick] if pick else []
    return [sys.executable, "-B", "-c", PYTEST, *arguments, str(HERE / folder)]
