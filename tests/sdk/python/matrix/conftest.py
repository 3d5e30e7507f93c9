"""One test for each behaviour and cell: the plan comes from the list of behaviours and the list of differences."""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from credentials import Sas, SelfSigned, Signed  # noqa: E402
from devices import MODULE, Service  # noqa: E402
from harness import matrix  # noqa: E402
from harness.authority import registered  # noqa: E402

# This process is one of several, each of which takes its share of the tests.
SHARE, SHARES = (int(number) for number in os.environ.get("BEHAVIOURS_SHARE", "0/1").split("/"))


class CellUnderTest:
    """Makes identities as the cell wants them."""

    def __init__(self, cell, service):
        self.cell = cell
        self.service = service

    @property
    def is_module(self):
        return self.cell.kind == "module"

    def create(self, status="enabled"):
        module = MODULE if self.is_module else None
        return self.service.create(module, status, self.credential(), self.cell.transport)

    def credential(self):
        if self.cell.credential == "sas":
            return Sas()
        if self.cell.credential == "x509-self-signed":
            return SelfSigned()
        return Signed(registered(self.service.hub))


@pytest.fixture(scope="session")
def service(shared_hub):
    """The service SDK as the owner of the hub."""
    return Service(shared_hub)


@pytest.fixture
def cell(request, service):
    return CellUnderTest(request.param, service)


def pytest_generate_tests(metafunc):
    if "cell" in metafunc.fixturenames:
        name = metafunc.function.__name__.removeprefix("test_")
        chosen = [cell for cell, names in matrix.whole_plan("python").items() if name in names]
        metafunc.parametrize("cell", chosen, ids=lambda cell: cell.name.replace(" ", "."), indirect=True)


def pytest_collection_modifyitems(items):
    # One behaviour after the other, so that the shares get the slow ones alike.
    items[:] = items[SHARE::SHARES]
