"""Twins of devices and modules, in every cell."""

import pytest
from azure.iot.hub.models import Twin
from msrest.exceptions import HttpOperationError

from devices import Recorder, members, take


def test_twin_has_both_sections(cell, service):
    identity = cell.create()
    with identity.connected() as client:
        twin = client.get_twin()
    assert twin == {"desired": {"$version": 1}, "reported": {"$version": 1}}
    seen = service.twin(identity)
    assert (seen.device_id, seen.module_id) == (identity.device, identity.module)
    assert seen.properties.desired["$version"] == 1


def test_reported_patch_reaches_the_service(cell, service):
    identity = cell.create()
    with identity.connected() as client:
        client.patch_twin_reported_properties({"fan": {"speed": 3, "on": True}, "name": "grüße 🚀"})
        first = service.twin(identity).properties.reported
        client.patch_twin_reported_properties({"fan": {"speed": 4}})
        second = service.twin(identity).properties.reported
    assert members(first) == {"fan": {"speed": 3, "on": True}, "name": "grüße 🚀"}
    assert members(second) == {"fan": {"speed": 4, "on": True}, "name": "grüße 🚀"}
    assert second["$version"] == first["$version"] + 1


def test_desired_patch_is_pushed_with_its_version(cell, service):
    identity = cell.create()
    with identity.connected() as client:
        recorder = Recorder(client).desired()
        for number in range(1, 4):
            twin = service.desire(identity, {"interval": number})
            patch = take(recorder.patches, f"desired patch {number}")
            assert patch == {"interval": number, "$version": twin.properties.desired["$version"]}
        assert client.get_twin()["desired"] == patch


def test_null_removes_a_member(cell, service):
    identity = cell.create()
    with identity.connected() as client:
        client.patch_twin_reported_properties({"keep": 1, "drop": {"deep": 2, "stay": 3}})
        client.patch_twin_reported_properties({"drop": {"deep": None}})
        assert members(client.get_twin()["reported"]) == {"keep": 1, "drop": {"stay": 3}}
        client.patch_twin_reported_properties({"drop": None})
        assert members(client.get_twin()["reported"]) == {"keep": 1}

        recorder = Recorder(client).desired()
        service.desire(identity, {"keep": 1, "drop": 2})
        take(recorder.patches, "the first desired patch")
        service.desire(identity, {"drop": None})
        patch = take(recorder.patches, "the desired patch that removes")
        assert patch["drop"] is None and "keep" not in patch
        assert members(client.get_twin()["desired"]) == {"keep": 1}
    assert members(service.twin(identity).properties.desired) == {"keep": 1}


def test_arrays_are_replaced_whole(cell, service):
    identity = cell.create()
    array = [1, "two", None, {"three": None}, [4]]
    with identity.connected() as client:
        recorder = Recorder(client).desired()
        client.patch_twin_reported_properties({"list": [1, 2, 3]})
        client.patch_twin_reported_properties({"list": array})
        service.desire(identity, {"list": array})
        assert take(recorder.patches, "the desired patch")["list"] == array
        assert client.get_twin()["reported"]["list"] == array
    seen = service.twin(identity).properties
    assert seen.reported["list"] == array and seen.desired["list"] == array


def test_stale_etag_is_refused(cell, service):
    identity = cell.create()
    with identity.connected() as client:
        recorder = Recorder(client).desired()
        old = service.twin(identity)
        new = service.desire(identity, {"a": 1}, f'"{old.etag}"')
        assert new.etag != old.etag
        with pytest.raises(HttpOperationError) as refused:
            service.desire(identity, {"a": 2}, f'"{old.etag}"')
        assert refused.value.response.status_code == 412
        service.desire(identity, {"a": 3}, f'"{new.etag}"')
        assert [take(recorder.patches, f"patch {number}")["a"] for number in (1, 2)] == [1, 3]
        assert members(client.get_twin()["desired"]) == {"a": 3}


def test_reported_patch_too_large_is_refused(cell):
    identity = cell.create()
    # 32 KB per section, 4 KB per text.
    large = {f"member{number}": "x" * 4000 for number in range(9)}
    with identity.connected() as client:
        client.patch_twin_reported_properties({"before": 1})
        with pytest.raises(Exception):
            client.patch_twin_reported_properties(large)
        client.patch_twin_reported_properties({"after": 2})
        assert members(client.get_twin()["reported"]) == {"before": 1, "after": 2}


def test_tags_stay_with_the_back_end(cell, service):
    identity = cell.create()
    with identity.connected() as client:
        recorder = Recorder(client).desired()
        service.patch_twin(identity, Twin(tags={"site": {"floor": 3}}))
        twin = service.desire(identity, {"marker": True})
        assert members(take(recorder.patches, "the patch of the desired section alone")) == {"marker": True}
        assert set(client.get_twin()) == {"desired", "reported"}
    assert twin.tags == {"site": {"floor": 3}}
