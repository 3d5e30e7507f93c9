'use strict';
// Log-in, restart and cuts, beyond what every cell of the matrix shows.

const assert = require('node:assert/strict');
const { Client } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const { ask, behaviour, events, refusal, soon, until } = require('./harness');
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
