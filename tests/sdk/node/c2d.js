'use strict';
// Cloud to device.

const assert = require('node:assert/strict');
const { behaviour, clientOf, connect, create, receive, registry, sendC2d } = require('./harness');

const text = (message) => message.data.toString();
const inSeconds = (seconds) => new Date(Date.now() + seconds * 1000).toISOString();

behaviour('c2d_arrives_with_its_properties', async (context) => {
  const device = await create();
  const messages = receive(await connect(context, device));
  const properties = 'plain=value;with space=a b;umlaut-ä=grüße 🚀;signs=a&b/c?d%e+f';
  await sendC2d(
    device, '{"open":true}', '--message-id', 'message-1', '--correlation-id', 'correlation/1', '--user-id', 'someone',
    '--content-type', 'application/json', '--content-encoding', 'utf-8', '--properties', properties,
  );
  const message = await messages.take('the message');
  assert.equal(text(message), '{"open":true}');
  assert.equal(message.messageId, 'message-1');
  assert.equal(message.correlationId, 'correlation/1');
  assert.equal(message.userId, 'someone');
  assert.equal(message.contentType, 'application/json');
  assert.equal(message.contentEncoding, 'utf-8');
  const got = Object.fromEntries(message.properties.propertyList.map(({ key, value }) => [key, value]));
  for (const pair of properties.split(';')) {
    const [key, value] = pair.split('=');
    assert.equal(got[key], value);
  }
});

behaviour('c2d_of_the_past_is_not_delivered', async (context) => {
  const device = await create();
  const over = Date.now() + 1100;
  await sendC2d(device, 'soon over', '--expiry-time-utc', inSeconds(1));
  // The moment itself is the condition: a message sent after it must be the only one to arrive.
  while (Date.now() < over) await registry.get(device.device);
  await sendC2d(device, 'in time', '--expiry-time-utc', inSeconds(600));
  const messages = receive(await connect(context, device));
  assert.equal(text(await messages.take('the message in time')), 'in time');
  assert.equal(messages.items.length, 0);
});

behaviour('c2d_waits_for_its_device', async (context) => {
  const device = await create();
  for (const body of ['0', '1', '2']) await sendC2d(device, body);
  const first = clientOf(device);
  context.opened.push(first);
  await first.open();
  const messages = receive(first);
  for (const body of ['0', '1', '2']) assert.equal(text(await messages.take(`message ${body}`)), body);
  await first.close();
  // What was completed is not sent again.
  await sendC2d(device, 'next');
  const again = receive(await connect(context, device));
  assert.equal(text(await again.take('the next message')), 'next');
});
