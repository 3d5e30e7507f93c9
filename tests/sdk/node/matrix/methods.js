'use strict';
// Direct methods of devices and modules, in every cell.

const assert = require('node:assert/strict');
const { refusal, soon, until, Waiting } = require('../harness');
const { clientOf, connect, create, handle, invoke, stateOf } = require('../identities');

const KINDS = [null, true, false, 0, -7, 2.5, 1e100, '', 'text', 'grüße 🚀', [], [1, [null]], {}, { a: { b: [1, 'c'] } }];
const OFFLINE = { status: 404, code: 'DeviceNotOnline' };

async function refused(promise) {
  const { status, code } = await refusal(promise);
  return { status, code };
}

module.exports = {
  async method_payloads_of_every_json_kind(context) {
    const identity = await create(context);
    const client = await connect(context, identity);
    const requests = new Waiting();
    await handle(client, 'act', (request, response) => {
      requests.put(request);
      response.send(200, request.payload);
    });
    for (const payload of KINDS) {
      const result = await invoke(identity, 'act', payload);
      assert.deepEqual((await requests.take('the request')).payload, payload);
      assert.deepEqual(result, { status: 200, payload });
    }
  },

  async method_status_is_the_clients_own(context) {
    const identity = await create(context);
    const client = await connect(context, identity);
    await handle(client, 'SetSpeed', (request, response) => response.send(request.payload, { name: request.methodName }));
    // The SDK takes no 0.
    for (const status of [1, 200, 404, 500, 12345]) {
      assert.deepEqual(await invoke(identity, 'SetSpeed', status), { status, payload: { name: 'SetSpeed' } });
    }
  },

  async method_to_an_offline_client(context) {
    const identity = await create(context);
    assert.deepEqual(await refused(invoke(identity, 'act', null)), OFFLINE);
    const client = await connect(context, identity);
    await handle(client, 'act', (request, response) => response.send(200, request.payload));
    assert.equal((await invoke(identity, 'act', 1)).payload, 1);
    await client.close();
    await until(async () => (await stateOf(identity)) === 'Disconnected', 'the client is away');
    assert.deepEqual(await refused(invoke(identity, 'act', null)), OFFLINE);
  },

  async method_without_an_answer(context) {
    const identity = await create(context);
    const client = await connect(context, identity);
    await handle(client, 'act', () => {});
    const expected = { status: 504, code: 'GatewayTimeout' };
    assert.deepEqual(await refused(invoke(identity, 'act', null, { response: 5 })), expected);
  },

  async method_waits_for_the_client_to_connect(context) {
    const identity = await create(context);
    const result = invoke(identity, 'act', 1, { connect: 20 });
    const client = await clientOf(identity);
    context.opened.push(client);
    await client.open();
    await handle(client, 'act', (request, response) => response.send(200, request.payload));
    assert.deepEqual(await result, { status: 200, payload: 1 });
  },

  async methods_run_side_by_side(context) {
    const identity = await create(context);
    const client = await connect(context, identity);
    let slowHasCome;
    const slowIsHere = new Promise((resolve) => {
      slowHasCome = resolve;
    });
    await handle(client, 'slow', (_request, response) => slowHasCome(response));
    await handle(client, 'fast', (_request, response) => response.send(200, 'fast'));
    const slow = invoke(identity, 'slow', null);
    const response = await soon(slowIsHere, 'the slow method');
    assert.equal((await invoke(identity, 'fast', null)).payload, 'fast');
    response.send(200, 'slow');
    assert.equal((await slow).payload, 'slow');
  },
};
