'use strict';
// Devices that register, over every transport and with every attestation.

const assert = require('node:assert/strict');
const { registry, refusal, shown } = require('../harness');
const {
  change, enroll, provisioning, reachesItsHub, refused, register, serviceRefusal, webhook,
} = require('../enrollments');

const INITIAL = { tags: { site: 'north' }, properties: { desired: { interval: 5 } } };

// How the SDK says that it was not let in: it gives the refusals of MQTT and SASL no name of their own.
const REFUSED = {
  mqtt: /Not authorized/,
  'mqtt-ws': /Not authorized/,
  amqp: /NotConnectedError|amqp:unauthorized-access/,
  'amqp-ws': /NotConnectedError|amqp:unauthorized-access/,
  https: /UnauthorizedError/,
};

async function desiredOf(device) {
  const { $metadata, $version, ...members } = (await registry.getTwin(device)).responseBody.properties.desired;
  return members;
}

module.exports = {
  async registration_leads_to_the_hub(context) {
    const registrant = await enroll(context, { initialTwin: INITIAL });
    const state = await register(registrant);
    assert.equal(state.status, 'assigned');
    assert.equal(state.assignedHub, shown.hostName);
    assert.equal(state.deviceId, registrant.registration);
    assert.equal(state.registrationId, registrant.registration);
    assert.equal(state.substatus, 'initialAssignment');
    assert.ok(state.etag && state.createdDateTimeUtc && state.lastUpdatedDateTimeUtc);
    await reachesItsHub(context, registrant, state);

    assert.deepEqual((await registry.getTwin(state.deviceId)).responseBody.tags, INITIAL.tags);
    assert.deepEqual(await desiredOf(state.deviceId), INITIAL.properties.desired);
    const record = (await provisioning.getDeviceRegistrationState(registrant.registration)).responseBody;
    assert.equal(record.status, 'assigned');
    assert.equal(record.assignedHub, state.assignedHub);
    assert.equal(record.deviceId, state.deviceId);
  },

  async registration_again_keeps_the_device(context) {
    const registrant = await enroll(context, { initialTwin: INITIAL });
    const first = await register(registrant);
    const { generationId } = (await registry.get(first.deviceId)).responseBody;
    await registry.updateTwin(first.deviceId, { properties: { desired: { interval: 60 } } }, '*');

    const second = await register(registrant);
    assert.equal(second.assignedHub, first.assignedHub);
    assert.equal(second.deviceId, first.deviceId);
    assert.equal((await registry.get(first.deviceId)).responseBody.generationId, generationId);
    assert.deepEqual(await desiredOf(first.deviceId), { interval: 60 });
    await reachesItsHub(context, registrant, second);
  },

  async registration_carries_payloads_both_ways(context) {
    const terms = await webhook(context, ({ deviceRuntimeContext: { payload } }) => [
      200, { iotHubHostName: shown.hostName, payload: { seen: payload, list: [1, null] } },
    ]);
    const registrant = await enroll(context, terms);
    const state = await register(registrant, { payload: { model: 'T-800', size: 1.5 } });
    assert.deepEqual(state.payload, { seen: { model: 'T-800', size: 1.5 }, list: [1, null] });
    assert.equal(state.assignedHub, shown.hostName);
  },

  async stranger_is_not_registered(context) {
    const registrant = await enroll(context);
    const error = await refused(registrant, { slot: 'wrong' });
    assert.match(`${error.name} ${error.message} ${error.condition}`, REFUSED[registrant.transport]);
    const { status } = await serviceRefusal(provisioning.getDeviceRegistrationState(registrant.registration));
    assert.equal(status, 404);
    assert.equal((await refusal(registry.get(registrant.registration))).status, 404);
  },

  async disabled_enrollment_registers_nobody(context) {
    const registrant = await enroll(context, { provisioningStatus: 'disabled' });
    assert.match((await refused(registrant)).message, /disabled/);
    const { status } = await serviceRefusal(provisioning.getDeviceRegistrationState(registrant.registration));
    assert.equal(status, 404);
    await change(context, registrant, { provisioningStatus: 'enabled' });
    await reachesItsHub(context, registrant, await register(registrant));
  },
};
