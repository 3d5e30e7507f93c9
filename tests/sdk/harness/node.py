"""The Node behaviours: one hub, one Node process, and a way for it to ask for a restart."""

import dataclasses
import http.server
import json
import os
import pathlib
import subprocess
import threading
import urllib.parse

from . import certificates, matrix
from .authority import forget, provisioned, registered
from .hub import Hub
from .namespace import BESIDE

HERE = pathlib.Path(__file__).resolve().parent.parent / "node"
ENDED_WITHIN = 600


def run_node(pick):
    """Runs them and returns the exit status of Node."""
    sdk = pathlib.Path(os.environ["BEHAVIOURS_SDK"])
    scratch = pathlib.Path(os.environ["BEHAVIOURS_SCRATCH"])
    hub = Hub(scratch / "node").start()
    # Node reads what it trusts at its start, so the second installation is there from then on.
    address, (north, south) = next(iter(BESIDE.items()))
    pair = Hub(scratch / "node-pair", host=north, address=address).start()
    hubs = [pair, pair.create_hub("south", south)]
    trusted = scratch / "node-trusted.pem"
    trusted.write_text("".join(pathlib.Path(each.authority).read_text() for each in (hub, pair)))
    control = serve_control(hub, pair)
    environment = os.environ | {
        # The only trust store that all parts of the Node SDKs read; Node reads it at its start.
        "NODE_EXTRA_CA_CERTS": str(trusted),
        "NODE_PATH": str(sdk / "node" / "node_modules"),
        "BEHAVIOURS_HUB": json.dumps(hub.shown),
        "BEHAVIOURS_DATA": str(hub.folder),
        "BEHAVIOURS_PAIR": json.dumps({"folder": str(pair.folder), "hubs": [each.shown for each in hubs]}),
        "BEHAVIOURS_CONTROL": f"http://127.0.0.1:{control.server_port}",
        "BEHAVIOURS_PLAN": json.dumps(plan()),
        "BEHAVIOURS_PICK": pick or "",
    }
    command = ["node", f"--test-reporter={HERE / 'reporter.mjs'}", "--test-reporter-destination=stdout"]
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
            print(hub.log_tail(200), pair.log_tail(200), sep="\n", flush=True)
        hub.close()
        pair.close()


def plan():
    """The cells of Node and what runs in each, for the other side."""
    return [
        {"cell": dataclasses.asdict(cell) | {"name": cell.name}, "names": names}
        for cell, names in matrix.whole_plan("node").items()
    ]


def serve_control(hub, pair):
    """What Node cannot do itself: `POST /stop` or `/kill` restarts the hub, the answer comes when it is ready again;
    `/self-signed?NAME` and `/leaf?NAME` make a certificate; `/provisioned` makes an authority that the provisioning
    service knows, `/provisioned-leaf?AUTHORITY/NAME` a certificate of it, `/forget?AUTHORITY` takes it away again; `-pair`
    behind the first and the last of these means the service of the pair of hubs."""
    authorities = {}

    class Control(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            path, _, name = self.path.strip("/").partition("?")
            name = urllib.parse.unquote(name)
            if path == "self-signed":
                self.answer(shown(certificates.self_signed(name or "device")))
            elif path == "leaf":
                self.answer(shown(registered(hub).leaf(name)))
            elif path in ("provisioned", "provisioned-pair"):
                name, authority = provisioned(pair if path.endswith("-pair") else hub)
                authorities[name] = authority
                self.answer({"name": name, "intermediate": authority.intermediate.chain_pem()})
            elif path == "provisioned-leaf":
                name, _, registration = name.partition("/")
                self.answer(shown(authorities[name].leaf(registration)))
            elif path in ("forget", "forget-pair"):
                forget(pair if path.endswith("-pair") else hub, name)
                self.done()
            else:
                hub.restart(path)
                self.done()

        def done(self):
            self.send_response(204)
            self.end_headers()

        def answer(self, document):
            text = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    # One thread for all requests: a hub ends with the thread that started it.
    server = http.server.HTTPServer(("127.0.0.1", 0), Control)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def shown(certificate):
    return {
        "certificate": certificate.chain_pem(),
        "key": certificate.key_pem(),
        "sha256": certificate.thumbprint(),
        "sha1": certificate.thumbprint(certificates.hashes.SHA1),
    }
