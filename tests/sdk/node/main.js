'use strict';
// All Node behaviours in one process: first those that are shown once, one after another, then the matrix, side by side.

const { matrix } = require('./harness');

require('./twins');
require('./c2d');
require('./sessions');
require('./registry');
require('./modules');
require('./batches');
require('./event-hubs');
require('./uploads');
require('./tpm');
require('./provisioning');
require('./allocation');

matrix(JSON.parse(process.env.BEHAVIOURS_PLAN), {
  ...require('./matrix/telemetry'),
  ...require('./matrix/twins'),
  ...require('./matrix/methods'),
  ...require('./matrix/c2d'),
  ...require('./matrix/sessions'),
  ...require('./matrix/provisioning'),
});
