'use strict';
// What modules do among themselves, beyond what every cell of the matrix shows.

const assert = require('node:assert/strict');
const { behaviour, shown } = require('./harness');
const { addModule, connect, create, handle, MODULE } = require('./identities');

behaviour('module_calls_a_method', async (context) => {
  // The SDK sends calls to a gateway alone, which here is the hub itself.
  const gateway = { gateway: shown.hostName };
  const caller = { ...(await create({}, { module: MODULE })), ...gateway };
  const called = await addModule(caller, 'lamp');
  const stranger = { ...(await create({}, { module: MODULE })), ...gateway };
  const lamp = await connect(context, called);
  await handle(lamp, 'light', (request, response) => response.send(202, { got: request.payload }));
  const call = { methodName: 'light', payload: { on: true }, responseTimeoutInSeconds: 20 };
  const camera = await connect(context, caller);
  const answer = await camera.invokeMethod(called.device, 'lamp', call);
  assert.equal(answer.status, 202);
  assert.deepEqual(answer.payload, { got: { on: true } });
  // A module of another device may not.
  const other = await connect(context, stranger);
  await assert.rejects(other.invokeMethod(called.device, 'lamp', call));
});
