'use strict';
// Twins, beyond what every cell of the matrix shows.

const assert = require('node:assert/strict');
const { promisify } = require('node:util');
const { behaviour, until } = require('./harness');
const { connect, create, desire, MODULE, subscribed, twinOf } = require('./identities');

behaviour('module_has_a_twin_of_its_own', async (context) => {
  const module = await create(context, { module: MODULE });
  const client = await connect(context, module);
  const twin = await client.getTwin();
  let zoom;
  twin.on('properties.desired.zoom', (value) => {
    zoom = value;
  });
  await subscribed(client);
  await promisify(twin.properties.reported.update.bind(twin.properties.reported))({ lens: 'wide' });
  await desire(module, { zoom: 2 });
  await until(() => zoom === 2, "the module's desired patch");
  assert.equal((await twinOf(module)).properties.reported.lens, 'wide');
  const { reported } = (await twinOf({ device: module.device })).properties;
  assert.equal(reported.lens, undefined);
});
