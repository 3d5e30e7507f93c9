"""Bodies as the stream of events shows them."""

import base64


def body_of(event):
    """The bytes that the device sent."""
    return base64.b64decode(event["body"])
