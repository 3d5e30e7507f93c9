'use strict';
// Several messages in one request, which only HTTPS has.

const assert = require('node:assert/strict');
const { behaviour, events } = require('./harness');
const { connect, create, Message } = require('./identities');

behaviour('batch_arrives_in_its_order', async (context) => {
  const device = await create({ cell: { transport: 'https' } });
  const client = await connect(context, device);
  const bodies = Array.from({ length: 50 }, (_, number) => Buffer.from([number, 255 - number]));
  const messages = bodies.map((body, number) => {
    const message = new Message(body);
    message.properties.add('number', `${number}`);
    return message;
  });
  await client.sendEventBatch(messages);
  const got = await events(device, bodies.length);
  assert.deepEqual(got.map((event) => event.body), bodies);
  assert.deepEqual(got.map((event) => event.application.number), bodies.map((_, number) => `${number}`));
});
