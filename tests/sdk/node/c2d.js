'use strict';
// Cloud to device, beyond what every cell of the matrix shows.

const assert = require('node:assert/strict');
const { behaviour, registry } = require('./harness');
const { connect, create, receive, sendC2d } = require('./identities');

const inSeconds = (seconds) => Date.now() + seconds * 1000;

/**
 * Sends a message with a short life; when that is over. One that is over before the hub reads it is refused: on a slow
 * machine a longer one is taken.
 */
async function soonOver(device) {
  let refused;
  for (const lives of [1, 2, 4, 8]) {
    const over = inSeconds(lives);
    try {
      await sendC2d(device, 'soon over', { expiryTimeUtc: over });
      return over;
    } catch (error) {
      refused = error;
    }
  }
  throw refused;
}

behaviour('c2d_of_the_past_is_not_delivered', async (context) => {
  const device = await create();
  const over = await soonOver(device);
  // The moment itself is the condition: a message sent after it must be the only one to arrive.
  while (Date.now() <= over) await registry.get(device.device);
  await sendC2d(device, 'in time', { expiryTimeUtc: inSeconds(600) });
  const messages = receive(await connect(context, device));
  await messages.takeBody('in time');
  assert.equal(messages.items.length, 0);
});
