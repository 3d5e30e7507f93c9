'use strict';
// The built-in endpoint, by the vendor's client for Event Hubs (@azure/event-hubs).

const assert = require('node:assert/strict');
const { EventHubConsumerClient, earliestEventPosition, latestEventPosition } = require('@azure/event-hubs');
const WebSocket = require('ws');
const { behaviour, events, shown, until } = require('./harness');
const { connect, create, Message } = require('./identities');

const GROUP = '$Default';

function clientOf(options, group = GROUP) {
  return new EventHubConsumerClient(group, shown.events.connectionString, options);
}

/** Reads one partition until `done` says so, and returns what came; errors of the reader end it. */
async function read({ partition, position, done, device, client = clientOf(), ...options }) {
  const found = [];
  const errors = [];
  const handlers = {
    processEvents: async (batch) => {
      for (const event of batch) {
        if (event.systemProperties['iothub-connection-device-id'] === device) found.push(event.body.toString());
      }
    },
    processError: async (error) => errors.push(error),
  };
  const subscription = client.subscribe(partition, handlers, {
    startPosition: position, maxWaitTimeInSeconds: 1, skipParsingBodyAsJson: true, ...options,
  });
  try {
    await until(() => done(found, errors), () => `the events; ${found} came, errors: ${errors}`);
  } finally {
    await subscription.close();
    await client.close();
  }
  return { found, errors };
}

/** A device that has sent `0` to `4`, its partition, and the events as a first reader saw them. */
async function sent(context) {
  const identity = await create();
  const client = await connect(context, identity);
  for (const body of ['0', '1', '2', '3', '4']) await client.sendEvent(new Message(body));
  const seen = (await events(identity, 5)).map((event) => event.raw);
  return { device: identity.device, client, partition: (await events(identity, 5))[0].partition, seen };
}

const allFive = (found) => found.length >= 5;

behaviour('event_hub_tells_about_itself', async (context) => {
  const { partition, seen } = await sent(context);
  const client = clientOf();
  try {
    const facts = await client.getEventHubProperties();
    assert.deepEqual(facts.partitionIds, Array.from({ length: shown.events.partitionCount }, (_, number) => `${number}`));
    assert.ok(facts.name && facts.createdOn);
    const { lastEnqueuedSequenceNumber, isEmpty } = await client.getPartitionProperties(partition);
    assert.ok(lastEnqueuedSequenceNumber >= seen[4].sequenceNumber);
    assert.equal(isEmpty, false);
  } finally {
    await client.close();
  }
});

behaviour('event_hub_is_read_from_any_position', async (context) => {
  const { device, partition, seen } = await sent(context);
  const { offset, sequenceNumber, enqueuedTimeUtc } = seen[2];
  const positions = [
    [earliestEventPosition, ['0', '1', '2', '3', '4']],
    [{ offset }, ['3', '4']],
    [{ offset, isInclusive: true }, ['2', '3', '4']],
    [{ sequenceNumber }, ['3', '4']],
    [{ sequenceNumber, isInclusive: true }, ['2', '3', '4']],
  ];
  for (const [position, expected] of positions) {
    const { found } = await read({ device, partition, position, done: (bodies) => bodies.at(-1) === '4' });
    assert.deepEqual(found, expected);
  }
  const position = { enqueuedOn: new Date(enqueuedTimeUtc.getTime() - 1) };
  const { found } = await read({ device, partition, position, done: (bodies) => bodies.at(-1) === '4' });
  assert.deepEqual(found.slice(-3), ['2', '3', '4']);
});

behaviour('event_hub_is_read_from_its_end', async (context) => {
  const { device, partition, client } = await sent(context);
  let number = 0;
  const done = async (found) => {
    await client.sendEvent(new Message(`new ${number}`));
    number += 1;
    return found.length > 0;
  };
  // Where its end was is known once the first one came.
  const { found } = await read({ device, partition, position: latestEventPosition, done });
  assert.ok(found.every((body) => body.startsWith('new ')));
});

behaviour('event_hub_groups_are_known_without_case', async (context) => {
  const { device, partition } = await sent(context);
  const client = clientOf(undefined, '$DEFAULT');
  await read({ device, partition, position: earliestEventPosition, client, done: allFive });
});

behaviour('event_hub_owner_takes_over', async (context) => {
  const { device, partition } = await sent(context);
  let second;
  const done = (found, errors) => {
    if (second === undefined && allFive(found)) {
      second = read({ device, partition, position: earliestEventPosition, ownerLevel: 2, done: allFive });
    }
    return second !== undefined && errors.length > 0;
  };
  const { errors } = await read({ device, partition, position: earliestEventPosition, ownerLevel: 1, done });
  assert.equal(errors[0].code, 'ReceiverDisconnectedError');
  await second;
});

behaviour('event_hub_is_read_over_websocket', async (context) => {
  const { device, partition } = await sent(context);
  const client = clientOf({ webSocketOptions: { webSocket: WebSocket } });
  await read({ device, partition, position: earliestEventPosition, client, done: allFive });
});

behaviour('event_hub_refuses_a_wrong_key', async () => {
  const wrong = shown.events.connectionString.replace('SharedAccessKey=', 'SharedAccessKey=AAAA');
  const client = new EventHubConsumerClient(GROUP, wrong, { retryOptions: { maxRetries: 0 } });
  try {
    await assert.rejects(client.getEventHubProperties(), { code: 'UnauthorizedError' });
  } finally {
    await client.close();
  }
});
