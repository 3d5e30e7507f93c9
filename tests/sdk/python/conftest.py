"""Fixtures of the Python behaviours."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from devices import Service  # noqa: E402


@pytest.fixture
def service(hub):
    """The service SDK as the owner of the hub."""
    return Service(hub)
