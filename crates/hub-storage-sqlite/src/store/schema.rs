//! The tables of `store.db`.
//!
//! An identity, the back-end part of its twin and the reported part are three rows under one ordinal, so
//! that a reported patch rewrites only its own row. Small columns come first, so that what is counted or
//! compared is read without the pages of the record.
//!
//! A service-bound queue is its rows by number (`kind` 1 is feedback, 2 file notifications); its row in
//! `service_bound_head` has the last number given, which is never given again. `identity` is whose
//! deletion takes the record along, 0 for nobody's. `message.ack` is the feedback asked for, as bits: 1 for
//! good outcomes, 2 for bad ones.
//!
//! What provisioning keeps is by `key`, an id in lower case; the record has its spelling. `registration.progress` is
//! 0 for assigned, 1 for assigning, 2 for failed, 3 and 4 for assigned and failed but still to be removed from another
//! hub; most are assigned, so that only the others have an index, and `registration_statistics` counts all five.
//! `group_key` is null when an enrollment of its own let the device register. `registration.device` is the device's id in
//! its hub: null when that is `key` itself, as it is for most, so that only the others have an index; empty when there is
//! none. `refusal.first` and `refusal.count` go on from the first attempt, the record is of the last one;
//! `refusal.stranger` is 1 when no enrollment was found.

use crate::format::Format;

pub(super) const FORMAT: Format = Format {
    what: "store",
    // "THst"
    application_id: 0x5448_7374,
    version: 9,
    schema: "
CREATE TABLE counter(
  id INTEGER PRIMARY KEY CHECK (id = 1),
  next_identity INTEGER NOT NULL,
  next_message INTEGER NOT NULL,
  last_fact INTEGER NOT NULL
) STRICT;
INSERT INTO counter VALUES(1, 1, 1, 0);

CREATE TABLE hub(
  no INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  revision INTEGER NOT NULL,
  record BLOB NOT NULL
) STRICT;

CREATE TABLE hub_statistics(
  hub INTEGER PRIMARY KEY,
  devices INTEGER NOT NULL,
  enabled INTEGER NOT NULL
) STRICT;

CREATE TABLE identity(
  ordinal INTEGER PRIMARY KEY,
  hub INTEGER NOT NULL,
  device TEXT NOT NULL,
  module TEXT NOT NULL,
  enabled INTEGER NOT NULL,
  module_count INTEGER NOT NULL,
  connected INTEGER NOT NULL,
  connection_updated INTEGER NOT NULL,
  last_activity INTEGER NOT NULL,
  message_count INTEGER NOT NULL,
  message_bytes INTEGER NOT NULL,
  subscriptions INTEGER NOT NULL,
  etag TEXT NOT NULL,
  model_id TEXT,
  record BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX identity_name ON identity(hub, device, module);

CREATE TABLE back_end(
  ordinal INTEGER PRIMARY KEY,
  etag INTEGER NOT NULL,
  desired_version INTEGER NOT NULL,
  tags TEXT NOT NULL,
  desired TEXT NOT NULL,
  desired_metadata BLOB NOT NULL
) STRICT;

CREATE TABLE reported(
  ordinal INTEGER PRIMARY KEY,
  version INTEGER NOT NULL,
  document TEXT NOT NULL,
  metadata BLOB NOT NULL
) STRICT;

CREATE TABLE message(
  no INTEGER PRIMARY KEY,
  identity INTEGER NOT NULL,
  expiry INTEGER,
  delivery_count INTEGER NOT NULL,
  ack INTEGER NOT NULL,
  body_bytes INTEGER NOT NULL,
  record BLOB NOT NULL
) STRICT;
CREATE INDEX message_identity ON message(identity);
CREATE INDEX message_expiry ON message(expiry) WHERE expiry IS NOT NULL;

CREATE TABLE service_bound_head(
  hub INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  last INTEGER NOT NULL,
  PRIMARY KEY(hub, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE service_bound(
  hub INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  no INTEGER NOT NULL,
  identity INTEGER NOT NULL,
  delivery_count INTEGER NOT NULL,
  record BLOB NOT NULL,
  PRIMARY KEY(hub, kind, no)
) STRICT, WITHOUT ROWID;
CREATE INDEX service_bound_identity ON service_bound(identity) WHERE identity > 0;

CREATE TABLE upload(
  identity INTEGER NOT NULL,
  correlation TEXT NOT NULL,
  expires INTEGER NOT NULL,
  record BLOB NOT NULL,
  PRIMARY KEY(identity, correlation)
) STRICT, WITHOUT ROWID;
CREATE INDEX upload_expires ON upload(expires);

CREATE TABLE provisioning_service(
  id INTEGER PRIMARY KEY CHECK (id = 1),
  revision INTEGER NOT NULL,
  record BLOB NOT NULL
) STRICT;

CREATE TABLE enrollment(
  key TEXT NOT NULL PRIMARY KEY,
  etag TEXT NOT NULL,
  record BLOB NOT NULL
) STRICT;

CREATE TABLE enrollment_group(
  key TEXT NOT NULL PRIMARY KEY,
  etag TEXT NOT NULL,
  record BLOB NOT NULL
) STRICT;

CREATE TABLE registration(
  key TEXT NOT NULL PRIMARY KEY,
  group_key TEXT,
  device TEXT,
  progress INTEGER NOT NULL,
  etag TEXT NOT NULL,
  record BLOB NOT NULL
) STRICT;
CREATE INDEX registration_group ON registration(group_key, key) WHERE group_key IS NOT NULL;
CREATE INDEX registration_individual ON registration(key) WHERE group_key IS NULL;
CREATE INDEX registration_device ON registration(device, key) WHERE device > '';
CREATE INDEX registration_unfinished ON registration(key) WHERE progress IN (1, 3, 4);
CREATE INDEX registration_failed ON registration(key) WHERE progress IN (2, 4);

CREATE TABLE registration_statistics(
  progress INTEGER PRIMARY KEY,
  registrations INTEGER NOT NULL
) STRICT;
INSERT INTO registration_statistics VALUES(0, 0), (1, 0), (2, 0), (3, 0), (4, 0);

CREATE TABLE refusal(
  key TEXT NOT NULL PRIMARY KEY,
  stranger INTEGER NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  count INTEGER NOT NULL,
  record BLOB NOT NULL
) STRICT;
CREATE INDEX refusal_order ON refusal(stranger, last DESC, key);

CREATE TABLE fact_group(
  last INTEGER PRIMARY KEY,
  first INTEGER NOT NULL,
  newest INTEGER NOT NULL,
  record BLOB NOT NULL
) STRICT;

CREATE TABLE checkpoint(
  hub INTEGER PRIMARY KEY,
  at INTEGER NOT NULL
) STRICT;

CREATE TABLE operation(
  id BLOB PRIMARY KEY,
  at INTEGER NOT NULL,
  result BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX operation_at ON operation(at);
",
};
