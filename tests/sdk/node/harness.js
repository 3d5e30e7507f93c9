'use strict';
// Declaring behaviours, waiting by condition, the hub's process, its log, and the service SDK.

const { after, describe, test } = require('node:test');
const { execFile } = require('node:child_process');
const http = require('node:http');
const { promisify } = require('node:util');

const { Registry, Client: ServiceClient } = require('azure-iothub');
const { EventHubLog, WatchedLog } = require('./log');

const shown = JSON.parse(process.env.BEHAVIOURS_HUB);
const owner = shown.connectionStrings.iothubowner;
const pick = process.env.BEHAVIOURS_PICK ?? '';
const WITHIN_MS = 20_000;
const LOOK_EVERY_MS = 10;
// No behaviour takes this long; a hanging one must not hold up the run.
const BEHAVIOUR_WITHIN_MS = 60_000;
// Behaviours of the matrix that run at the same time: most of them wait.
const SIDE_BY_SIDE = 8;

const registry = Registry.fromConnectionString(owner);
const service = ServiceClient.fromConnectionString(owner);

/** Declares a behaviour that is shown once; the function gets what it needs to clean up after itself. */
function behaviour(name, run) {
  if (name.includes(pick)) declare(name, run, {});
}

/** Declares the behaviours of the matrix: a test for each behaviour that a cell of the plan has. */
function matrix(plan, behaviours) {
  describe('matrix', { concurrency: SIDE_BY_SIDE }, () => {
    for (const [name, run] of Object.entries(behaviours)) {
      for (const { cell, names } of plan) {
        const title = `${cell.name} / ${name}`;
        if (names.includes(name) && title.includes(pick)) declare(title, run, cell);
      }
    }
  });
}

function declare(title, run, cell) {
  test(title, { timeout: BEHAVIOUR_WITHIN_MS }, async () => {
    const opened = [];
    const atTheEnd = [];
    try {
      await run({ opened, atTheEnd, cell });
    } finally {
      for (const client of opened) await close(client);
      for (const clear of atTheEnd.reverse()) await clear();
    }
  });
}

async function close(client) {
  client.removeAllListeners('message');
  await client.close().catch(() => {});
}

/** Calls `condition` until it returns something true, and returns that. */
async function until(condition, what, within = WITHIN_MS) {
  const deadline = performance.now() + within;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (performance.now() > deadline) {
      throw new Error(`not within ${within} ms: ${typeof what === 'function' ? what() : what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

/** A promise's value, or a failure that says what did not come. */
function soon(promise, what, within = WITHIN_MS) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${within} ms: ${what}`)), within);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
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
      const message = await this.take(`message ${wanted}`);
      const body = message.data.toString();
      if (body === wanted) {
        this.bodies.add(wanted);
        return message;
      }
      if (!this.bodies.has(body)) throw new Error(`${body} came instead of ${wanted}`);
    }
  }
}

const run = promisify(execFile);

/** A command of `thingstead` against the hub of a data folder. */
async function thingsteadOn(folder, ...args) {
  const { stdout } = await run(process.env.BEHAVIOURS_BINARY, [...args, '--data-dir', folder]);
  return stdout;
}

/** A command of `thingstead` against this hub. */
const thingstead = (...args) => thingsteadOn(process.env.BEHAVIOURS_DATA, ...args);

/** Asks the runner: it restarts the hub (`stop`, `kill`) and makes certificates. */
function ask(path) {
  return new Promise((resolve, reject) => {
    const request = http.request(`${process.env.BEHAVIOURS_CONTROL}/${path}`, { method: 'POST' }, (answer) => {
      let text = '';
      answer.on('data', (part) => {
        text += part;
      });
      answer.on('end', () => {
        if (answer.statusCode >= 300) reject(new Error(`the runner answered ${answer.statusCode}: ${text}`));
        else resolve(text === '' ? undefined : JSON.parse(text));
      });
    });
    request.on('error', reject);
    request.end();
  });
}

const log = shown.ports.amqp
  ? new EventHubLog(shown.events.connectionString)
  : new WatchedLog(process.env.BEHAVIOURS_BINARY, process.env.BEHAVIOURS_DATA);

/** What back ends are told of cloud-to-device messages, by the message's id: one receiver for all behaviours. */
class Feedback {
  constructor() {
    this.records = new Map();
    this.receiver = undefined;
  }

  open() {
    this.receiver ??= new Promise((resolve, reject) => {
      service.getFeedbackReceiver((error, receiver) => {
        if (error) return reject(error);
        receiver.on('message', (message) => {
          for (const record of JSON.parse(message.data)) this.records.set(record.originalMessageId, record);
          receiver.complete(message, () => {});
        });
        return resolve(receiver);
      });
    });
    return this.receiver;
  }
}

const told = new Feedback();

/** The record about one message. */
async function feedback(messageId) {
  await told.open();
  return until(() => told.records.get(messageId), `feedback about ${messageId}`);
}

after(async () => {
  await log.close();
  await service.close().catch(() => {});
});

/** The first events of a device or module, in the log of its hub. */
async function eventsIn(read, identity, count) {
  await until(
    () => read.of(identity).length >= count,
    () => `${count} events of ${identity.device}, ${read.of(identity).length} came; the reader's errors: ${read.errors}`,
  );
  return read.of(identity);
}

/** The first events of a device or module. */
const events = (identity, count) => eventsIn(log, identity, count);

/** The status and the error code's name that a call is refused with, and the name of the SDK's error. */
async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    const body = typeof error.responseBody === 'string' ? JSON.parse(error.responseBody) : error.responseBody;
    const code = /^ErrorCode:(\w+);/.exec(body?.Message)?.[1];
    return { status: error.response?.statusCode, code, name: error.name, message: error.message };
  }
  throw new Error('the call was not refused');
}

module.exports = {
  ask, behaviour, events, eventsIn, feedback, matrix, refusal, registry, service, shown, soon, thingstead, thingsteadOn, until,
  Waiting,
};
