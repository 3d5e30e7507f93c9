'use strict';
// Cloud to device, in every cell.

const assert = require('node:assert/strict');
const { randomUUID } = require('node:crypto');
const { feedback, registry, Waiting } = require('../harness');
const { clientOf, connect, create, cut, receive, sendC2d } = require('../identities');

// The hub's default: it delivers a message so often, and then says so.
const DELIVERIES = 10;

const PROPERTIES = { plain: 'value', 'with space': 'a b', 'umlaut-ä': 'grüße 🚀', signs: 'a&b/c?d%e+f' };
// Over HTTPS a property is a header, which takes no other names and values.
const AS_HEADERS = { plain: 'value', signs: 'a&b/c?d%e+f' };

const text = (message) => message.data.toString();

module.exports = {
  async c2d_arrives_with_its_properties(context) {
    const device = await create(context);
    const messages = receive(await connect(context, device));
    const properties = device.transport === 'https' ? AS_HEADERS : PROPERTIES;
    await sendC2d(device, '{"open":true}', {
      messageId: 'message-1',
      correlationId: 'correlation/1',
      contentType: 'application/json',
      contentEncoding: 'utf-8',
      properties,
    });
    const message = await messages.take('the message');
    assert.equal(text(message), '{"open":true}');
    assert.equal(message.messageId, 'message-1');
    assert.equal(message.correlationId, 'correlation/1');
    assert.equal(message.contentType, 'application/json');
    assert.equal(message.contentEncoding, 'utf-8');
    const got = Object.fromEntries(message.properties.propertyList.map(({ key, value }) => [key, value]));
    for (const [key, value] of Object.entries(properties)) assert.equal(got[key], value);
  },

  async c2d_waits_for_its_device(context) {
    const device = await create(context);
    for (const body of ['0', '1', '2']) await sendC2d(device, body);
    const first = await clientOf(device);
    context.opened.push(first);
    await first.open();
    const messages = receive(first);
    for (const body of ['0', '1', '2']) assert.equal(text(await messages.take(`message ${body}`)), body);
    await first.close();
    // What was completed is not sent again.
    await sendC2d(device, 'next');
    const again = receive(await connect(context, device));
    assert.equal(text(await again.take('the next message')), 'next');
  },

  async c2d_comes_through_a_lost_connection(context) {
    const device = await create(context);
    const client = await connect(context, device);
    const messages = receive(client);
    await sendC2d(device, 'before');
    await messages.takeBody('before');
    cut(client);
    const away = [0, 1, 2, 3, 4].map((number) => `while away ${number}`);
    for (const body of away) await sendC2d(device, body);
    for (const body of away) await messages.takeBody(body);
  },

  async c2d_completed_is_told(context) {
    const device = await create(context);
    const messages = receive(await connect(context, device));
    const messageId = `completed-${randomUUID()}`;
    await sendC2d(device, 'complete me', { messageId, ack: 'full' });
    assert.equal((await messages.take('the message')).messageId, messageId);
    const record = await feedback(messageId);
    assert.equal(record.statusCode, 'Success');
    assert.equal(record.deviceId, device.device);
    assert.equal(record.deviceGenerationId, (await registry.get(device.device)).responseBody.generationId);
  },

  async c2d_rejected_is_told(context) {
    const device = await create(context);
    const client = await connect(context, device);
    const messages = new Waiting();
    client.on('message', (message) => messages.put(message));
    const messageId = `rejected-${randomUUID()}`;
    await sendC2d(device, 'reject me', { messageId, ack: 'negative' });
    const message = await messages.take('the message');
    await client.reject(message);
    assert.equal((await feedback(messageId)).statusCode, 'Rejected');
    // What was rejected does not come again: the next one is another.
    await sendC2d(device, 'next');
    const next = await messages.take('the next message');
    assert.equal(text(next), 'next');
    await client.complete(next);
  },

  async c2d_abandoned_comes_again(context) {
    const device = await create(context);
    const client = await connect(context, device);
    const messages = new Waiting();
    client.on('message', (message) => messages.put(message));
    const messageId = `abandoned-${randomUUID()}`;
    await sendC2d(device, 'abandon me', { messageId, ack: 'full' });
    for (let delivery = 0; delivery < DELIVERIES; delivery += 1) {
      const message = await messages.take(`delivery ${delivery}`);
      assert.equal(message.messageId, messageId);
      await client.abandon(message);
    }
    assert.equal((await feedback(messageId)).statusCode, 'DeliveryCountExceeded');
    assert.equal(messages.items.length, 0);
  },
};
