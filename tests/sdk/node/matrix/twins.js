'use strict';
// Twins of devices and modules, in every cell.

const assert = require('node:assert/strict');
const { promisify } = require('node:util');
const { refusal, Waiting } = require('../harness');
const { connect, create, desire, patchTwin, subscribed, twinOf } = require('../identities');

/** A section as plain data, without the functions that the SDK adds. */
const plain = (section) => JSON.parse(JSON.stringify(section));

/** A section without its `$metadata` and `$version`. */
function members(section) {
  return Object.fromEntries(Object.entries(plain(section)).filter(([key]) => !key.startsWith('$')));
}

function report(twin, patch) {
  return promisify(twin.properties.reported.update.bind(twin.properties.reported))(patch);
}

/** Desired patches as they come; the SDK first hands over the whole section, which is no patch. */
async function patchesOf(client, twin) {
  const patches = new Waiting();
  const first = twin.properties.desired.$version;
  twin.on('properties.desired', (patch) => {
    if (patch.$version > first) patches.put(plain(patch));
  });
  await subscribed(client);
  return patches;
}

async function begin(context) {
  const identity = await create(context);
  const client = await connect(context, identity);
  return { identity, client, twin: await client.getTwin() };
}

module.exports = {
  async twin_has_both_sections(context) {
    const { identity, twin } = await begin(context);
    assert.deepEqual(plain(twin.properties), { desired: { $version: 1 }, reported: { $version: 1 } });
    const seen = await twinOf(identity);
    assert.equal(seen.deviceId, identity.device);
    assert.equal(seen.moduleId, identity.module);
  },

  async reported_patch_reaches_the_service(context) {
    const { identity, twin } = await begin(context);
    await report(twin, { fan: { speed: 3, on: true }, name: 'grüße 🚀' });
    const first = (await twinOf(identity)).properties.reported;
    await report(twin, { fan: { speed: 4 } });
    const second = (await twinOf(identity)).properties.reported;
    assert.deepEqual(members(first), { fan: { speed: 3, on: true }, name: 'grüße 🚀' });
    assert.deepEqual(members(second), { fan: { speed: 4, on: true }, name: 'grüße 🚀' });
    assert.equal(second.$version, first.$version + 1);
  },

  async desired_patch_is_pushed_with_its_version(context) {
    const { identity, client, twin } = await begin(context);
    const patches = await patchesOf(client, twin);
    for (const interval of [1, 2, 3]) {
      const { properties } = await desire(identity, { interval });
      const patch = await patches.take(`desired patch ${interval}`);
      assert.deepEqual(patch, { interval, $version: properties.desired.$version });
    }
  },

  async null_removes_a_member(context) {
    const { identity, client, twin } = await begin(context);
    const reported = async () => members((await twinOf(identity)).properties.reported);
    await report(twin, { keep: 1, drop: { deep: 2, stay: 3 } });
    await report(twin, { drop: { deep: null } });
    assert.deepEqual(await reported(), { keep: 1, drop: { stay: 3 } });
    await report(twin, { drop: null });
    assert.deepEqual(await reported(), { keep: 1 });

    const patches = await patchesOf(client, twin);
    await desire(identity, { keep: 1, drop: 2 });
    await patches.take('the first desired patch');
    await desire(identity, { drop: null });
    const patch = await patches.take('the desired patch that removes');
    assert.equal(patch.drop, null);
    assert.ok(!('keep' in patch));
    assert.deepEqual(members((await twinOf(identity)).properties.desired), { keep: 1 });
  },

  async arrays_are_replaced_whole(context) {
    const { identity, client, twin } = await begin(context);
    const list = [1, 'two', null, { three: null }, [4]];
    const patches = await patchesOf(client, twin);
    await report(twin, { list: [1, 2, 3] });
    await report(twin, { list });
    await desire(identity, { list });
    assert.deepEqual((await patches.take('the desired patch')).list, list);
    const { reported, desired } = (await twinOf(identity)).properties;
    assert.deepEqual(reported.list, list);
    assert.deepEqual(desired.list, list);
  },

  async stale_etag_is_refused(context) {
    const { identity, client, twin } = await begin(context);
    const patches = await patchesOf(client, twin);
    const old = (await twinOf(identity)).etag;
    const fresh = (await desire(identity, { a: 1 }, old)).etag;
    assert.notEqual(fresh, old);
    assert.equal((await refusal(desire(identity, { a: 2 }, old))).status, 412);
    await desire(identity, { a: 3 }, fresh);
    assert.equal((await patches.take('the first patch')).a, 1);
    assert.equal((await patches.take('the second patch')).a, 3);
  },

  async reported_patch_too_large_is_refused(context) {
    const { identity, twin } = await begin(context);
    // 32 KB per section, 4 KB per text.
    const large = Object.fromEntries(Array.from({ length: 9 }, (_, number) => [`member${number}`, 'x'.repeat(4000)]));
    await report(twin, { before: 1 });
    await assert.rejects(report(twin, large));
    await report(twin, { after: 2 });
    assert.deepEqual(members((await twinOf(identity)).properties.reported), { before: 1, after: 2 });
  },

  async tags_stay_with_the_back_end(context) {
    const { identity, client, twin } = await begin(context);
    const patches = await patchesOf(client, twin);
    await patchTwin(identity, { tags: { site: { floor: 3 } } });
    const { tags } = await desire(identity, { marker: true });
    assert.deepEqual(members(await patches.take('the patch of the desired section alone')), { marker: true });
    assert.deepEqual(tags, { site: { floor: 3 } });
  },
};
