"""Shared access signatures, as any program makes them that has a key."""

import base64
import hashlib
import hmac
import time
import urllib.parse


def token(resource, key, lives=3600, policy=None):
    """A shared access signature; `lives` may lie in the past."""
    resource = urllib.parse.quote(resource, safe="")
    expiry = int(time.time() + lives)
    text = f"{resource}\n{expiry}".encode()
    digest = hmac.new(base64.b64decode(key), text, hashlib.sha256).digest()
    signature = urllib.parse.quote(base64.b64encode(digest), safe="")
    policy = f"&skn={policy}" if policy else ""
    return f"SharedAccessSignature sr={resource}&sig={signature}&se={expiry}{policy}"
