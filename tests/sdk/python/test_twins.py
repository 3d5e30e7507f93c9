"""Twins, beyond what every cell of the matrix shows."""

from devices import Recorder, desired, members, take


def test_desired_section_is_replaced(service):
    device = service.create()
    with device.connected() as client:
        recorder = Recorder(client).desired()
        service.desire(device, {"old": 1})
        take(recorder.patches, "the first desired patch")
        service.registry.replace_twin(device.device, desired(new={"deep": True}), "*")
        patch = take(recorder.patches, "the whole new section")
        assert members(patch) == {"new": {"deep": True}}
        assert client.get_twin()["desired"] == patch


def test_module_has_a_twin_of_its_own(service):
    module = service.create(module="camera")
    with module.connected() as client:
        recorder = Recorder(client).desired()
        client.patch_twin_reported_properties({"lens": "wide"})
        twin = service.desire(module, {"zoom": 2})
        assert take(recorder.patches, "the module's desired patch")["zoom"] == 2
    assert members(twin.properties.reported) == {"lens": "wide"}
    assert twin.module_id == "camera"
    assert members(service.registry.get_twin(module.device).properties.reported) == {}


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
