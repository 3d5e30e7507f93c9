"""Fixtures and reporting for the parts that run under pytest."""

import os
import pathlib
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from harness import results  # noqa: E402
from harness.eventhub import EventHubReader  # noqa: E402
from harness.events import Events  # noqa: E402
from harness.feedback import Feedback, collect, file_of  # noqa: E402
from harness.hub import Hub  # noqa: E402

# No behaviour takes this long; a hanging one must not hold up the run. A module may have a longer one, by this name.
BEHAVIOUR_WITHIN = 120


@pytest.fixture(scope="session")
def shared_hub():
    """One hub for the whole run: starting it costs more than most behaviours. Or the one that the runner started."""
    given = os.environ.get("BEHAVIOURS_DATA")
    hub = Hub.running(pathlib.Path(given)) if given else Hub(pathlib.Path(os.environ["BEHAVIOURS_SCRATCH"]) / "hub").start()
    # For azure-iot-hub, which has no option of its own: over HTTPS and over AMQP.
    os.environ["REQUESTS_CA_BUNDLE"] = os.environ["SSL_CERT_FILE"] = hub.authority
    yield hub
    if os.environ.get("BEHAVIOURS_SHOW_LOG"):
        print(hub.log_tail(200))
    hub.close()


@pytest.fixture
def hub(shared_hub):
    """The hub, running, whatever the behaviour before did to it."""
    if shared_hub.process is not None and shared_hub.process.poll() is not None:
        shared_hub.start()
    return shared_hub


@pytest.fixture(scope="session")
def shared_events(shared_hub):
    events = EventHubReader(shared_hub) if "amqp" in shared_hub.shown["ports"] else Events(shared_hub)
    yield events
    events.close()


@pytest.fixture
def events(hub, shared_events):
    """What the hub's message log holds, read while it grows."""
    return shared_events


@pytest.fixture(scope="session")
def feedback(shared_hub):
    """What back ends are told of cloud-to-device messages."""
    if shared_hub.process is None:
        return Feedback(file_of(shared_hub))
    return collect(shared_hub, file_of(shared_hub))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item, nextitem):
    within = getattr(item.module, "BEHAVIOUR_WITHIN", BEHAVIOUR_WITHIN)

    def too_long(_signal, _frame):
        raise TimeoutError(f"the behaviour took more than {within} s")

    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(within)
    try:
        return (yield)
    finally:
        signal.alarm(0)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        report.sections += [(f"The log of {hub.host_name}", hub.log_tail()) for hub in Hub.started]
    if report.when == "call" or report.failed:
        callspec = getattr(item, "callspec", None)
        cell = callspec.params["cell"].name if callspec else None
        name = item.originalname.removeprefix("test_")
        # A behaviour may have passed before its fixtures could not put things away again.
        phase = None if report.when == "call" else report.when
        outcome = {"passed": report.passed, "seconds": report.duration, "text": report.longreprtext}
        results.record(name, **outcome, cell=cell, phase=phase)
    return report
