'use strict';
// Direct methods.

const assert = require('node:assert/strict');
const { behaviour, connect, create, methods, refusal, subscribed, Waiting } = require('./harness');

const KINDS = [null, true, false, 0, -7, 2.5, 1e100, '', 'text', 'grüße 🚀', [], [1, [null]], {}, { a: { b: [1, 'c'] } }];

async function invoke(identity, methodName, payload, responseTimeoutInSeconds = 20) {
  const call = { methodName, payload, responseTimeoutInSeconds, connectTimeoutInSeconds: 0 };
  const target = identity.module ? [identity.device, identity.module] : [identity.device];
  return (await methods.invokeDeviceMethod(...target, call)).result;
}

behaviour('method_payloads_of_every_json_kind', async (context) => {
  const device = await create();
  const client = await connect(context, device);
  const requests = new Waiting();
  await handle(client, 'act', (request, response) => {
    requests.put(request);
    response.send(200, request.payload);
  });
  for (const payload of KINDS) {
    const result = await invoke(device, 'act', payload);
    assert.deepEqual((await requests.take('the request')).payload, payload);
    assert.deepEqual(result, { status: 200, payload });
  }
});

behaviour('method_status_is_the_devices_own', async (context) => {
  const device = await create();
  const client = await connect(context, device);
  await handle(client, 'SetSpeed', (request, response) => response.send(request.payload, { name: request.methodName }));
  // The SDK takes no 0.
  for (const status of [1, 200, 404, 500, 12345]) {
    assert.deepEqual(await invoke(device, 'SetSpeed', status), { status, payload: { name: 'SetSpeed' } });
  }
});

behaviour('method_to_an_offline_device', async () => {
  const device = await create();
  const { status, code } = await refusal(invoke(device, 'act', null));
  assert.deepEqual({ status, code }, { status: 404, code: 'DeviceNotOnline' });
});

behaviour('method_without_an_answer', async (context) => {
  const device = await create();
  const client = await connect(context, device);
  await handle(client, 'act', () => {});
  const { status, code } = await refusal(invoke(device, 'act', null, 5));
  assert.deepEqual({ status, code }, { status: 504, code: 'GatewayTimeout' });
});

behaviour('method_reaches_a_module', async (context) => {
  const module = await create({ module: 'camera' });
  const client = await connect(context, module);
  await handle(client, 'act', (request, response) => response.send(201, { got: request.payload }));
  assert.deepEqual(await invoke(module, 'act', 'x'), { status: 201, payload: { got: 'x' } });
});

/** Answers a method, whatever the SDK calls it for devices and for modules. */
async function handle(client, name, answer) {
  (client.onDeviceMethod ?? client.onMethod).call(client, name, answer);
  await subscribed(client);
}
