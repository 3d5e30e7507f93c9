"""The authorities whose certificates a hub and the provisioning service take."""

import functools
import os
import pathlib
import uuid

from .certificates import Authority


@functools.cache
def registered(hub):
    """An authority that this hub knows and trusts, made once per process."""
    name, authority, path = written("authority")
    hub.call("hub", "certificate", "create", "--name", name, "--path", path, "--verified")
    return authority


def provisioned(hub):
    """A new authority that the provisioning service knows and trusts, and its name there."""
    name, authority, path = written("provisioned")
    hub.call("dps", "certificate", "create", "--name", name, "--path", path, "--verified")
    return name, authority


def forget(hub, name):
    """Takes it away again: the service has room for few."""
    etag = hub.ask("dps", "certificate", "show", "--name", name)["etag"]
    hub.call("dps", "certificate", "delete", "--name", name, "--etag", etag)


def written(kind):
    """A new authority, and the path of its root's certificate."""
    name = f"{kind}-{uuid.uuid4().hex[:8]}"
    authority = Authority(name)
    path, _key = authority.root.write(pathlib.Path(os.environ["BEHAVIOURS_SCRATCH"]), name)
    return name, authority, str(path)
