'use strict';
// Device to cloud.

const assert = require('node:assert/strict');
const { behaviour, connect, create, events, Message } = require('./harness');

const AWKWARD = {
  plain: 'value',
  'with space': 'a b',
  signs: 'a=b&c/d?e%f+g#h;i',
  'umlaut-ä': 'grüße 你好 🚀',
  empty: '',
};

behaviour('telemetry_with_properties_arrives_intact', async (context) => {
  const device = await create();
  const client = await connect(context, device);
  const message = new Message('{"temperature":21.5}');
  message.messageId = 'message-1';
  message.correlationId = 'correlation 1';
  message.userId = 'someone';
  message.contentType = 'application/json';
  message.contentEncoding = 'utf-8';
  for (const [key, value] of Object.entries(AWKWARD)) message.properties.add(key, value);
  await client.sendEvent(message);
  const [event] = await events(device, 1);
  assert.equal(event.body.toString(), '{"temperature":21.5}');
  assert.deepEqual(event.application, AWKWARD);
  assert.equal(event.system['message-id'], 'message-1');
  assert.equal(event.system['correlation-id'], 'correlation 1');
  assert.equal(event.system['user-id'], 'someone');
  assert.equal(event.system['content-type'], 'application/json');
  assert.equal(event.system['content-encoding'], 'utf-8');
  assert.equal(event.system['iothub-connection-device-id'], device.device);
});

behaviour('telemetry_of_any_bytes_arrives_intact', async (context) => {
  const device = await create();
  const client = await connect(context, device);
  const body = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  await client.sendEvent(new Message(body));
  const [event] = await events(device, 1);
  assert.deepEqual(event.body, body);
});

behaviour('telemetry_keeps_its_order', async (context) => {
  const device = await create();
  const client = await connect(context, device);
  const bodies = Array.from({ length: 200 }, (_, number) => `${number}`);
  // Publishes overlap: the next one leaves before the acknowledgement of the last one came.
  await Promise.all(bodies.map((body) => client.sendEvent(new Message(body))));
  const got = await events(device, bodies.length);
  assert.deepEqual(got.map((event) => event.body.toString()), bodies);
});

behaviour('telemetry_of_a_module_names_it', async (context) => {
  const module = await create({ module: 'camera' });
  const client = await connect(context, module);
  await client.sendOutputEvent('pictures', new Message('frame'));
  const [event] = await events(module, 1);
  assert.equal(event.body.toString(), 'frame');
  assert.equal(event.system['iothub-connection-module-id'], 'camera');
});
