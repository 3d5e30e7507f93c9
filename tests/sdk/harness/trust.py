"""What the clients that have no option of their own trust."""

import os
import pathlib


def trust(*hubs):
    """The authorities of these installations alone, over HTTPS and over AMQP."""
    bundle = pathlib.Path(os.environ["BEHAVIOURS_SCRATCH"]) / f"trusted-{os.getpid()}.pem"
    bundle.write_text("".join(pathlib.Path(hub.authority).read_text() for hub in hubs))
    os.environ["REQUESTS_CA_BUNDLE"] = os.environ["SSL_CERT_FILE"] = str(bundle)
