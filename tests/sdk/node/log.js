'use strict';
// The back end's view: the hub's log, by the vendor's client for Event Hubs, or by the command line of the hub.

const { spawn } = require('node:child_process');
const readline = require('node:readline');

const { earliestEventPosition, EventHubConsumerClient } = require('@azure/event-hubs');

// A group of its own: behaviours about owners end the readers of `$Default`.
const GROUP = 'behaviours';
// The client's default is one event, and some 120 of them in a second.
const BATCH_MAX = 500;
const key = (device, module) => `${device}/${module ?? ''}`;

/** Events by device and module, in the order they came. */
class Log {
  constructor() {
    this.events = new Map();
    this.errors = [];
  }

  of(identity) {
    this.follow();
    return this.events.get(key(identity.device, identity.module)) ?? [];
  }

  keep(event) {
    const name = key(event.device, event.module);
    if (!this.events.has(name)) this.events.set(name, []);
    this.events.get(name).push(event);
  }
}

/** One reader of all partitions, from their start. */
class EventHubLog extends Log {
  constructor(connectionString) {
    super();
    this.connectionString = connectionString;
    this.client = undefined;
  }

  follow() {
    if (this.client !== undefined) return;
    this.client = new EventHubConsumerClient(GROUP, this.connectionString);
    const handlers = {
      processEvents: async (events, { partitionId: partition }) => {
        for (const event of events) this.keep({ ...eventOf(event), partition });
      },
      processError: async (error) => this.errors.push(error),
    };
    this.subscription = this.client.subscribe(handlers, {
      startPosition: earliestEventPosition, maxBatchSize: BATCH_MAX, maxWaitTimeInSeconds: 1, skipParsingBodyAsJson: true,
    });
  }

  async close() {
    await this.subscription?.close();
    await this.client?.close();
  }
}

/** `thingstead events watch`, started again where the hub was restarted: then from the start, for the log is kept. */
class WatchedLog extends Log {
  constructor(binary, folder) {
    super();
    this.command = [binary, ['events', 'watch', '--from', 'start', '-o', 'json', '--data-dir', folder]];
    this.watch = undefined;
  }

  follow() {
    if (this.watch !== undefined) return;
    this.events = new Map();
    const watch = spawn(...this.command, { stdio: ['ignore', 'pipe', 'ignore'] });
    this.watch = watch;
    watch.unref();
    watch.stdout.unref();
    process.on('exit', () => watch.kill('SIGKILL'));
    watch.on('exit', () => {
      this.watch = undefined;
    });
    readline.createInterface({ input: watch.stdout }).on('line', (line) => {
      const parsed = line.trim() === '' ? { notice: 'alive' } : JSON.parse(line);
      if (!('notice' in parsed)) this.keep(eventOfLine(parsed));
    });
  }

  async close() {
    this.watch?.kill('SIGKILL');
  }
}

/** What the tests look at, in the words of the Event Hubs client. */
function eventOf(event) {
  const raw = event.getRawAmqpMessage();
  const system = { ...raw.messageAnnotations };
  const names = { messageId: 'message-id', correlationId: 'correlation-id', contentType: 'content-type', contentEncoding: 'content-encoding' };
  for (const [from, to] of Object.entries(names)) if (raw.properties?.[from] !== undefined) system[to] = raw.properties[from];
  const { 'iothub-outputname': output, ...application } = event.properties ?? {};
  return {
    device: system['iothub-connection-device-id'],
    module: system['iothub-connection-module-id'],
    body: Buffer.isBuffer(event.body) ? event.body : Buffer.from(event.body ?? ''),
    system,
    application,
    output: output ?? system['iothub-outputname'],
    raw: event,
  };
}

/** What the tests look at, in the words of the hub's own stream. */
function eventOfLine(line) {
  const body = line.bodyEncoding === 'json' ? Buffer.from(JSON.stringify(line.body)) : Buffer.from(line.body, 'base64');
  return {
    device: line.deviceId,
    module: line.moduleId,
    body,
    system: { ...line.systemProperties, ...line.annotations },
    application: line.properties,
    output: line.systemProperties['iothub-outputname'],
    raw: line,
  };
}

module.exports = { EventHubLog, WatchedLog };
