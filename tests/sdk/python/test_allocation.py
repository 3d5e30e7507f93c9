"""Which hub a device is given, in an installation of two, and its way from one to the other."""

import itertools
import os
import pathlib
import threading

import paho.mqtt.client as paho
import pytest
from azure.iot.hub.models import Twin
from msrest.exceptions import HttpOperationError

from attestations import SymmetricGroup, X509GroupRoot
from devices import Service, desired, members
from enrollments import MIGRATE, NEVER, RESET, Provisioning
from harness.eventhub import EventHubReader
from harness.hub import Hub
from harness.namespace import BESIDE
from harness.trust import trust
from harness.wait import until
from harness.webhook import Webhook

ADDRESS, FAR_ADDRESS, *_ = BESIDE
NORTH, SOUTH = BESIDE[ADDRESS]
(FAR,) = BESIDE[FAR_ADDRESS]
SPREAD = 40
MOVES = 10


class Pair:
    """Two hubs in one installation, and the provisioning service before them."""

    def __init__(self, installation, far):
        self.installation = installation
        # A hub of another installation, which is linked where a behaviour wants it.
        self.far = far
        self.hubs = {NORTH: installation, SOUTH: installation.create_hub("south", SOUTH), FAR: far}
        self.services = {host: Service(hub) for host, hub in self.hubs.items()}
        self.readers = {host: EventHubReader(hub) for host, hub in self.hubs.items()}

    def reaches(self, registrant, state):
        """It connects to the hub that it was given; a message of it arrives there."""
        registrant.reaches_its_hub(state, self.readers[state.assigned_hub], hub=self.hubs[state.assigned_hub])

    def hubs_of(self, device):
        """The hubs that know the device."""
        return [host for host, service in self.services.items() if service.has(device)]

    def twin(self, state):
        return self.services[state.assigned_hub].registry.get_twin(state.device_id)

    def close(self):
        for reader in self.readers.values():
            reader.close()
        self.installation.close()
        self.far.close()


@pytest.fixture(scope="module")
def shared_pair(shared_hub):
    scratch = pathlib.Path(os.environ["BEHAVIOURS_SCRATCH"])
    far = Hub(scratch / "far", host=FAR, address=FAR_ADDRESS).start()
    config = scratch / "pair.toml"
    config.write_text(f"[provisioning]\ntrusted_certificates = {far.authority!r}\n")
    installation = Hub(scratch / "pair", host=NORTH, address=ADDRESS, config=config).start()
    trust(shared_hub, installation, far)
    pair = Pair(installation, far)
    yield pair
    if os.environ.get("BEHAVIOURS_SHOW_LOG"):
        print(installation.log_tail(200))
    pair.close()
    trust(shared_hub)


@pytest.fixture
def pair(shared_pair):
    return shared_pair


@pytest.fixture
def provisioning(pair, asked_again_soon):
    provisioning = Provisioning(pair.installation)
    yield provisioning
    provisioning.clear()


@pytest.fixture
def linked(pair):
    """The hub of the other installation, linked for one behaviour, which has to name hubs in its enrollments."""
    if pair.far.process.poll() is not None:
        pair.far.start()
    link = ("--hub-connection-string", pair.far.connection_string())
    pair.installation.call("dps", "linked-hub", "create", *link)
    yield pair.far
    pair.installation.call("dps", "linked-hub", "delete", "--linked-hub", FAR)


def other(host):
    return SOUTH if host == NORTH else NORTH


# Policies


def test_hashed_devices_spread_over_the_hubs(pair, provisioning):
    first = provisioning.enroll(SymmetricGroup(), allocation_policy="hashed")
    registrants = [first, *(provisioning.member(first) for _ in range(SPREAD - 1))]
    states = [registrant.registered() for registrant in registrants]
    counts = {host: sum(state.assigned_hub == host for state in states) for host in (NORTH, SOUTH)}
    # Of fair coins less than one series in a million is more uneven.
    assert sum(counts.values()) == SPREAD and min(counts.values()) >= 5, counts
    for registrant, state in zip(registrants[:4], states):
        assert pair.hubs_of(state.device_id) == [state.assigned_hub]
        pair.reaches(registrant, state)
        # The choice is no chance: it comes out the same.
        assert registrant.registered().assigned_hub == state.assigned_hub


def test_devices_spread_where_nothing_is_said(pair, provisioning):
    first = provisioning.enroll(SymmetricGroup())
    hosts = {provisioning.member(first).registered().assigned_hub for _ in range(SPREAD // 2)}
    assert hosts == {NORTH, SOUTH}


def test_static_devices_go_where_the_enrollment_says(pair, provisioning):
    for host in (NORTH, SOUTH):
        for terms in ({"allocation_policy": "static", "iot_hubs": [host]}, {"iot_hub_host_name": host}):
            registrant = provisioning.enroll(**terms)
            state = registrant.registered()
            assert state.assigned_hub == host, terms
            assert pair.hubs_of(state.device_id) == [host]
            pair.reaches(registrant, state)


def test_custom_devices_go_where_the_webhook_says(pair, provisioning):
    def by_model(request):
        return 200, {"iotHubHostName": request["deviceRuntimeContext"]["payload"]["for"]}

    with Webhook(by_model) as webhook:
        for host in (NORTH, SOUTH):
            registrant = provisioning.enroll(SymmetricGroup(), webhook=webhook.url)
            state = registrant.registered(payload={"for": host})
            assert state.assigned_hub == host
            assert sorted(webhook.asked.get_nowait()["body"]["linkedHubs"]) == sorted([NORTH, SOUTH])
            pair.reaches(registrant, state)
        # It may only name a hub that the enrollment allows.
        narrow = provisioning.enroll(webhook=webhook.url, iot_hubs=[NORTH])
        narrow.refused(payload={"for": SOUTH})
        assert provisioning.registration(narrow.registration).status == "failed"
        assert pair.hubs_of(narrow.registration) == []


LATENCIES = {"norway": {NORTH: 8, SOUTH: 60}, "portugal": {NORTH: 70, SOUTH: 9}}


def set_latencies(call):
    for region, hubs in LATENCIES.items():
        for host, milliseconds in hubs.items():
            latency = ("--region", region, "--linked-hub", host, "--milliseconds", str(milliseconds))
            call("dps", "latency", "set", *latency)


def test_near_devices_go_to_the_near_hub(pair, provisioning):
    call = pair.installation.call
    for host, region in ((NORTH, "sweden"), (SOUTH, "spain")):
        call("dps", "linked-hub", "update", "--linked-hub", host, "--region", region)
    set_latencies(call)
    for region, host in (("norway", NORTH), ("portugal", SOUTH), ("sweden", NORTH), ("Spain", SOUTH)):
        registrant = provisioning.enroll(allocation_policy="geoLatency")
        state = registrant.registered(payload={"region": region})
        assert state.assigned_hub == host, region
        pair.reaches(registrant, state)
    # Who is nowhere is spread as hashed devices are.
    first = provisioning.enroll(SymmetricGroup(), allocation_policy="geoLatency")
    hosts = {provisioning.member(first).registered().assigned_hub for _ in range(SPREAD // 2)}
    assert hosts == {NORTH, SOUTH}


@pytest.fixture
def ranges(pair):
    """Says where the callers of a range are, for one behaviour."""
    said = []

    def say(addresses, region):
        said.append(addresses)
        pair.installation.call("dps", "address-range", "set", "--range", addresses, "--region", region)

    yield say
    for addresses in said:
        pair.installation.call("dps", "address-range", "delete", "--range", addresses)


def calling_from(patch, address):
    """The SDK leaves the address of its own end to the system; its MQTT library does not have to."""
    connect = paho.Client.connect
    patch.setattr(paho.Client, "connect", lambda self, **to: connect(self, bind_address=address, **to))


def preview(pair, registrant, *more):
    who = ("--registration-id", registrant.registration)
    return pair.installation.ask("dps", "allocation", "preview", *who, *more)


def test_near_devices_go_by_their_address(pair, provisioning, ranges, monkeypatch):
    set_latencies(pair.installation.call)
    ranges("127.0.0.0/8", "norway")
    ranges("127.9.0.0/16", "portugal")
    for address, host, elsewhere in (("127.1.2.3", NORTH, "portugal"), ("127.9.2.3", SOUTH, "norway")):
        registrant = provisioning.enroll(allocation_policy="geoLatency")
        assert preview(pair, registrant, "--address", address)["hubs"][0]["hostName"] == host
        with monkeypatch.context() as patch:
            calling_from(patch, address)
            state = registrant.registered()
            assert state.assigned_hub == host, address
            # Where it calls from goes before what it says of itself.
            other = provisioning.enroll(allocation_policy="geoLatency")
            assert other.registered(payload={"region": elsewhere}).assigned_hub == host
        pair.reaches(registrant, state)


def test_near_hubs_are_measured(pair, provisioning):
    ask, call = pair.installation.ask, pair.installation.call
    only_shown = ask("dps", "latency", "measure", "--region", "here", "--dry-run")
    assert sorted(each["hostName"] for each in only_shown) == [NORTH, SOUTH]
    assert not [each for each in ask("dps", "latency", "list") if each["region"] == "here"]

    def are_side_by_side():
        measured = ask("dps", "latency", "measure", "--region", "here", "--count", "20")
        return all(0 < each["microseconds"] < 1000 for each in measured) and measured

    measured = until(are_side_by_side, "nothing takes a millisecond on this machine")
    assert [each for each in ask("dps", "latency", "list") if each["region"] == "here"] == measured
    # Side by side they are equally near: the hash decides, and the preview says so.
    first = provisioning.enroll(SymmetricGroup(), allocation_policy="geoLatency")
    group = ("--enrollment-id", first.enrollment.enrollment_group_id, "--payload", '{"region": "here"}')
    assert any("equally near" in note for note in preview(pair, first, *group)["notes"])
    hosts = {provisioning.member(first).registered(payload={"region": "here"}).assigned_hub for _ in range(SPREAD // 2)}
    assert hosts == {NORTH, SOUTH}
    # One that is further away is left.
    call("dps", "latency", "set", "--region", "here", "--linked-hub", SOUTH, "--milliseconds", "5")
    hosts = {provisioning.member(first).registered(payload={"region": "here"}).assigned_hub for _ in range(5)}
    assert hosts == {NORTH}


# From one hub to the other


def moved(pair, provisioning, policy, attestation=None, **terms):
    """A device that lived in the north and registers again when it belongs to the south; what it had, and what it got."""
    registrant = provisioning.enroll(
        attestation,
        allocation_policy="static",
        iot_hubs=[NORTH],
        reprovision_policy=policy,
        twin={"tags": {"site": "initial"}, "desired": {"interval": 5}},
        **terms,
    )
    first = registrant.registered()
    assert (first.assigned_hub, first.sub_status) == (NORTH, "initialAssignment")
    with registrant.connected(first) as client:
        client.patch_twin_reported_properties({"firmware": "1.2"})
    registry = pair.services[NORTH].registry
    lived = desired(interval=60)
    lived.tags = {"site": "lived in"}
    registry.update_twin(first.device_id, lived, "*")

    registrant.change(iot_hubs=[SOUTH])
    return registrant, registrant.registered()


def sections(twin):
    return twin.tags, members(twin.properties.desired), members(twin.properties.reported)


def test_device_moves_with_its_twin(pair, provisioning):
    for attestation in (None, X509GroupRoot()):
        is_edge = attestation is None
        terms = {"edge": True} if is_edge else {}
        registrant, state = moved(pair, provisioning, MIGRATE, attestation, **terms)
        assert (state.assigned_hub, state.sub_status) == (SOUTH, "deviceDataMigrated")
        assert pair.hubs_of(state.device_id) == [SOUTH]
        tags, wanted, reported = sections(pair.twin(state))
        assert (tags, wanted) == ({"site": "lived in"}, {"interval": 60})
        assert reported == {"firmware": "1.2"}
        assert pair.services[SOUTH].registry.get_device(state.device_id).capabilities.iot_edge is is_edge
        pair.reaches(registrant, state)
        # It has arrived: the next registration leaves it there.
        assert registrant.registered().assigned_hub == SOUTH


def test_device_moves_and_no_write_is_lost(pair, provisioning):
    terms = {"allocation_policy": "static", "reprovision_policy": MIGRATE}
    registrant = provisioning.enroll(iot_hubs=[NORTH], **terms)
    device = registrant.registered().device_id
    over = threading.Event()
    acknowledged, wrong = [], []

    def write():
        for number in itertools.count(1):
            if over.is_set():
                return
            # One of them has the device; while it moves it may be missed in both.
            for host in (NORTH, SOUTH):
                try:
                    pair.services[host].registry.update_twin(device, Twin(tags={"number": number}), "*")
                    acknowledged.append(number)
                except HttpOperationError as error:
                    if error.response.status_code != 404:
                        wrong.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for move in range(MOVES):
            before = len(acknowledged)
            host = other(NORTH) if move % 2 == 0 else NORTH
            registrant.change(iot_hubs=[host])
            state = registrant.registered()
            assert (state.assigned_hub, state.sub_status) == (host, "deviceDataMigrated")
            until(lambda: len(acknowledged) > before, "the back end writes on")
    finally:
        over.set()
        writer.join()
    assert not wrong
    assert pair.hubs_of(device) == [host]
    assert pair.twin(state).tags == {"number": acknowledged[-1]}


def test_device_moves_without_its_twin(pair, provisioning):
    for attestation in (None, X509GroupRoot()):
        registrant, state = moved(pair, provisioning, RESET, attestation)
        assert (state.assigned_hub, state.sub_status) == (SOUTH, "deviceDataReset")
        assert pair.hubs_of(state.device_id) == [SOUTH]
        assert sections(pair.twin(state)) == ({"site": "initial"}, {"interval": 5}, {})
        pair.reaches(registrant, state)


def test_device_stays_where_it_was(pair, provisioning):
    registrant, state = moved(pair, provisioning, NEVER)
    assert (state.assigned_hub, state.sub_status) == (NORTH, "reprovisionedToInitialAssignment")
    assert pair.hubs_of(state.device_id) == [NORTH]
    assert sections(pair.twin(state)) == ({"site": "lived in"}, {"interval": 60}, {"firmware": "1.2"})
    pair.reaches(registrant, state)


def test_device_moves_by_default(pair, provisioning):
    registrant, state = moved(pair, provisioning, None)
    assert (state.assigned_hub, state.sub_status) == (SOUTH, "deviceDataMigrated")
    assert pair.hubs_of(state.device_id) == [SOUTH]
    pair.reaches(registrant, state)


def test_moved_device_is_cut_from_its_old_hub(pair, provisioning):
    registrant = provisioning.enroll(allocation_policy="static", iot_hubs=[NORTH])
    first = registrant.registered()
    with registrant.connected(first) as client:
        registrant.change(iot_hubs=[SOUTH])
        state = registrant.registered()
        until(lambda: not client.connected, "the client of the old hub is cut")
    pair.reaches(registrant, state)


def test_webhook_moves_a_device_with_a_new_twin(pair, provisioning):
    def elsewhere(request):
        present = request["deviceRuntimeContext"].get("currentIotHubHostName")
        answer = {"iotHubHostName": other(present) if present else NORTH}
        return 200, answer | ({"initialTwin": {"tags": {"site": "new"}}} if present else {})

    with Webhook(elsewhere) as webhook:
        registrant = provisioning.enroll(webhook=webhook.url, reprovision_policy=MIGRATE)
        assert registrant.registered().assigned_hub == NORTH
        state = registrant.registered()
    assert state.assigned_hub == SOUTH
    # What the webhook says of the twin goes before what the device had.
    assert pair.twin(state).tags == {"site": "new"}
    pair.reaches(registrant, state)


# Another installation


def test_hub_of_another_installation_is_given(pair, provisioning, linked):
    for attestation in (None, SymmetricGroup(), X509GroupRoot()):
        terms = {"edge": True} if attestation is None else {}
        registrant = provisioning.enroll(attestation, iot_hubs=[FAR], twin={"tags": {"site": "far"}}, **terms)
        state = registrant.registered()
        assert (state.assigned_hub, state.sub_status) == (FAR, "initialAssignment")
        assert pair.hubs_of(state.device_id) == [FAR]
        assert pair.twin(state).tags == {"site": "far"}
        assert pair.services[FAR].registry.get_device(state.device_id).capabilities.iot_edge is (attestation is None)
        pair.reaches(registrant, state)
        assert registrant.registered().device_id == state.device_id


def test_device_moves_to_another_installation_and_back(pair, provisioning, linked):
    registrant = provisioning.enroll(allocation_policy="static", iot_hubs=[NORTH], reprovision_policy=MIGRATE)
    first = registrant.registered()
    pair.services[NORTH].registry.update_twin(first.device_id, desired(interval=60), "*")
    for host in (FAR, NORTH):
        registrant.change(iot_hubs=[host])
        state = registrant.registered()
        assert (state.assigned_hub, state.sub_status) == (host, "deviceDataMigrated")
        until(lambda: pair.hubs_of(state.device_id) == [host], f"the device is at {host} alone")
        assert members(pair.twin(state).properties.desired) == {"interval": 60}
        pair.reaches(registrant, state)


def test_hub_that_is_away_gives_way_to_the_next(pair, provisioning, linked):
    linked.stop()
    first = provisioning.enroll(SymmetricGroup(), allocation_policy="hashed", iot_hubs=[FAR, SOUTH])
    members_of_the_group = [first, *(provisioning.member(first) for _ in range(5))]
    assert {each.registered().assigned_hub for each in members_of_the_group} == {SOUTH}
    # Where there is no other, the registration fails and says which hub was not reached; nothing is half there.
    alone = provisioning.enroll(allocation_policy="static", iot_hubs=[FAR])
    alone.refused()
    record = provisioning.registration(alone.registration)
    assert record.status == "failed" and FAR in record.error_message
    linked.start()
    state = alone.registered()
    assert state.assigned_hub == FAR
    with alone.connected(state, hub=linked):
        assert pair.hubs_of(state.device_id) == [FAR]
