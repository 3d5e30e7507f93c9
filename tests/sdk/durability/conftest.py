"""Fixtures of the durability behaviours: each has a hub of its own."""

import itertools
import os
import pathlib
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

    def start(wrapper=()):
        folder = pathlib.Path(os.environ["BEHAVIOURS_SCRATCH"]) / f"durability-{next(NUMBERS)}"
        hub = Hub(folder, wrapper)
        started.append(hub)
        hub.start()
        os.environ["REQUESTS_CA_BUNDLE"] = hub.authority
        return hub

    yield start
    for hub in started:
        hub.close()
