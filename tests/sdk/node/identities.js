'use strict';
// Identities made by the service SDK, how they prove who they are, and clients of the device SDK for them.

const crypto = require('node:crypto');

const { DefaultErrorFilter } = require('azure-iot-common/dist/retry_error_filter');
const { Client, ModuleClient, Message, Twin } = require('azure-iot-device');
const { Amqp, AmqpWs } = require('azure-iot-device-amqp');
const { Http } = require('azure-iot-device-http');
const { Mqtt, MqttWs } = require('azure-iot-device-mqtt');
const { ask, registry, service, shown, thingstead, until, Waiting } = require('./harness');

const TRANSPORTS = { mqtt: Mqtt, 'mqtt-ws': MqttWs, amqp: Amqp, 'amqp-ws': AmqpWs, https: Http };
const MODULE = 'camera';

/** The errors that the SDK tries again by itself, but after half a second, and for ever. */
class SoonAgain {
  constructor() {
    this.isTransient = new DefaultErrorFilter();
  }

  shouldRetry(error) {
    return this.isTransient[error.name] === true;
  }

  nextRetryTimeout() {
    return 500;
  }
}

/** What the registry has to know, and what the client presents: by the kind of credential. */
const CREDENTIALS = {
  sas: async () => {
    const symmetricKey = newKeys();
    return { authentication: { type: 'sas', symmetricKey }, ...symmetricKey };
  },
  'x509-self-signed': async () => {
    const [primary, secondary] = [await ask('self-signed'), await ask('self-signed')];
    // Both lengths that the registry takes.
    const x509Thumbprint = { primaryThumbprint: primary.sha256, secondaryThumbprint: secondary.sha1 };
    return { authentication: { type: 'selfSigned', x509Thumbprint }, primary, secondary };
  },
  'x509-ca': async (device) => {
    const primary = await ask(`leaf?${encodeURIComponent(device)}`);
    return { authentication: { type: 'certificateAuthority' }, primary };
  },
};

/** Creates a device of a new name, as the cell wants it; with a module where the cell is one or a name is given. */
async function create({ cell = {} } = {}, { module, status = 'enabled' } = {}) {
  const device = `device-${crypto.randomBytes(6).toString('hex')}`;
  const own = cell.kind === 'module' ? MODULE : module;
  const credential = cell.credential ?? 'sas';
  const identity = { device, module: own, credential, transport: cell.transport ?? 'mqtt' };
  if (own === undefined) {
    const { authentication, ...secrets } = await CREDENTIALS[credential](device);
    await registry.create({ deviceId: device, status, authentication });
    return { ...identity, ...secrets };
  }
  await registry.create({ deviceId: device, status, authentication: (await CREDENTIALS.sas()).authentication });
  const { authentication, ...secrets } = await CREDENTIALS[credential](`${device}/${own}`);
  await registry.addModule({ deviceId: device, moduleId: own, authentication });
  return { ...identity, ...secrets };
}

/** One more module of the device, with keys of its own. */
async function addModule(identity, module) {
  const { authentication, ...secrets } = await CREDENTIALS.sas();
  await registry.addModule({ deviceId: identity.device, moduleId: module, authentication });
  return { ...identity, module, ...secrets };
}

function newKeys() {
  const key = () => crypto.randomBytes(32).toString('base64');
  return { primaryKey: key(), secondaryKey: key() };
}

function connectionString(identity, key = identity.primaryKey) {
  const module = identity.module ? `;ModuleId=${identity.module}` : '';
  const proof = identity.credential === 'sas' ? `SharedAccessKey=${key}` : 'x509=true';
  const gateway = identity.gateway ? `;GatewayHostName=${identity.gateway}` : '';
  return `HostName=${identity.host ?? shown.hostName};DeviceId=${identity.device}${module};${proof}${gateway}`;
}

/** A client that is not connected yet; `slot` is `primary`, `secondary`, or `wrong` for what belongs to nobody. */
async function clientOf(identity, slot = 'primary') {
  const kind = identity.module ? ModuleClient : Client;
  const transport = TRANSPORTS[identity.transport];
  if (identity.credential === 'sas') {
    const key = slot === 'wrong' ? newKeys().primaryKey : identity[`${slot}Key`];
    return prepare(kind.fromConnectionString(connectionString(identity, key), transport));
  }
  const wrong = identity.credential === 'x509-ca' ? 'leaf?another-device' : 'self-signed';
  const { certificate, key } = slot === 'wrong' ? await ask(wrong) : identity[slot];
  const client = kind.fromConnectionString(connectionString(identity), transport);
  const taken = client.setOptions({ cert: certificate, key });
  // The SDK's HTTPS transport takes a certificate at once, and never says that it did.
  if (identity.transport !== 'https') await taken;
  return prepare(client);
}

function prepare(client) {
  client.setRetryPolicy(new SoonAgain());
  // A client without a listener ends the process when its connection is lost for good.
  client.on('error', () => {});
  if (client._transport instanceof Http) {
    client._transport.setOptions({ http: { receivePolicy: { interval: 0.05, drain: true } } });
  }
  return client;
}

/**
 * The SDK subscribes when a listener is added, and again when its connection was lost, as often as it takes, and tells nobody
 * when the hub has agreed. It is counted on the transport, which a client shares with its twin: from the wish to the agreement,
 * so that one that waits to try again counts.
 */
const SUBSCRIBING = [
  [Client, '_enableC2D'],
  [Client, '_enableMethods'],
  [ModuleClient, '_enableInputMessages'],
  [ModuleClient, '_enableMethods'],
  [Twin, 'enableTwinDesiredPropertiesUpdates'],
];

for (const [kind, name] of SUBSCRIBING) {
  const enable = kind.prototype[name];
  kind.prototype[name] = function counted(callback) {
    const transport = this._transport;
    let pending = true;
    transport.subscribing = (transport.subscribing ?? 0) + 1;
    enable.call(this, (error) => {
      if (pending) transport.subscribing -= 1;
      pending = false;
      callback(error);
    });
  };
}

/** Returns when the hub has agreed to every subscription begun so far. */
function subscribed(client) {
  return until(() => !client._transport.subscribing, 'the subscriptions are acknowledged');
}

/** A connected client, closed when the behaviour ends. */
async function connect(context, identity, slot) {
  const client = await clientOf(identity, slot);
  context.opened.push(client);
  await client.open();
  return client;
}

/** Takes the socket away under the SDK, as a dead network would: nobody says farewell. */
function cut(client) {
  const transport = client._transport;
  if (transport._mqtt) {
    transport._mqtt._mqttClient.stream.destroy();
    return;
  }
  const { socket } = transport._amqp._rheaConnection;
  // Of a WebSocket the AMQP library keeps a wrapper, whose end is a farewell; of a socket it notes an error alone.
  if (socket.destroy) socket.destroy(new Error('cut'));
  else socket.end();
}

/** A shared access signature; `lives` may lie in the past. */
function token(identity, key, { lives = 3600, policy } = {}) {
  const path = `${shown.hostName}/devices/${identity.device}`;
  const resource = encodeURIComponent(identity.module ? `${path}/modules/${identity.module}` : path);
  const expiry = Math.floor(Date.now() / 1000) + lives;
  const digest = crypto.createHmac('sha256', Buffer.from(key, 'base64')).update(`${resource}\n${expiry}`);
  const signature = encodeURIComponent(digest.digest('base64'));
  const name = policy ? `&skn=${policy}` : '';
  return `SharedAccessSignature sr=${resource}&sig=${signature}&se=${expiry}${name}`;
}

function policyKey(policy) {
  return /SharedAccessKey=(.*)$/.exec(shown.connectionStrings[policy])[1];
}

// The service's view of an identity, whether device or module

const address = (identity) => (identity.module ? [identity.device, identity.module] : [identity.device]);

async function stateOf(identity) {
  const answer = identity.module
    ? await registry.getModule(identity.device, identity.module)
    : await registry.get(identity.device);
  return answer.responseBody.connectionState;
}

async function setStatus(identity, status) {
  const device = (await registry.get(identity.device)).responseBody;
  await registry.update({ ...device, status });
}

async function remove(identity) {
  if (identity.module) await registry.removeModule(identity.device, identity.module);
  else await registry.delete(identity.device);
}

async function twinOf(identity) {
  const answer = identity.module
    ? await registry.getModuleTwin(identity.device, identity.module)
    : await registry.getTwin(identity.device);
  return answer.responseBody;
}

/** Patches the twin from the back end; the twin as the hub answers it. */
async function patchTwin(identity, patch, etag = '*') {
  const answer = identity.module
    ? await registry.updateModuleTwin(identity.device, identity.module, patch, etag)
    : await registry.updateTwin(identity.device, patch, etag);
  return answer.responseBody;
}

function desire(identity, desired, etag) {
  return patchTwin(identity, { properties: { desired } }, etag);
}

async function invoke(identity, methodName, payload, { response = 20, connect: connecting = 0 } = {}) {
  const call = { methodName, payload, responseTimeoutInSeconds: response, connectTimeoutInSeconds: connecting };
  return (await service.invokeDeviceMethod(...address(identity), call)).result;
}

/** Answers a method, whatever the SDK calls it for devices and for modules. */
async function handle(client, name, answer) {
  (client.onDeviceMethod ?? client.onMethod).call(client, name, answer);
  await subscribed(client);
}

/** Sends a cloud-to-device message; `properties` are the application's, `system` those of the service SDK's message. */
async function sendC2d(identity, body, { properties = {}, ...system } = {}) {
  if (shown.ports.amqp === undefined) return sendByCommandLine(identity, body, properties, system);
  const message = new Message(body);
  Object.assign(message, system);
  for (const [key, value] of Object.entries(properties)) message.properties.add(key, value);
  try {
    return await service.send(identity.device, message);
  } catch (error) {
    // The service SDK does not connect again by itself when the hub was restarted.
    if (error.name !== 'NotConnectedError') throw error;
    await service.close();
    await service.open();
    return service.send(identity.device, message);
  }
}

function sendByCommandLine(identity, body, properties, system) {
  const dashed = (name) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  const flags = Object.entries(system).flatMap(([name, value]) => [dashed(name), `${value}`]);
  const pairs = Object.entries(properties).map(([key, value]) => `${key}=${value}`);
  if (pairs.length > 0) flags.push('--properties', pairs.join(';'));
  return thingstead('c2d', 'send', '--device-id', identity.device, '--data', body, ...flags);
}

/** Messages of a client, each completed as it comes. */
function receive(client) {
  const messages = new Waiting();
  client.on('message', (message) => client.complete(message, () => messages.put(message)));
  return messages;
}

/** Desired patches, methods and (of a device) messages of a client, each answered. */
async function everything(client, identity) {
  const patches = new Waiting();
  const messages = identity.module ? undefined : receive(client);
  const twin = await client.getTwin();
  twin.on('properties.desired', (patch) => patches.put(patch));
  await handle(client, 'mark', (request, response) => response.send(200, request.payload));
  return { patches, messages };
}

/** All of it comes to the client object that subscribed at first. */
async function reaches(identity, { patches, messages }, mark) {
  await desire(identity, { mark });
  await until(() => patches.items.some((patch) => patch.mark === mark), `desired patch ${mark}`);
  const { status, payload } = await invoke(identity, 'mark', mark, { connect: 20 });
  if (status !== 200 || payload !== mark) throw new Error(`method ${mark} was answered with ${status} ${payload}`);
  if (messages === undefined) return;
  await sendC2d(identity, mark);
  await messages.takeBody(mark);
}

module.exports = {
  addModule, clientOf, connect, connectionString, create, cut, desire, everything, handle, invoke, Message, MODULE, newKeys,
  patchTwin, policyKey, prepare, reaches, receive, remove, sendC2d, setStatus, stateOf, subscribed, token, TRANSPORTS,
  twinOf,
};
