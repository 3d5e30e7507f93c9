"""The Node behaviours: one hub, one Node process, and a way for it to ask for a restart."""

import http.server
import json
import os
import pathlib
import subprocess
import threading

from .hub import Hub

HERE = pathlib.Path(__file__).resolve().parent.parent / "node"
ENDED_WITHIN = 600


def run_node(_part, pick):
    """Runs them and returns the exit status of Node."""
    sdk = pathlib.Path(os.environ["BEHAVIOURS_SDK"])
    hub = Hub(pathlib.Path(os.environ["BEHAVIOURS_SCRATCH"]) / "node").start()
    control = serve_control(hub)
    environment = os.environ | {
        # The only trust store that all parts of the Node SDKs read; Node reads it at its start.
        "NODE_EXTRA_CA_CERTS": hub.authority,
        "NODE_PATH": str(sdk / "node" / "node_modules"),
        "BEHAVIOURS_HUB": json.dumps(hub.shown),
        "BEHAVIOURS_DATA": str(hub.folder),
        "BEHAVIOURS_CONTROL": f"http://127.0.0.1:{control.server_port}",
    }
    command = ["node", f"--test-reporter={HERE / 'reporter.mjs'}", "--test-reporter-destination=stdout"]
    command += [f"--test-name-pattern={pick}"] if pick else []
    try:
        done = subprocess.run(
            [*command, str(HERE / "main.js")], env=environment, stdin=subprocess.DEVNULL, timeout=ENDED_WITHIN
        )
        return done.returncode
    except subprocess.TimeoutExpired:
        print(f"the Node process did not end within {ENDED_WITHIN} s", flush=True)
        return 1
    finally:
        control.shutdown()
        if os.environ.get("BEHAVIOURS_SHOW_LOG"):
            print(hub.log_tail(200), flush=True)
        hub.close()


def serve_control(hub):
    """`POST /stop` or `/kill` restarts the hub; the answer comes when it is ready again."""

    class Control(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            hub.restart(self.path.strip("/"))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    # One thread for all requests: a hub ends with the thread that started it.
    server = http.server.HTTPServer(("127.0.0.1", 0), Control)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
