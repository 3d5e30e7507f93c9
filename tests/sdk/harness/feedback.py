"""Delivery feedback, read over AMQP as a service program does: one reader for all processes of a run.

The vendor's service SDK for Python has no receiver for feedback; its AMQP library has.
"""

import json
import pathlib
import threading
import time

import uamqp
from azure.core.credentials import AccessToken

from .tokens import token
from .wait import WITHIN, until

ADDRESS = "/messages/serviceBound/feedback"
POLICY = "iothubowner"
LIVES = 3600


class Feedback:
    """Records by the message that they tell of; they are in a file, so that several processes see them."""

    def __init__(self, path: pathlib.Path):
        self.path = path

    def of(self, message_id):
        """The records about one message so far."""
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [record for record in map(json.loads, lines) if record["originalMessageId"] == message_id]

    def wait_for(self, message_id, within=WITHIN):
        return until(lambda: self.of(message_id), f"feedback about {message_id}", within)[0]


def file_of(hub):
    """Where the records of a hub are kept."""
    return hub.folder.parent / f"{hub.folder.name}-feedback.jsonl"


def collect(hub, path: pathlib.Path):
    """Reads until the hub is closed or the process ends; a message is completed once its records are in the file."""
    threading.Thread(target=read, args=(hub, path), daemon=True).start()
    return Feedback(path)


def read(hub, path):
    auth = uamqp.authentication.JWTTokenAuth(
        audience=f"https://{hub.host}",
        uri=f"https://{hub.host}",
        get_token=lambda: access_token(hub),
        token_type=b"servicebus.windows.net:sastoken",
    )
    auth.update_token()
    client = uamqp.ReceiveClient(f"amqps://{hub.host}{ADDRESS}", auth=auth)
    try:
        for message in client.receive_messages_iter():
            records = json.loads(b"".join(message.get_data()))
            with open(path, "a", encoding="utf-8") as out:
                out.write("".join(f"{json.dumps(record)}\n" for record in records))
            message.accept()
    except uamqp.errors.AMQPError:
        if not hub.closed:
            raise


def access_token(hub):
    text = token(hub.host, hub.policy_key(POLICY), lives=LIVES, policy=POLICY)
    return AccessToken(text, int(time.time()) + LIVES)
