'use strict';
// Log-in, renewal, restart, cuts and take-over.

const assert = require('node:assert/strict');
const { Client, SharedAccessKeyAuthenticationProvider } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const {
  behaviour, clientOf, connect, connectionString, create, events, Message, methods, newKeys, policyKey, prepare,
  receive, refusal, registry, restart, sendC2d, setStatus, stateOf, subscribed, token, until, Waiting,
} = require('./harness');

const CUT_WITHIN_MS = 1000;

/** Desired patches, methods and messages of a client. */
async function everything(client) {
  const patches = new Waiting();
  const messages = receive(client);
  const twin = await client.getTwin();
  twin.on('properties.desired', (patch) => patches.put(patch));
  client.onDeviceMethod('mark', (request, response) => response.send(200, request.payload));
  await subscribed(client);
  return { patches, messages };
}

async function reaches(device, { patches, messages }, mark) {
  await registry.updateTwin(device.device, { properties: { desired: { mark } } }, '*');
  await until(() => patches.items.some((patch) => patch.mark === mark), `desired patch ${mark}`);
  const call = { methodName: 'mark', payload: mark, responseTimeoutInSeconds: 20, connectTimeoutInSeconds: 20 };
  const { result } = await methods.invokeDeviceMethod(device.device, call);
  assert.deepEqual(result, { status: 200, payload: mark });
  await sendC2d(device, mark);
  await messages.takeBody(mark);
}

behaviour('restart_keeps_the_session', async (context) => {
  const device = await create();
  const client = await connect(context, device);
  const seen = await everything(client);
  await reaches(device, seen, 'before');
  await restart('stop');
  await sendC2d(device, 'waiting');
  await until(async () => (await stateOf(device)) === 'Connected', 'the client is back');
  await seen.messages.takeBody('waiting');
  await reaches(device, seen, 'after');
});

behaviour('renewed_token_keeps_the_session', async (context) => {
  const device = await create();
  // Four seconds of life, renewed one second before their end: by a new connection under the same client id.
  const provider = SharedAccessKeyAuthenticationProvider.fromConnectionString(connectionString(device), 4, 1);
  let renewals = 0;
  provider.on('newTokenAvailable', () => {
    renewals += 1;
  });
  const client = prepare(Client.fromAuthenticationProvider(provider, Mqtt));
  context.opened.push(client);
  await client.open();
  const seen = await everything(client);
  await reaches(device, seen, 'before');
  for (let number = 0; renewals < 2; number += 1) {
    await sendC2d(device, `message ${number}`);
    await seen.messages.takeBody(`message ${number}`);
  }
  // A desired patch is pushed to connected clients only, and this SDK does not read its twin again when it is back. So
  // there is one last renewal, which longer lives bring about at once, and a message that waits until it is over.
  const before = renewals;
  provider.setTokenRenewalValues(3600, 60);
  await until(() => renewals > before, 'the last renewal');
  await client.sendEvent(new Message('renewed'));
  await reaches(device, seen, 'after');
});

behaviour('policy_token_opens_a_session', async (context) => {
  const device = await create();
  const signature = token(device, policyKey('device'), { policy: 'device' });
  const client = prepare(Client.fromSharedAccessSignature(signature, Mqtt));
  context.opened.push(client);
  await client.open();
  await client.sendEvent(new Message('by policy'));
  assert.equal((await events(device, 1)).length, 1);
});

async function isRefused(context, client) {
  context.opened.push(client);
  const { name } = await refusal(client.open());
  assert.equal(name, 'UnauthorizedError');
}

behaviour('wrong_key_is_refused', async (context) => {
  const device = await create();
  const module = await create({ module: 'camera' });
  await isRefused(context, clientOf(device, newKeys().primaryKey));
  await isRefused(context, clientOf(module, newKeys().primaryKey));
  const client = clientOf(device, device.secondaryKey);
  context.opened.push(client);
  await client.open();
});

behaviour('expired_token_is_refused', async (context) => {
  const device = await create();
  const signature = token(device, device.primaryKey, { lives: -24 * 3600 });
  await isRefused(context, prepare(Client.fromSharedAccessSignature(signature, Mqtt)));
});

behaviour('unknown_device_is_refused', async (context) => {
  const device = await create();
  await registry.delete(device.device);
  await isRefused(context, clientOf(device));
});

behaviour('disabled_device_is_refused', async (context) => {
  const device = await create({ status: 'disabled' });
  await isRefused(context, clientOf(device));
  await setStatus(device, 'enabled');
  await connect(context, device);
});

/** The moment at which a client learns that its connection is gone. */
function cutOf(client) {
  return new Promise((resolve) => {
    client.setRetryPolicy({ shouldRetry: () => false, nextRetryTimeout: () => 0 });
    client.on('disconnect', () => resolve(performance.now()));
  });
}

behaviour('disabled_device_is_cut_while_idle', async (context) => {
  const device = await create();
  const client = await connect(context, device);
  // A client that only sends takes no note of a lost connection; one that receives does.
  await everything(client);
  const cut = cutOf(client);
  await setStatus(device, 'disabled');
  const begun = performance.now();
  assert.ok((await cut) - begun < CUT_WITHIN_MS);
  assert.equal(await stateOf(device), 'Disconnected');
});

behaviour('newer_connection_takes_over', async (context) => {
  const device = await create();
  const older = await connect(context, device);
  await everything(older);
  const cut = cutOf(older);
  const newer = await connect(context, device);
  await cut;
  await reaches(device, await everything(newer), 'newer');
});

behaviour('connection_state_is_true_at_once', async (context) => {
  const device = await create();
  assert.equal(await stateOf(device), 'Disconnected');
  const client = await connect(context, device);
  assert.equal(await stateOf(device), 'Connected');
  assert.equal((await registry.getTwin(device.device)).responseBody.connectionState, 'Connected');
  await client.close();
  await until(async () => (await stateOf(device)) === 'Disconnected', 'the device is disconnected');
});
