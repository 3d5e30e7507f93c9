'use strict';
// All Node behaviours, one after another in one process: they share the hub.

require('./telemetry');
require('./twins');
require('./methods');
require('./c2d');
require('./sessions');
require('./registry');
