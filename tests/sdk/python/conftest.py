"""Fixtures of the Python behaviours."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from azure.iot.device.provisioning.pipeline import constant as provisioning_constant  # noqa: E402

from devices import Service  # noqa: E402
from enrollments import Provisioning  # noqa: E402


@pytest.fixture
def service(hub):
    """The service SDK as the owner of the hub."""
    return Service(hub)


@pytest.fixture
def asked_again_soon(monkeypatch):
    """The SDK asks after a registration two seconds later, whatever it is told; the matrix leaves it at that."""
    monkeypatch.setattr(provisioning_constant, "DEFAULT_POLLING_INTERVAL", 0.1)


@pytest.fixture
def provisioning(hub, asked_again_soon):
    """The service SDK as the owner of the provisioning service."""
    provisioning = Provisioning(hub)
    yield provisioning
    provisioning.clear()
