'use strict';
// Cloud to device, in every cell.

const assert = require('node:assert/strict');
const { clientOf, connect, create, cut, receive, sendC2d } = require('../identities');

const text = (message) => message.data.toString();

module.exports = {
  async c2d_arrives_with_its_properties(context) {
    const device = await create(context);
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
};
