"""Fixtures of the durability behaviours: each has a hub of its own."""

import itertools
import os
import pathlib
import subprocess
import sys

import pytest

PYTHON = pathlib.Path(__file__).resolve().parent.parent / "python"
sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent), str(PYTHON)]

from harness.hub import Hub  # noqa: E402

NUMBERS = itertools.count()


@pytest.fixture
def fresh_hub():
    """Starts hubs on new data, one at a time, for they take the real ports."""
    started = []

    def start(wrapper=(), on=None, **how):
        folder = on or pathlib.Path(os.environ["BEHAVIOURS_SCRATCH"])
        hub = Hub(folder / f"durability-{next(NUMBERS)}", wrapper, **how)
        started.append(hub)
        hub.start()
        os.environ["REQUESTS_CA_BUNDLE"] = hub.authority
        return hub

    yield start
    for hub in started:
        hub.close()


@pytest.fixture
def small_disk():
    """A file system of 320 MiB, of which the hub leaves 256 MiB free: in memory, gone with the namespace."""
    folder = pathlib.Path(os.environ["BEHAVIOURS_SCRATCH"]) / "small-disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=320m", "none", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
