"""An allocation webhook, as a user of custom allocation runs one: it answers with what a function says."""

import http.server
import json
import queue
import threading

HANG = object()
# No caller waits as long.
HANGS_FOR = 60


class Webhook:
    """Listens on a port of its own while it is open, and keeps what it was asked."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = queue.Queue()
        self.closed = threading.Event()
        self.server = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/allocate?code=secret"

    def __enter__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler_of(self))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.closed.set()
        self.server.shutdown()
        self.server.server_close()


def handler_of(webhook):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers["Content-Length"])
            request = json.loads(self.rfile.read(length))
            headers = {name.lower(): value for name, value in self.headers.items()}
            webhook.asked.put({"path": self.path, "headers": headers, "body": request})
            answer = webhook.answer(request)
            if answer is HANG:
                webhook.closed.wait(HANGS_FOR)
                return
            status, body = answer
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    return Handler
