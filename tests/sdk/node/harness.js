'use strict';
// Identities made by the service SDK, clients of the device SDK, waiting by condition, and the back end's view.

const { test } = require('node:test');
const { spawn, execFile } = require('node:child_process');
const crypto = require('node:crypto');
const http = require('node:http');
const readline = require('node:readline');
const { promisify } = require('node:util');

const { Client, ModuleClient, Message } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const { Registry, Client: ServiceClient } = require('azure-iothub');

const shown = JSON.parse(process.env.BEHAVIOURS_HUB);
const owner = shown.connectionStrings.iothubowner;
const WITHIN_MS = 20_000;
const LOOK_EVERY_MS = 10;
// No behaviour takes this long; a hanging one must not hold up the run.
const BEHAVIOUR_WITHIN_MS = 120_000;

const registry = Registry.fromConnectionString(owner);
const methods = ServiceClient.fromConnectionString(owner);

/** Declares a behaviour; the function gets what it needs to clean up after itself. */
function behaviour(name, run) {
  test(name, { timeout: BEHAVIOUR_WITHIN_MS }, async () => {
    const opened = [];
    try {
      await run({ opened });
    } finally {
      for (const client of opened) await close(client);
    }
  });
}

/** A lost or refused connection is tried again after half a second, for ever. */
class SoonAgain {
  shouldRetry(error) {
    return !['UnauthorizedError', 'DeviceNotFoundError'].includes(error.name);
  }

  nextRetryTimeout() {
    return 500;
  }
}

/** Creates a device of a new name, with keys of its own; with a module where a name is given. */
async function create({ module, status = 'enabled' } = {}) {
  const device = `device-${crypto.randomBytes(6).toString('hex')}`;
  const keys = newKeys();
  await registry.create({ deviceId: device, status, authentication: { type: 'sas', symmetricKey: keys } });
  if (module === undefined) return { device, module, ...keys };
  const own = newKeys();
  await registry.addModule({ deviceId: device, moduleId: module, authentication: { type: 'sas', symmetricKey: own } });
  return { device, module, ...own };
}

function newKeys() {
  const key = () => crypto.randomBytes(32).toString('base64');
  return { primaryKey: key(), secondaryKey: key() };
}

function connectionString(identity, key = identity.primaryKey) {
  const module = identity.module ? `;ModuleId=${identity.module}` : '';
  return `HostName=${shown.hostName};DeviceId=${identity.device}${module};SharedAccessKey=${key}`;
}

/** A client that is not connected yet. */
function clientOf(identity, key) {
  const kind = identity.module ? ModuleClient : Client;
  return prepare(kind.fromConnectionString(connectionString(identity, key), Mqtt));
}

function prepare(client) {
  client.setRetryPolicy(new SoonAgain());
  // A client without a listener ends the process when its connection is lost for good.
  client.on('error', () => {});
  countSubscriptions(client);
  return client;
}

/** The SDK subscribes when a listener is added, and tells nobody when the hub has agreed. */
function countSubscriptions(client) {
  const transport = client._transport;
  client.subscribing = 0;
  for (const name of ['enableMethods', 'enableTwinDesiredPropertiesUpdates']) {
    const enable = transport[name].bind(transport);
    transport[name] = (callback) => {
      client.subscribing += 1;
      enable((error) => {
        client.subscribing -= 1;
        callback(error);
      });
    };
  }
}

/** Returns when the hub has agreed to every subscription begun so far. */
function subscribed(client) {
  return until(() => client.subscribing === 0, 'the subscriptions are acknowledged');
}

/** A connected client, closed when the behaviour ends. */
async function connect(context, identity) {
  const client = clientOf(identity);
  context.opened.push(client);
  await client.open();
  return client;
}

async function close(client) {
  client.removeAllListeners('message');
  await client.close().catch(() => {});
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

/** Calls `condition` until it returns something true, and returns that. */
async function until(condition, what, within = WITHIN_MS) {
  const deadline = performance.now() + within;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (performance.now() > deadline) throw new Error(`not within ${within} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

/** Things in the order they came; `take` waits for the next one. */
class Waiting {
  constructor() {
    this.items = [];
    this.bodies = new Set();
  }

  put(item) {
    this.items.push(item);
  }

  async take(what, within) {
    await until(() => this.items.length > 0, what, within);
    return this.items.shift();
  }

  /** The message with that body. Delivery is at least once: those that came before may come again in front of it. */
  async takeBody(wanted) {
    for (;;) {
      const body = (await this.take(`message ${wanted}`)).data.toString();
      if (body === wanted) break;
      if (!this.bodies.has(body)) throw new Error(`${body} came instead of ${wanted}`);
    }
    this.bodies.add(wanted);
  }
}

/** Messages of a client, each completed as it comes. */
function receive(client) {
  const messages = new Waiting();
  client.on('message', (message) => client.complete(message, () => messages.put(message)));
  return messages;
}

const run = promisify(execFile);

/** A command of `thingstead` against this hub. */
async function thingstead(...args) {
  const { stdout } = await run(process.env.BEHAVIOURS_BINARY, [...args, '--data-dir', process.env.BEHAVIOURS_DATA]);
  return stdout;
}

/** Sends a cloud-to-device message by the command line. */
function sendC2d(identity, body, ...flags) {
  return thingstead('c2d', 'send', '--device-id', identity.device, '--data', body, ...flags);
}

/** Restarts the hub: `stop` in the orderly way, `kill` the hard one. Returns when it is ready again. */
function restart(how) {
  return new Promise((resolve, reject) => {
    const request = http.request(`${process.env.BEHAVIOURS_CONTROL}/${how}`, { method: 'POST' }, (answer) => {
      answer.resume();
      answer.on('end', resolve);
    });
    request.on('error', reject);
    request.end();
  });
}

/** The first events of a device or module, read from the hub's log while it grows. */
async function events(identity, count) {
  const args = ['events', 'watch', '--from', 'start', '-o', 'json', '--data-dir', process.env.BEHAVIOURS_DATA];
  const watch = spawn(process.env.BEHAVIOURS_BINARY, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const found = [];
  readline.createInterface({ input: watch.stdout }).on('line', (line) => {
    const parsed = line.trim() === '' ? { notice: 'alive' } : JSON.parse(line);
    if ('notice' in parsed) return;
    const event = eventOf(parsed);
    if (event.device === identity.device && event.module === (identity.module ?? null)) found.push(event);
  });
  try {
    await until(() => found.length >= count, `${count} events of ${identity.device}`);
  } finally {
    watch.kill('SIGKILL');
  }
  return found;
}

/** The one place that knows how the stream spells an event. */
function eventOf(line) {
  const body = line.bodyEncoding === 'json' ? Buffer.from(JSON.stringify(line.body)) : Buffer.from(line.body, 'base64');
  return {
    device: line.deviceId,
    module: line.moduleId ?? null,
    body,
    system: { ...line.systemProperties, ...line.annotations },
    application: line.properties,
  };
}

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

/** The status and the error code's name that a call of the service SDK is refused with. */
async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    const body = typeof error.responseBody === 'string' ? JSON.parse(error.responseBody) : error.responseBody;
    const code = /^ErrorCode:(\w+);/.exec(body?.Message)?.[1];
    return { status: error.response?.statusCode, code, name: error.name };
  }
  throw new Error('the call was not refused');
}

module.exports = {
  behaviour, clientOf, connect, connectionString, create, events, methods, Message, newKeys, policyKey, prepare,
  receive, refusal, registry, restart, sendC2d, setStatus, shown, stateOf, subscribed, thingstead, token, until, Waiting,
};
