'use strict';
// Log-in, renewal, reconnection, cuts and take-over, in every cell.

const assert = require('node:assert/strict');
const { Client, ModuleClient, SharedAccessKeyAuthenticationProvider } = require('azure-iot-device');
const { events, refusal, soon, until } = require('../harness');
const {
  clientOf, connect, connectionString, create, cut, everything, Message, prepare, reaches, remove, sendC2d, setStatus,
  stateOf, subscribed, TRANSPORTS, twinOf,
} = require('../identities');

const CUT_WITHIN_MS = 1000;
const REFUSED = ['UnauthorizedError', 'DeviceNotFoundError'];
// The hub says 403 over HTTPS, which the SDK always reads as a quota, and `amqp:not-allowed` over AMQP.
const DISABLED = [...REFUSED, 'IotHubQuotaExceededError', 'InvalidOperationError'];

/** Opening and sending: over HTTPS and AMQP with a certificate the hub learns who it is by the first message. */
async function firstContact(client) {
  await client.open();
  await client.sendEvent(new Message('hello'));
}

async function isRefused(context, identity, slot, names = REFUSED) {
  const client = await clientOf(identity, slot);
  context.opened.push(client);
  const { name, message } = await refusal(soon(firstContact(client), 'the refusal'));
  assert.ok(names.includes(name), `${name}: ${message}`);
}

async function isAccepted(context, identity, slot) {
  const client = await clientOf(identity, slot);
  context.opened.push(client);
  await soon(firstContact(client), 'the first contact');
}

/** The moment at which a client learns that its connection is gone. */
function cutOf(client) {
  const gone = new Promise((resolve) => {
    client.setRetryPolicy({ shouldRetry: () => false, nextRetryTimeout: () => 0 });
    client.on('disconnect', () => resolve(performance.now()));
  });
  return () => soon(gone, 'the client is cut');
}

module.exports = {
  async lost_connection_is_taken_up_again(context) {
    const identity = await create(context);
    const client = await connect(context, identity);
    const seen = await everything(client, identity);
    await reaches(identity, seen, 'before');
    for (const mark of ['after 0', 'after 1']) {
      const back = new Promise((resolve) => {
        client.once('connect', resolve);
      });
      cut(client);
      await soon(back, 'the client is back');
      // This SDK does not read its twin again when it is back, and tells nobody when it has subscribed again.
      await subscribed(client);
      await until(async () => (await stateOf(identity)) === 'Connected', 'the hub knows that it is back');
      await reaches(identity, seen, mark);
    }
  },

  async renewed_token_keeps_the_session(context) {
    const identity = await create(context);
    // Three seconds of life, renewed one second before their end: over MQTT by a new connection under the same client id.
    const provider = SharedAccessKeyAuthenticationProvider.fromConnectionString(connectionString(identity), 3, 1);
    let renewals = 0;
    provider.on('newTokenAvailable', () => {
      renewals += 1;
    });
    const kind = identity.module ? ModuleClient : Client;
    const client = prepare(kind.fromAuthenticationProvider(provider, TRANSPORTS[identity.transport]));
    context.opened.push(client);
    await client.open();
    const seen = await everything(client, identity);
    await reaches(identity, seen, 'before');
    for (let number = 0; renewals < 2; number += 1) {
      if (identity.module) {
        await client.sendEvent(new Message(`message ${number}`));
      } else {
        await sendC2d(identity, `message ${number}`);
        await seen.messages.takeBody(`message ${number}`);
      }
    }
    // A desired patch is pushed to connected clients only, and this SDK does not read its twin again when it is back. So
    // there is one last renewal, which longer lives bring about at once, and a message that waits until it is over.
    const before = renewals;
    provider.setTokenRenewalValues(3600, 60);
    await until(() => renewals > before, 'the last renewal');
    await client.sendEvent(new Message('renewed'));
    await reaches(identity, seen, 'after');
  },

  async newer_connection_takes_over(context) {
    const identity = await create(context);
    const older = await connect(context, identity);
    await everything(older, identity);
    const cutMoment = cutOf(older);
    const newer = await connect(context, identity);
    const seen = await everything(newer, identity);
    await cutMoment();
    await reaches(identity, seen, 'newer');
  },

  async connection_state_is_true_at_once(context) {
    const identity = await create(context);
    assert.equal(await stateOf(identity), 'Disconnected');
    const client = await connect(context, identity);
    await client.sendEvent(new Message('hello'));
    assert.equal(await stateOf(identity), 'Connected');
    assert.equal((await twinOf(identity)).connectionState, 'Connected');
    await client.close();
    await until(async () => (await stateOf(identity)) === 'Disconnected', 'the client is disconnected');
  },

  async wrong_credential_is_refused(context) {
    const identity = await create(context);
    await isRefused(context, identity, 'wrong');
    await isAccepted(context, identity);
  },

  async second_credential_opens_as_well(context) {
    const identity = await create(context);
    await isAccepted(context, identity, 'secondary');
    await isAccepted(context, identity);
  },

  async unknown_identity_is_refused(context) {
    const identity = await create(context);
    await remove(identity);
    await isRefused(context, identity);
  },

  async disabled_device_is_refused(context) {
    const identity = await create(context, { status: 'disabled' });
    await isRefused(context, identity, 'primary', DISABLED);
    await setStatus(identity, 'enabled');
    await isAccepted(context, identity);
  },

  async disabled_device_is_cut_while_streaming(context) {
    const identity = await create(context);
    const client = await connect(context, identity);
    client.setRetryPolicy({ shouldRetry: () => false, nextRetryTimeout: () => 0 });
    const acknowledged = [];
    const stream = (async () => {
      for (;;) {
        await client.sendEvent(new Message(`${acknowledged.length}`));
        acknowledged.push(performance.now());
      }
    })().catch(() => performance.now());
    await until(() => acknowledged.length > 20, 'the stream flows');
    await setStatus(identity, 'disabled');
    const begun = performance.now();
    const ended = await soon(stream, 'the stream is cut');
    assert.ok(ended - begun < CUT_WITHIN_MS, `cut after ${ended - begun} ms`);
    assert.ok(acknowledged.at(-1) - begun < CUT_WITHIN_MS);
    // What was acknowledged is in the log.
    assert.ok((await events(identity, acknowledged.length)).length >= acknowledged.length);
  },

  async deleted_identity_is_cut(context) {
    const identity = await create(context);
    const client = await connect(context, identity);
    // A client that only sends takes no note of a lost connection; one that receives does.
    await everything(client, identity);
    const cutMoment = cutOf(client);
    await remove(identity);
    const begun = performance.now();
    assert.ok((await cutMoment()) - begun < CUT_WITHIN_MS);
  },
};
