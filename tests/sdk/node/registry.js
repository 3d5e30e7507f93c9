'use strict';
// Identities, by the service SDK.

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { Registry } = require('azure-iothub');
const { behaviour, refusal, registry, shown } = require('./harness');
const { create, newKeys } = require('./identities');

behaviour('registry_of_devices', async () => {
  const deviceId = `registry:${crypto.randomBytes(4).toString('hex')}-._=@`;
  const symmetricKey = newKeys();
  const description = { deviceId, status: 'enabled', statusReason: 'new', authentication: { type: 'sas', symmetricKey } };
  const created = (await registry.create(description)).responseBody;
  assert.equal(created.deviceId, deviceId);
  assert.deepEqual(created.authentication.symmetricKey, symmetricKey);
  assert.equal(created.statusReason, 'new');
  assert.equal(created.connectionState, 'Disconnected');
  assert.ok(created.generationId && created.etag);

  const updated = (await registry.update({ ...created, status: 'disabled' })).responseBody;
  assert.equal(updated.status, 'disabled');
  assert.notEqual(updated.etag, created.etag);
  assert.deepEqual((await registry.get(deviceId)).responseBody, updated);
  const listed = (await registry.list()).responseBody;
  assert.ok(listed.some((device) => device.deviceId === deviceId));
  await registry.delete(deviceId);
  assert.equal((await refusal(registry.get(deviceId))).status, 404);
});

behaviour('registry_of_modules', async () => {
  const { device } = await create();
  const symmetricKey = newKeys();
  const description = { deviceId: device, moduleId: 'camera', managedBy: 'someone', authentication: { type: 'sas', symmetricKey } };
  const created = (await registry.addModule(description)).responseBody;
  assert.equal(created.managedBy, 'someone');
  await registry.addModule({ deviceId: device, moduleId: 'lamp', authentication: { type: 'sas', symmetricKey: newKeys() } });
  const ids = async () => (await registry.getModulesOnDevice(device)).responseBody.map((module) => module.moduleId).sort();
  assert.deepEqual(await ids(), ['camera', 'lamp']);
  const updated = (await registry.updateModule({ ...created, managedBy: 'other' })).responseBody;
  assert.equal(updated.managedBy, 'other');
  assert.deepEqual((await registry.getModule(device, 'camera')).responseBody, updated);
  await registry.removeModule(device, 'lamp');
  assert.deepEqual(await ids(), ['camera']);
});

behaviour('registry_refusals', async () => {
  const { device } = await create();
  assert.equal((await refusal(registry.create({ deviceId: device }))).status, 409);
  assert.equal((await refusal(registry.get('nobody'))).status, 404);
  assert.equal((await refusal(registry.getTwin('nobody'))).status, 404);
  assert.equal((await refusal(registry.delete('nobody'))).status, 404);
  const reader = Registry.fromConnectionString(shown.connectionStrings.registryRead);
  assert.equal((await reader.get(device)).responseBody.deviceId, device);
  assert.equal((await refusal(reader.delete(device))).status, 401);
});
