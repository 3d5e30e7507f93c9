"""Stands between a provisioning service and a hub of another installation, and lets one chosen call go wrong."""

import http.server
import ssl
import threading

import requests

PORT = 9443
WITHIN = 20


class Relay:
    """Passes HTTPS on to a hub, with the hub's own certificate, on another port of its address."""

    def __init__(self, hub):
        self.hub = hub
        self.lock = threading.Lock()
        self.calls = []
        self.strike = None
        # Whether the call that is to go wrong has come, and whether it has gone wrong.
        self.is_taken = False
        self.struck = threading.Event()
        self.server = None

    @property
    def connection_string(self):
        """The hub's own, by way of this relay."""
        return self.hub.connection_string().replace(f"HostName={self.hub.host};", f"HostName={self.hub.host}:{PORT};")

    def arm(self, call, before=None, after=None):
        """At that call, counted from now: `before` runs in place of passing it on, or `after` in place of the answer."""
        with self.lock:
            self.calls.clear()
            self.struck.clear()
            self.is_taken = False
            self.strike = (call, before, after)

    def disarm(self):
        """No call goes wrong from now on. Whether one did: one that has come by now is waited for."""
        with self.lock:
            self.strike = None
            if not self.is_taken:
                return False
        assert self.struck.wait(WITHIN), "the call that was to go wrong came, and did not"
        return True

    def __enter__(self):
        self.server = http.server.ThreadingHTTPServer((self.hub.address, PORT), handler_of(self))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls = self.hub.folder / "tls"
        context.load_cert_chain(tls / "leaf.pem", tls / "leaf.key")
        # The handshake is the handler's: one that does not come must not keep the others.
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def handler_of(relay):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def serve(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with relay.lock:
                number = len(relay.calls)
                relay.calls.append(f"{self.command} {self.path.split('?')[0]}")
                armed = relay.strike if relay.strike and relay.strike[0] == number else None
                relay.is_taken |= armed is not None
            before, after = armed[1:] if armed else (None, None)
            self.close_connection = bool(armed)
            if before:
                before()
                relay.struck.set()
                return
            try:
                answer = self.passed_on(body)
            except requests.RequestException:
                self.close_connection = True
                return
            if after:
                after()
                relay.struck.set()
                return
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_PUT = do_DELETE = serve

        def passed_on(self, body):
            kept = ("Authorization", "If-Match", "Content-Type")
            headers = {name: self.headers[name] for name in kept if name in self.headers}
            address = f"https://{relay.hub.host}{self.path}"
            options = {"headers": headers, "data": body, "verify": relay.hub.authority, "timeout": WITHIN}
            return requests.request(self.command, address, **options)

        def log_message(self, *_):
            pass

    return Handler
