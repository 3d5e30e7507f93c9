'use strict';
// Log-in, restart and cuts, beyond what every cell of the matrix shows.

const assert = require('node:assert/strict');
const { Client } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const { ask, behaviour, events, refusal, soon, thingstead, until } = require('./harness');
const {
  connect, create, everything, Message, policyKey, prepare, reaches, sendC2d, setStatus, stateOf, subscribed, token,
} = require('./identities');

const CUT_WITHIN_MS = 1000;

behaviour('restart_keeps_the_session', (context) => restart(context, 'mqtt'));

behaviour('restart_is_survived_over_amqp', (context) => restart(context, 'amqp'));

/** An orderly stop of the hub; the client object goes on. */
async function restart(context, transport) {
  const device = await create({ cell: { transport } });
  const client = await connect(context, device);
  const seen = await everything(client, device);
  await reaches(device, seen, 'before');
  await ask('stop');
  await sendC2d(device, 'waiting');
  await until(async () => (await stateOf(device)) === 'Connected', 'the client is back');
  await seen.messages.takeBody('waiting');
  // Over AMQP a desired patch reaches who has subscribed again, and this SDK does not read its twin when it is back.
  await subscribed(client);
  await reaches(device, seen, 'after');
}

behaviour('policy_token_opens_a_session', async (context) => {
  const device = await create();
  const signature = token(device, policyKey('device'), { policy: 'device' });
  const client = prepare(Client.fromSharedAccessSignature(signature, Mqtt));
  context.opened.push(client);
  await client.open();
  await client.sendEvent(new Message('by policy'));
  assert.equal((await events(device, 1)).length, 1);
});

behaviour('expired_token_is_refused', async (context) => {
  const device = await create();
  const signature = token(device, device.primaryKey, { lives: -24 * 3600 });
  const client = prepare(Client.fromSharedAccessSignature(signature, Mqtt));
  context.opened.push(client);
  assert.equal((await refusal(client.open())).name, 'UnauthorizedError');
});

behaviour('disabled_device_is_cut_while_idle', async (context) => {
  const device = await create();
  const client = await connect(context, device);
  // A client that only sends takes no note of a lost connection; one that receives does.
  await everything(client, device);
  client.setRetryPolicy({ shouldRetry: () => false, nextRetryTimeout: () => 0 });
  const cut = new Promise((resolve) => {
    client.on('disconnect', () => resolve(performance.now()));
  });
  await setStatus(device, 'disabled');
  const begun = performance.now();
  assert.ok((await soon(cut, 'the client is cut')) - begun < CUT_WITHIN_MS);
  assert.equal(await stateOf(device), 'Disconnected');
});

/** What a device may ask the hub to do to its own connection, and what the client object survives. */
const FAULTS = {
  mqtt: ['KillTcp', 'ShutDownMqtt'],
  amqp: [
    'KillTcp', 'ShutDownAmqp', 'KillAmqpConnection', 'KillAmqpSession', 'KillAmqpD2CLink', 'KillAmqpC2DLink', 'KillAmqpTwinLinkReq',
    'KillAmqpTwinLinkResp', 'KillAmqpMethodReqLink', 'KillAmqpMethodRespLink', 'KillAmqpCBSLinkReq', 'KillAmqpCBSLinkResp',
  ],
};
const FAULT_SECONDS = 1;

for (const [transport, kinds] of Object.entries(FAULTS)) {
  for (const kind of kinds) {
    behaviour(`injected_fault_is_survived_${transport}_${kind}`, async (context) => {
      const { device, client } = await faulty(context, transport);
      const seen = await everything(client, device);
      await reaches(device, seen, 'before');
      // This SDK hides a lost connection that it takes up again.
      const gone = new Promise((resolve) => {
        client._transport.once('disconnect', resolve);
      });
      await client.sendEvent(fault(kind));
      await soon(gone, 'the fault');
      await client.sendEvent(new Message('after'));
      await subscribed(client);
      await reaches(device, seen, 'after');
      assert.deepEqual((await events(device, 2)).map((event) => event.body.toString()), ['fault', 'after']);
    });
  }
}

behaviour('injected_throttling_delays_sends', async (context) => {
  for (const transport of ['mqtt', 'amqp']) {
    const { device, client } = await faulty(context, transport);
    await client.sendEvent(fault('InvokeThrottling', { delay: 0 }));
    const begun = performance.now();
    await client.sendEvent(new Message('after'));
    assert.ok(performance.now() - begun > FAULT_SECONDS * 1000 / 2, `${transport} waited`);
    assert.equal((await events(device, 2)).length, 2);
  }
});

behaviour('injected_quota_refuses_sends', async (context) => {
  const { client } = await faulty(context, 'amqp');
  await client.sendEvent(fault('InvokeMaxMessageQuota', { delay: 0 }));
  assert.equal((await refusal(client.sendEvent(new Message('refused')))).name, 'IotHubQuotaExceededError');
  await until(() => client.sendEvent(new Message('after')).then(() => true, () => false), 'the quota is there again');
});

/** A client of a hub that takes such wishes. */
async function faulty(context, transport) {
  await thingstead('hub', 'update', '--fault-injection', 'true');
  const device = await create({ cell: { transport } });
  return { device, client: await connect(context, device) };
}

function fault(kind, { delay = 1 } = {}) {
  const message = new Message('fault');
  message.properties.add('AzIoTHub_FaultOperationType', kind);
  message.properties.add('AzIoTHub_FaultOperationCloseReason', 'the test asks for it');
  message.properties.add('AzIoTHub_FaultOperationDelayInSecs', `${delay}`);
  message.properties.add('AzIoTHub_FaultOperationDurationInSecs', `${FAULT_SECONDS}`);
  return message;
}
