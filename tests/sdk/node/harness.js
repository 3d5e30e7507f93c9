'use strict';
// Declaring behaviours, waiting by condition, the hub's process, its log, and the service SDK.

const { describe, test } = require('node:test');
const { spawn, execFile } = require('node:child_process');
const http = require('node:http');
const readline = require('node:readline');
const { promisify } = require('node:util');

const { Registry, Client: ServiceClient } = require('azure-iothub');

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
    try {
      await run({ opened, cell });
    } finally {
      for (const client of opened) await close(client);
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
    if (performance.now() > deadline) throw new Error(`not within ${within} ms: ${what}`);
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

/** A command of `thingstead` against this hub. */
async function thingstead(...args) {
  const { stdout } = await run(process.env.BEHAVIOURS_BINARY, [...args, '--data-dir', process.env.BEHAVIOURS_DATA]);
  return stdout;
}

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

/** The hub's log, read while it grows: one reader for all behaviours, which look by device and module. */
class Log {
  constructor() {
    this.events = new Map();
    this.watch = undefined;
  }

  of(identity) {
    this.follow();
    return this.events.get(key(identity.device, identity.module)) ?? [];
  }

  /** Starts reading, again where the hub was restarted: then from the start, for the log is kept. */
  follow() {
    if (this.watch !== undefined) return;
    this.events = new Map();
    const args = ['events', 'watch', '--from', 'start', '-o', 'json', '--data-dir', process.env.BEHAVIOURS_DATA];
    const watch = spawn(process.env.BEHAVIOURS_BINARY, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    this.watch = watch;
    watch.unref();
    watch.stdout.unref();
    process.on('exit', () => watch.kill('SIGKILL'));
    watch.on('exit', () => {
      this.watch = undefined;
    });
    readline.createInterface({ input: watch.stdout }).on('line', (line) => this.read(line));
  }

  read(line) {
    const parsed = line.trim() === '' ? { notice: 'alive' } : JSON.parse(line);
    if ('notice' in parsed) return;
    const event = eventOf(parsed);
    const name = key(event.device, event.module);
    if (!this.events.has(name)) this.events.set(name, []);
    this.events.get(name).push(event);
  }
}

const key = (device, module) => `${device}/${module ?? ''}`;
const log = new Log();

/** The first events of a device or module. */
async function events(identity, count) {
  await until(() => log.of(identity).length >= count, () => `${count} events of ${identity.device}`);
  return log.of(identity);
}

/** The one place that knows how the stream spells an event. */
function eventOf(line) {
  const body = line.bodyEncoding === 'json' ? Buffer.from(JSON.stringify(line.body)) : Buffer.from(line.body, 'base64');
  return {
    device: line.deviceId,
    module: line.moduleId,
    body,
    system: { ...line.systemProperties, ...line.annotations },
    application: line.properties,
    output: line.systemProperties['iothub-outputname'],
  };
}

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

module.exports = { ask, behaviour, events, matrix, refusal, registry, service, shown, soon, thingstead, until, Waiting };
