'use strict';
// Device to cloud, in every cell.

const assert = require('node:assert/strict');
const { events, refusal } = require('../harness');
const { connect, create, Message, MODULE } = require('../identities');

const LARGEST = 256 * 1024;
const AWKWARD = {
  plain: 'value',
  'with space': 'a b',
  signs: 'a=b&c/d?e%f+g#h;i',
  'umlaut-ä': 'grüße 你好 🚀',
  empty: '',
};
// Over HTTPS a property is a header, which takes no other names and values; the SDK does not encode them.
const AS_HEADERS = { plain: 'value', signs: 'a=b&c/d?e%f+g#h;i', 'with-space': 'a b', empty: '' };
const METHODS = { sas: 'sas', 'x509-self-signed': 'x509Certificate', 'x509-ca': 'x509Certificate' };

const isAmqp = ({ transport }) => transport.startsWith('amqp');

function addressOf({ device, module }) {
  return module ? `/devices/${device}/modules/${module}/messages/events` : `/devices/${device}/messages/events`;
}

module.exports = {
  async telemetry_with_properties_arrives_intact(context) {
    const identity = await create(context);
    const client = await connect(context, identity);
    const properties = identity.transport === 'https' ? AS_HEADERS : AWKWARD;
    const message = new Message('{"temperature":21.5}');
    message.messageId = 'message-1';
    message.correlationId = 'correlation 1';
    message.contentType = 'application/json';
    message.contentEncoding = 'utf-8';
    for (const [key, value] of Object.entries(properties)) message.properties.add(key, value);
    await client.sendEvent(message);
    const [event] = await events(identity, 1);
    assert.equal(event.body.toString(), '{"temperature":21.5}');
    assert.deepEqual(event.application, properties);
    assert.equal(event.system['message-id'], 'message-1');
    assert.equal(event.system['correlation-id'], 'correlation 1');
    assert.equal(event.system['content-type'], 'application/json');
    assert.equal(event.system['content-encoding'], 'utf-8');
  },

  async telemetry_of_any_bytes_arrives_intact(context) {
    const identity = await create(context);
    const client = await connect(context, identity);
    const body = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    await client.sendEvent(new Message(body));
    const [event] = await events(identity, 1);
    assert.deepEqual(event.body, body);
  },

  async telemetry_without_a_body_arrives(context) {
    const identity = await create(context);
    const client = await connect(context, identity);
    const message = new Message('');
    message.properties.add('key', 'value');
    await client.sendEvent(message);
    const [event] = await events(identity, 1);
    assert.equal(event.body.length, 0);
    assert.deepEqual(event.application, { key: 'value' });
  },

  async telemetry_of_the_largest_size_arrives(context) {
    const identity = await create(context);
    const client = await connect(context, identity);
    // Over AMQP the SDK names the address in each message, which counts as a system property.
    const address = isAmqp(identity) ? addressOf(identity) : '';
    const largest = new Message(Buffer.alloc(LARGEST - 'key'.length - 'value'.length - address.length, 'x'));
    largest.properties.add('key', 'value');
    await client.sendEvent(largest);
    const tooLarge = new Message(Buffer.alloc(LARGEST + 1, 'x'));
    assert.equal((await refusal(client.sendEvent(tooLarge))).name, 'MessageTooLargeError');
    await client.sendEvent(new Message('after'));
    const [first, second] = await events(identity, 2);
    assert.deepEqual(first.body, largest.data);
    assert.deepEqual(first.application, { key: 'value' });
    assert.equal(second.body.toString(), 'after');
  },

  async telemetry_keeps_its_order(context) {
    const identity = await create(context);
    const client = await connect(context, identity);
    const bodies = Array.from({ length: 200 }, (_, number) => `${number}`);
    if (identity.transport === 'https') {
      // Each message is a request of its own, so that the order is that of the answers.
      for (const body of bodies) await client.sendEvent(new Message(body));
    } else {
      // They overlap: the next one leaves before the acknowledgement of the last one came.
      await Promise.all(bodies.map((body) => client.sendEvent(new Message(body))));
    }
    const got = await events(identity, bodies.length);
    assert.deepEqual(got.map((event) => event.body.toString()), bodies);
  },

  async telemetry_names_its_source(context) {
    const identity = await create(context);
    const client = await connect(context, identity);
    await client.sendEvent(new Message('plain'));
    const [event] = await events(identity, 1);
    assert.equal(event.system['iothub-connection-device-id'], identity.device);
    assert.equal(event.system['iothub-connection-module-id'], identity.module);
    const method = JSON.parse(event.system['iothub-connection-auth-method']);
    assert.equal(method.scope, context.cell.kind);
    assert.equal(method.type, METHODS[context.cell.credential]);
  },

  async output_of_a_module_is_named(context) {
    const module = await create(context);
    const client = await connect(context, module);
    await client.sendOutputEvent('pictures', new Message('frame'));
    await client.sendEvent(new Message('plain'));
    const [first, second] = await events(module, 2);
    assert.equal(first.body.toString(), 'frame');
    assert.equal(first.system['iothub-connection-module-id'], MODULE);
    assert.equal(first.output, 'pictures');
    assert.equal(second.output, undefined);
  },
};
