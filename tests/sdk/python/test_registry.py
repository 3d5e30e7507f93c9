"""Identities, by the service SDK."""

import uuid

import pytest
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import Twin
from msrest.exceptions import HttpOperationError

from credentials import new_key
from harness.wait import until


def status_of(call, *arguments):
    with pytest.raises(HttpOperationError) as refused:
        call(*arguments)
    return refused.value.response.status_code


def test_registry_of_devices(service):
    registry = service.registry
    name = f"registry:{uuid.uuid4().hex[:8]}-._=@"
    primary, secondary = new_key(), new_key()
    created = registry.create_device_with_sas(name, primary, secondary, "enabled", status_reason="new")
    assert (created.device_id, created.status, created.status_reason) == (name, "enabled", "new")
    assert created.authentication.type == "sas"
    assert created.authentication.symmetric_key.primary_key == primary
    assert created.generation_id and created.etag and created.connection_state == "Disconnected"

    updated = registry.update_device_with_sas(name, created.etag, primary, secondary, "disabled", status_reason="sick")
    assert (updated.status, updated.status_reason) == ("disabled", "sick")
    assert updated.etag != created.etag and updated.generation_id == created.generation_id
    assert registry.get_device(name).as_dict() == updated.as_dict()
    assert name in [device.device_id for device in registry.get_devices(1000)]

    registry.delete_device(name, updated.etag)
    assert status_of(registry.get_device, name) == 404
    again = registry.create_device_with_sas(name, primary, secondary, "enabled")
    assert again.generation_id != created.generation_id


def test_registry_of_modules(service):
    registry = service.registry
    device = service.create()
    primary, secondary = new_key(), new_key()
    created = registry.create_module_with_sas(device.device, "camera", "someone", primary, secondary)
    assert (created.device_id, created.module_id, created.managed_by) == (device.device, "camera", "someone")
    assert created.authentication.symmetric_key.secondary_key == secondary
    registry.create_module_with_sas(device.device, "lamp", None, new_key(), new_key())
    assert sorted(module.module_id for module in registry.get_modules(device.device)) == ["camera", "lamp"]

    updated = registry.update_module_with_sas(device.device, "camera", "other", created.etag, primary, secondary)
    assert updated.managed_by == "other" and updated.etag != created.etag
    assert registry.get_module(device.device, "camera").as_dict() == updated.as_dict()
    registry.delete_module(device.device, "lamp")
    assert [module.module_id for module in registry.get_modules(device.device)] == ["camera"]
    registry.delete_device(device.device)
    assert status_of(registry.get_module, device.device, "camera") == 404


def test_registry_refusals(hub, service):
    registry = service.registry
    device = service.create()
    create = registry.create_device_with_sas
    assert status_of(create, device.device, new_key(), new_key(), "enabled") == 409
    assert status_of(registry.get_device, "nobody") == 404
    assert status_of(registry.get_twin, "nobody") == 404
    assert status_of(registry.delete_device, "nobody") == 404
    assert status_of(registry.delete_device, device.device, "AAAAAAAAAAA=") == 412
    assert status_of(create, "a space", new_key(), new_key(), "enabled") == 400

    reader = IoTHubRegistryManager.from_connection_string(hub.connection_string("registryRead"))
    assert reader.get_device(device.device).device_id == device.device
    assert status_of(reader.delete_device, device.device) == 401
    assert status_of(reader.update_twin, device.device, Twin(tags={"a": 1}), "*") == 401
    forged = hub.connection_string().rsplit("=", 2)[0].rsplit(";", 1)[0] + f";SharedAccessKey={new_key()}"
    assert status_of(IoTHubRegistryManager.from_connection_string(forged).get_device, device.device) == 401


def test_registry_counts(service):
    before = service.registry.get_device_registry_statistics()
    device = service.create()
    service.create(status="disabled")
    after = service.registry.get_device_registry_statistics()
    assert after.total_device_count == before.total_device_count + 2
    assert after.enabled_device_count == before.enabled_device_count + 1
    assert after.disabled_device_count == before.disabled_device_count + 1
    connected = service.registry.get_service_statistics().connected_device_count
    with device.connected():
        until(
            lambda: service.registry.get_service_statistics().connected_device_count == connected + 1,
            "the connected device is counted",
        )
