"""Device twins and module twins."""

import pytest
from azure.iot.hub.models import Twin, TwinProperties
from msrest.exceptions import HttpOperationError

from devices import Recorder, take
from harness.wait import until


def desired(**members):
    return Twin(properties=TwinProperties(desired=members))


def members(section):
    """A section without its `$metadata` and `$version`."""
    return {key: value for key, value in section.items() if not key.startswith("$")}


def test_twin_has_both_sections(service):
    device = service.create()
    with device.connected() as client:
        twin = client.get_twin()
    assert twin == {"desired": {"$version": 1}, "reported": {"$version": 1}}
    seen = service.registry.get_twin(device.device)
    assert seen.device_id == device.device
    assert seen.properties.desired["$version"] == 1


def test_reported_patch_reaches_the_service(service):
    device = service.create()
    with device.connected() as client:
        client.patch_twin_reported_properties({"fan": {"speed": 3, "on": True}, "name": "grüße 🚀"})
        first = service.registry.get_twin(device.device).properties.reported
        client.patch_twin_reported_properties({"fan": {"speed": 4}})
        second = service.registry.get_twin(device.device).properties.reported
    assert members(first) == {"fan": {"speed": 3, "on": True}, "name": "grüße 🚀"}
    assert members(second) == {"fan": {"speed": 4, "on": True}, "name": "grüße 🚀"}
    assert second["$version"] == first["$version"] + 1


def test_desired_patch_is_pushed_with_its_version(service):
    device = service.create()
    with device.connected() as client:
        recorder = Recorder(client).desired()
        for number in range(1, 4):
            twin = service.registry.update_twin(device.device, desired(interval=number), "*")
            patch = take(recorder.patches, f"desired patch {number}")
            assert patch == {"interval": number, "$version": twin.properties.desired["$version"]}
        assert client.get_twin()["desired"] == patch


def test_null_removes_a_member(service):
    device = service.create()
    with device.connected() as client:
        client.patch_twin_reported_properties({"keep": 1, "drop": {"deep": 2, "stay": 3}})
        client.patch_twin_reported_properties({"drop": {"deep": None}})
        assert members(client.get_twin()["reported"]) == {"keep": 1, "drop": {"stay": 3}}
        client.patch_twin_reported_properties({"drop": None})
        assert members(client.get_twin()["reported"]) == {"keep": 1}

        recorder = Recorder(client).desired()
        service.registry.update_twin(device.device, desired(keep=1, drop=2), "*")
        take(recorder.patches, "the first desired patch")
        service.registry.update_twin(device.device, desired(drop=None), "*")
        patch = take(recorder.patches, "the desired patch that removes")
        assert patch["drop"] is None and "keep" not in patch
        assert members(client.get_twin()["desired"]) == {"keep": 1}
    assert members(service.registry.get_twin(device.device).properties.desired) == {"keep": 1}


def test_stale_etag_is_refused(service):
    device = service.create()
    old = service.registry.get_twin(device.device)
    new = service.registry.update_twin(device.device, desired(a=1), f'"{old.etag}"')
    assert new.etag != old.etag
    with pytest.raises(HttpOperationError) as refused:
        service.registry.update_twin(device.device, desired(a=2), f'"{old.etag}"')
    assert refused.value.response.status_code == 412
    assert members(service.registry.get_twin(device.device).properties.desired) == {"a": 1}
    service.registry.update_twin(device.device, desired(a=3), f'"{new.etag}"')


def test_desired_section_is_replaced(service):
    device = service.create()
    with device.connected() as client:
        recorder = Recorder(client).desired()
        service.registry.update_twin(device.device, desired(old=1), "*")
        take(recorder.patches, "the first desired patch")
        service.registry.replace_twin(device.device, desired(new={"deep": True}), "*")
        patch = take(recorder.patches, "the whole new section")
        assert members(patch) == {"new": {"deep": True}}
        assert client.get_twin()["desired"] == patch


def test_arrays_are_replaced_whole(service):
    device = service.create()
    array = [1, "two", None, {"three": None}, [4]]
    with device.connected() as client:
        recorder = Recorder(client).desired()
        client.patch_twin_reported_properties({"list": [1, 2, 3]})
        client.patch_twin_reported_properties({"list": array})
        service.registry.update_twin(device.device, desired(list=array), "*")
        assert take(recorder.patches, "the desired patch")["list"] == array
        assert client.get_twin()["reported"]["list"] == array
    seen = service.registry.get_twin(device.device).properties
    assert seen.reported["list"] == array and seen.desired["list"] == array


def test_tags_stay_with_the_back_end(service):
    device = service.create()
    with device.connected() as client:
        recorder = Recorder(client).desired()
        service.registry.update_twin(device.device, Twin(tags={"site": {"floor": 3}}), "*")
        twin = service.registry.update_twin(device.device, desired(marker=True), "*")
        assert members(take(recorder.patches, "the patch of the desired section alone")) == {"marker": True}
        assert set(client.get_twin()) == {"desired", "reported"}
    assert twin.tags == {"site": {"floor": 3}}


def test_module_has_a_twin_of_its_own(service):
    module = service.create(module="camera")
    with module.connected() as client:
        recorder = Recorder(client).desired()
        client.patch_twin_reported_properties({"lens": "wide"})
        twin = service.registry.update_module_twin(module.device, "camera", desired(zoom=2), "*")
        assert take(recorder.patches, "the module's desired patch")["zoom"] == 2
    assert members(twin.properties.reported) == {"lens": "wide"}
    assert twin.module_id == "camera"
    assert members(service.registry.get_twin(module.device).properties.reported) == {}


def test_reported_patch_too_large_is_refused(service):
    device = service.create()
    # 32 KB per section, 4 KB per text.
    large = {f"member{number}": "x" * 4000 for number in range(9)}
    with device.connected() as client:
        client.patch_twin_reported_properties({"before": 1})
        with pytest.raises(Exception):
            client.patch_twin_reported_properties(large)
        client.patch_twin_reported_properties({"after": 2})
        assert members(client.get_twin()["reported"]) == {"before": 1, "after": 2}


def test_change_times_are_kept_per_member(service):
    device = service.create()
    with device.connected() as client:
        client.patch_twin_reported_properties({"a": 1, "b": {"c": 2}})
        first = service.registry.get_twin(device.device).properties.reported["$metadata"]
        client.patch_twin_reported_properties({"b": {"c": 3}})
        second = service.registry.get_twin(device.device).properties.reported["$metadata"]
    assert second["a"]["$lastUpdated"] == first["a"]["$lastUpdated"]
    assert second["b"]["c"]["$lastUpdated"] > first["b"]["c"]["$lastUpdated"]
    assert second["$lastUpdated"] == second["b"]["c"]["$lastUpdated"]
