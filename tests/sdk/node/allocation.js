'use strict';
// Which hub a device is given, in an installation of two, and its way from one to the other.

const assert = require('node:assert/strict');
const { after } = require('node:test');
const { promisify } = require('node:util');
const { Registry } = require('azure-iothub');
const {
  atItsHub, change, enroll, member, Provisioning, reachesItsHub, refused, register, webhook,
} = require('./enrollments');
const { behaviour, eventsIn, thingsteadOn } = require('./harness');
const { EventHubLog } = require('./log');

const { folder, hubs: [north, south] } = JSON.parse(process.env.BEHAVIOURS_PAIR);
const [NORTH, SOUTH] = [north.hostName, south.hostName];
const SPREAD = 24;
const TRANSPORTS = ['mqtt', 'amqp', 'https', 'mqtt-ws', 'amqp-ws'];
const MIGRATE = { updateHubAssignment: true, migrateDeviceData: true };
const RESET = { updateHubAssignment: true, migrateDeviceData: false };
const NEVER = { updateHubAssignment: false, migrateDeviceData: false };

const logs = new Map([north, south].map(({ hostName, events }) => [hostName, new EventHubLog(events.connectionString)]));
const registries = new Map(
  [north, south].map(({ hostName, connectionStrings }) => [hostName, Registry.fromConnectionString(connectionStrings.iothubowner)]),
);
const pair = new Provisioning(north, (identity, count) => eventsIn(logs.get(identity.host), identity, count));
pair.hosts = [NORTH, SOUTH];
pair.where = '-pair';

after(async () => {
  for (const log of logs.values()) await log.close();
});

/** The same context on the pair, with another transport each time. */
let turn = 0;
function onPair(context, credential = 'symmetric-individual') {
  turn += 1;
  return { ...context, provisioning: pair, cell: { credential, transport: TRANSPORTS[turn % TRANSPORTS.length] } };
}

/** The hubs that know the device. */
async function hubsOf(device) {
  const found = [];
  for (const [host, registry] of registries) {
    try {
      await registry.get(device);
      found.push(host);
    } catch (error) {
      if (error.name !== 'DeviceNotFoundError') throw error;
    }
  }
  return found;
}

const withoutMetadata = ({ $metadata, $version, ...members }) => members;

/** What the back end sees of its twin at the hub that it was given. */
async function twinOf({ assignedHub, deviceId }) {
  const { tags, properties } = (await registries.get(assignedHub).getTwin(deviceId)).responseBody;
  return { tags, desired: withoutMetadata(properties.desired), reported: withoutMetadata(properties.reported) };
}

behaviour('hashed_devices_spread_over_the_hubs', async (context) => {
  const at = onPair(context, 'symmetric-group');
  const first = await enroll(at, { allocationPolicy: 'hashed' });
  const registrants = [first, ...Array.from({ length: SPREAD - 1 }, () => member(first))];
  const states = await Promise.all(registrants.map((registrant) => register(registrant)));
  // Of fair coins less than one series in a hundred thousand is more uneven.
  for (const host of [NORTH, SOUTH]) {
    assert.ok(states.filter(({ assignedHub }) => assignedHub === host).length >= 2, host);
  }
  for (const host of [NORTH, SOUTH]) {
    const place = states.findIndex(({ assignedHub }) => assignedHub === host);
    assert.deepEqual(await hubsOf(states[place].deviceId), [host]);
    await reachesItsHub(context, registrants[place], states[place]);
    // The choice is no chance: it comes out the same.
    assert.equal((await register(registrants[place])).assignedHub, host);
  }
});

behaviour('static_devices_go_where_the_enrollment_says', async (context) => {
  for (const host of [NORTH, SOUTH]) {
    for (const terms of [{ allocationPolicy: 'static', iotHubs: [host] }, { iotHubHostName: host }]) {
      const registrant = await enroll(onPair(context), terms);
      const state = await register(registrant);
      assert.equal(state.assignedHub, host);
      assert.deepEqual(await hubsOf(state.deviceId), [host]);
      await reachesItsHub(context, registrant, state);
    }
  }
});

behaviour('custom_devices_go_where_the_webhook_says', async (context) => {
  const terms = await webhook(context, ({ deviceRuntimeContext: { payload }, linkedHubs }) => [
    200, { iotHubHostName: linkedHubs.includes(payload.for) ? payload.for : 'nowhere.test' },
  ]);
  for (const host of [NORTH, SOUTH]) {
    const registrant = await enroll(onPair(context), terms);
    const state = await register(registrant, { payload: { for: host } });
    assert.equal(state.assignedHub, host);
    await reachesItsHub(context, registrant, state);
  }
  // It may only name a hub that the enrollment allows.
  const narrow = await enroll(onPair(context), { ...terms, iotHubs: [NORTH] });
  await refused(narrow, { payload: { for: SOUTH } });
  assert.deepEqual(await hubsOf(narrow.registration), []);
});

behaviour('near_devices_go_to_the_near_hub', async (context) => {
  const latencies = [['norway', NORTH, 8], ['norway', SOUTH, 60], ['portugal', NORTH, 70], ['portugal', SOUTH, 9]];
  for (const [region, host, milliseconds] of latencies) {
    const latency = ['--region', region, '--linked-hub', host, '--milliseconds', `${milliseconds}`];
    await thingsteadOn(folder, 'dps', 'latency', 'set', ...latency);
  }
  for (const [region, host] of [['norway', NORTH], ['Portugal', SOUTH]]) {
    const registrant = await enroll(onPair(context), { allocationPolicy: 'geoLatency' });
    const state = await register(registrant, { payload: { region } });
    assert.equal(state.assignedHub, host, region);
    await reachesItsHub(context, registrant, state);
  }
});

/** A device that lived in the north and registers again when it belongs to the south. */
async function moved(context, reprovisionPolicy, credential) {
  const at = onPair(context, credential);
  const registrant = await enroll(at, {
    allocationPolicy: 'static',
    iotHubs: [NORTH],
    reprovisionPolicy,
    initialTwin: { tags: { site: 'initial' }, properties: { desired: { interval: 5 } } },
  });
  const first = await register(registrant);
  assert.deepEqual([first.assignedHub, first.substatus], [NORTH, 'initialAssignment']);
  // There are no twins over HTTPS.
  const transport = registrant.transport === 'https' ? 'amqp' : registrant.transport;
  const { client } = await atItsHub(context, { ...registrant, transport }, first);
  const { reported } = (await client.getTwin()).properties;
  await promisify(reported.update.bind(reported))({ firmware: '1.2' });
  await client.close();
  const patch = { tags: { site: 'lived in' }, properties: { desired: { interval: 60 } } };
  await registries.get(NORTH).updateTwin(first.deviceId, patch, '*');

  await change(at, registrant, { iotHubs: [SOUTH] });
  const state = await register(registrant);
  assert.deepEqual(await hubsOf(state.deviceId), [state.assignedHub]);
  return { registrant, state };
}

behaviour('device_moves_with_its_twin', async (context) => {
  for (const credential of ['symmetric-individual', 'x509-group-root']) {
    const { registrant, state } = await moved(context, MIGRATE, credential);
    assert.deepEqual([state.assignedHub, state.substatus], [SOUTH, 'deviceDataMigrated']);
    const lived = { tags: { site: 'lived in' }, desired: { interval: 60 }, reported: { firmware: '1.2' } };
    assert.deepEqual(await twinOf(state), lived);
    await reachesItsHub(context, registrant, state);
    // It has arrived: the next registration leaves it there.
    assert.equal((await register(registrant)).assignedHub, SOUTH);
  }
});

behaviour('device_moves_without_its_twin', async (context) => {
  for (const credential of ['symmetric-group', 'x509-individual-primary']) {
    const { registrant, state } = await moved(context, RESET, credential);
    assert.deepEqual([state.assignedHub, state.substatus], [SOUTH, 'deviceDataReset']);
    assert.deepEqual(await twinOf(state), { tags: { site: 'initial' }, desired: { interval: 5 }, reported: {} });
    await reachesItsHub(context, registrant, state);
  }
});

behaviour('device_stays_where_it_was', async (context) => {
  const { registrant, state } = await moved(context, NEVER);
  assert.deepEqual([state.assignedHub, state.substatus], [NORTH, 'reprovisionedToInitialAssignment']);
  const lived = { tags: { site: 'lived in' }, desired: { interval: 60 }, reported: { firmware: '1.2' } };
  assert.deepEqual(await twinOf(state), lived);
  await reachesItsHub(context, registrant, state);
});
