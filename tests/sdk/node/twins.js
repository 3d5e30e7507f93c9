'use strict';
// Device twins and module twins.

const assert = require('node:assert/strict');
const { promisify } = require('node:util');
const { behaviour, connect, create, refusal, registry, subscribed, Waiting } = require('./harness');

/** A section without its `$metadata` and `$version`, and without the functions that the SDK adds. */
function members(section) {
  const plain = JSON.parse(JSON.stringify(section));
  return Object.fromEntries(Object.entries(plain).filter(([key]) => !key.startsWith('$')));
}

function report(twin, patch) {
  return promisify(twin.properties.reported.update.bind(twin.properties.reported))(patch);
}

async function seen(identity) {
  const answer = identity.module
    ? await registry.getModuleTwin(identity.device, identity.module)
    : await registry.getTwin(identity.device);
  return answer.responseBody;
}

function desire(identity, desired, etag = '*') {
  return registry.updateTwin(identity.device, { properties: { desired } }, etag);
}

/** Desired patches as they come; the SDK first hands over the whole section, which is no patch. */
async function patchesOf(client, twin) {
  const patches = new Waiting();
  const first = twin.properties.desired.$version;
  twin.on('properties.desired', (patch) => {
    if (patch.$version > first) patches.put(JSON.parse(JSON.stringify(patch)));
  });
  await subscribed(client);
  return patches;
}

behaviour('twin_has_both_sections', async (context) => {
  const device = await create();
  const client = await connect(context, device);
  const twin = await client.getTwin();
  assert.deepEqual(JSON.parse(JSON.stringify(twin.properties)), {
    desired: { $version: 1 },
    reported: { $version: 1 },
  });
  assert.equal((await seen(device)).deviceId, device.device);
});

behaviour('reported_patch_reaches_the_service', async (context) => {
  const device = await create();
  const client = await connect(context, device);
  const twin = await client.getTwin();
  await report(twin, { fan: { speed: 3, on: true }, name: 'grüße 🚀' });
  const first = (await seen(device)).properties.reported;
  await report(twin, { fan: { speed: 4 } });
  const second = (await seen(device)).properties.reported;
  assert.deepEqual(members(first), { fan: { speed: 3, on: true }, name: 'grüße 🚀' });
  assert.deepEqual(members(second), { fan: { speed: 4, on: true }, name: 'grüße 🚀' });
  assert.equal(second.$version, first.$version + 1);
});

behaviour('desired_patch_is_pushed_with_its_version', async (context) => {
  const device = await create();
  const client = await connect(context, device);
  const twin = await client.getTwin();
  const patches = await patchesOf(client, twin);
  for (const interval of [1, 2, 3]) {
    const answer = (await desire(device, { interval })).responseBody;
    const patch = await patches.take(`desired patch ${interval}`);
    assert.deepEqual(patch, { interval, $version: answer.properties.desired.$version });
  }
});

behaviour('null_removes_a_member', async (context) => {
  const device = await create();
  const client = await connect(context, device);
  const twin = await client.getTwin();
  await report(twin, { keep: 1, drop: { deep: 2, stay: 3 } });
  await report(twin, { drop: { deep: null } });
  assert.deepEqual(members((await seen(device)).properties.reported), { keep: 1, drop: { stay: 3 } });
  await report(twin, { drop: null });
  assert.deepEqual(members((await seen(device)).properties.reported), { keep: 1 });

  const patches = await patchesOf(client, twin);
  await desire(device, { keep: 1, drop: 2 });
  await patches.take('the first desired patch');
  await desire(device, { drop: null });
  const patch = await patches.take('the desired patch that removes');
  assert.equal(patch.drop, null);
  assert.ok(!('keep' in patch));
  assert.deepEqual(members((await seen(device)).properties.desired), { keep: 1 });
});

behaviour('stale_etag_is_refused', async () => {
  const device = await create();
  const old = (await seen(device)).etag;
  const fresh = (await desire(device, { a: 1 }, old)).responseBody.etag;
  assert.notEqual(fresh, old);
  assert.equal((await refusal(desire(device, { a: 2 }, old))).status, 412);
  assert.deepEqual(members((await seen(device)).properties.desired), { a: 1 });
  await desire(device, { a: 3 }, fresh);
});

behaviour('arrays_are_replaced_whole', async (context) => {
  const device = await create();
  const client = await connect(context, device);
  const twin = await client.getTwin();
  const list = [1, 'two', null, { three: null }, [4]];
  const patches = await patchesOf(client, twin);
  await report(twin, { list: [1, 2, 3] });
  await report(twin, { list });
  await desire(device, { list });
  assert.deepEqual((await patches.take('the desired patch')).list, list);
  const { reported, desired } = (await seen(device)).properties;
  assert.deepEqual(reported.list, list);
  assert.deepEqual(desired.list, list);
});

behaviour('module_has_a_twin_of_its_own', async (context) => {
  const module = await create({ module: 'camera' });
  const client = await connect(context, module);
  const twin = await client.getTwin();
  const patches = await patchesOf(client, twin);
  await report(twin, { lens: 'wide' });
  await registry.updateModuleTwin(module.device, 'camera', { properties: { desired: { zoom: 2 } } }, '*');
  assert.equal((await patches.take("the module's desired patch")).zoom, 2);
  assert.deepEqual(members((await seen(module)).properties.reported), { lens: 'wide' });
  assert.deepEqual(members((await seen({ device: module.device })).properties.reported), {});
});
