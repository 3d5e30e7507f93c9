"""The authority whose certificates the hub takes: made once per process, and registered."""

import functools
import os
import pathlib
import uuid

from .certificates import Authority


@functools.cache
def registered(hub):
    """An authority that this hub knows and trusts."""
    name = f"authority-{uuid.uuid4().hex[:8]}"
    authority = Authority(name)
    path, _key = authority.root.write(pathlib.Path(os.environ["BEHAVIOURS_SCRATCH"]), name)
    hub.call("hub", "certificate", "create", "--name", name, "--path", str(path), "--verified")
    return authority
