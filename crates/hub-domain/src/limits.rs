//! Every limit in one table: what the protocol documentation sets, and what protects this process.
//!
//! Protocol limits are always checked, by the documented way of counting. Process bounds are the
//! defaults of configuration keys. Limits of a single id stand beside the id ([`crate::ids`],
//! [`crate::identity`]).

use std::time::Duration;

// ---- Telemetry (IoT Hub documentation, "Create and read IoT Hub messages", "Quotas and throttling") ----

/// Largest telemetry message in bytes: body, system property values, application property names and values.
pub const TELEMETRY_BYTES_MAX: usize = 256 * 1024;
/// Most telemetry partitions of a hub ("Scaling": 2 to 128 in the paid tiers).
pub const PARTITIONS_MAX: u16 = 128;
/// Fewest telemetry partitions of a hub.
pub const PARTITIONS_MIN: u16 = 2;
/// Partitions of a hub that names no number.
pub const PARTITIONS_DEFAULT: u16 = 4;
/// Longest time that telemetry is kept ("Built-in endpoint": 1 to 7 days).
pub const TELEMETRY_RETENTION_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Shortest time that telemetry is kept, and the default.
pub const TELEMETRY_RETENTION_MIN: Duration = Duration::from_secs(24 * 3600);
/// Bytes of telemetry that a hub keeps before the oldest bucket goes. Ours: a disk has an end.
pub const TELEMETRY_RETENTION_BYTES_DEFAULT: u64 = 10_000_000_000;

// ---- Messages in both directions ("Create and read IoT Hub messages", system properties) ----

/// Longest message id in characters.
pub const MESSAGE_ID_CHARS_MAX: usize = 128;

// ---- Cloud-to-device messages ("Send cloud-to-device messages", "Quotas and throttling") ----

/// Largest cloud-to-device message in bytes, counted like telemetry.
pub const CLOUD_TO_DEVICE_BYTES_MAX: usize = 64 * 1024;
/// Time to live of a message that names no expiry.
pub const CLOUD_TO_DEVICE_TTL_DEFAULT: Duration = Duration::from_secs(3600);
/// Shortest time to live that a hub may be set to.
pub const CLOUD_TO_DEVICE_TTL_MIN: Duration = Duration::from_secs(60);
/// Longest time to live that a hub may be set to.
pub const CLOUD_TO_DEVICE_TTL_MAX: Duration = Duration::from_secs(2 * 24 * 3600);
/// Deliveries before a message counts as dead, unless the hub is set otherwise.
pub const DELIVERY_COUNT_DEFAULT: u32 = 10;
/// Fewest and most deliveries that a hub may be set to.
pub const DELIVERY_COUNT_RANGE: std::ops::RangeInclusive<u32> = 1..=100;
/// How long a message fetched over HTTPS stays locked.
pub const CLOUD_TO_DEVICE_LOCK: Duration = Duration::from_secs(60);
/// Shortest and longest lock that a request over HTTPS may ask for (`iothub-messagelocktimeout`).
pub const CLOUD_TO_DEVICE_LOCK_RANGE: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(5)..=Duration::from_secs(300);
/// Messages waiting for one device under a vendor quota profile (403004 beyond).
pub const CLOUD_TO_DEVICE_PENDING_PROFILE_MAX: u32 = 50;

// ---- Service-bound queues ("Send cloud-to-device messages", message feedback; "Upload files", notifications) ----

/// How long feedback and file notifications are kept, unless the hub is set otherwise.
pub const SERVICE_BOUND_TTL_DEFAULT: Duration = Duration::from_secs(3600);
/// How long what a back end read is kept from others, unless the hub is set otherwise.
pub const SERVICE_BOUND_LOCK_DEFAULT: Duration = Duration::from_secs(60);
/// Shortest and longest lock that a hub may be set to.
pub const SERVICE_BOUND_LOCK_RANGE: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(5)..=Duration::from_secs(300);
/// Most feedback records in one message.
pub const FEEDBACK_BATCH_MAX: usize = 64;

// ---- File uploads ("Upload files with IoT Hub", "Put Block", "Put Block List") ----

/// Uploads of one device that are open at the same time (403006 beyond).
pub const UPLOADS_OPEN_MAX: u32 = 10;
/// How long an upload's ticket is good, unless the hub is set otherwise.
pub const UPLOAD_TTL_DEFAULT: Duration = Duration::from_secs(3600);
/// Shortest time that a hub may be set to.
pub const UPLOAD_TTL_MIN: Duration = Duration::from_secs(60);
/// Longest time that a hub may be set to.
pub const UPLOAD_TTL_MAX: Duration = Duration::from_secs(24 * 3600);
/// Longest name of a file with its device ("Naming and referencing containers, blobs, and metadata").
pub const UPLOAD_NAME_CHARS_MAX: usize = 1024;
/// Most blocks of one file ("Put Block List").
pub const UPLOAD_BLOCKS_MAX: usize = 50_000;
/// Most blocks of one file that wait for their list ("Put Block").
pub const UPLOAD_BLOCKS_STAGED_MAX: usize = 100_000;
/// Longest block id in bytes before it is encoded ("Put Block").
pub const UPLOAD_BLOCK_ID_BYTES_MAX: usize = 64;
/// How long an upload that ran out is remembered, to tell its device so (400016), and its blocks are kept. Ours.
pub const UPLOAD_MEMORY: Duration = Duration::from_secs(24 * 3600);

// ---- Direct methods ("Understand and invoke direct methods", "Quotas and throttling") ----

/// Largest method request payload in bytes.
pub const METHOD_REQUEST_BYTES_MAX: usize = 128 * 1024;
/// Largest method response payload in bytes.
pub const METHOD_RESPONSE_BYTES_MAX: usize = 128 * 1024;
/// Shortest time that a caller may give a device to answer.
pub const METHOD_RESPONSE_TIMEOUT_MIN: Duration = Duration::from_secs(5);
/// Longest time that a caller may give a device to answer.
pub const METHOD_RESPONSE_TIMEOUT_MAX: Duration = Duration::from_secs(300);
/// Time to answer when the caller names none.
pub const METHOD_RESPONSE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// Longest time that a caller may wait for a device to connect; the default is not to wait.
pub const METHOD_CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(300);

// ---- Twins ("Understand and use device twins", "Tags and properties format", "Device twin size") ----

/// Largest `tags` section in bytes, counted as documented.
pub const TWIN_TAGS_BYTES_MAX: usize = 8 * 1024;
/// Largest `desired` section in bytes, counted as documented.
pub const TWIN_DESIRED_BYTES_MAX: usize = 32 * 1024;
/// Largest `reported` section in bytes, counted as documented.
pub const TWIN_REPORTED_BYTES_MAX: usize = 32 * 1024;
/// Deepest nesting of objects below a section.
pub const TWIN_DEPTH_MAX: usize = 10;
/// Longest key in bytes of UTF-8.
pub const TWIN_KEY_BYTES_MAX: usize = 1024;
/// Longest string value in bytes of UTF-8.
pub const TWIN_STRING_BYTES_MAX: usize = 4 * 1024;
/// Smallest integer value.
pub const TWIN_INTEGER_MIN: i64 = -4_503_599_627_370_496;
/// Largest integer value.
pub const TWIN_INTEGER_MAX: i64 = 4_503_599_627_370_495;

// ---- Tokens and keys ----

/// Smallest shared access key in decoded bytes. Seen with the vendor, not documented.
pub const SYMMETRIC_KEY_BYTES_MIN: usize = 16;
/// Largest shared access key in decoded bytes: the block of SHA-256.
pub const SYMMETRIC_KEY_BYTES_MAX: usize = 64;
/// How far a device's clock may be off before its token counts as expired. Ours.
pub const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

// ---- Attestation and issuance ----

/// Largest public part of a TPM's key in bytes: RSA of 4096 bits takes some 600. Ours.
pub const TPM_PUBLIC_BYTES_MAX: usize = 1024;
/// Largest request for a certificate in bytes of DER: RSA of 8192 bits takes some 2,200. Ours.
pub const CERTIFICATE_REQUEST_BYTES_MAX: usize = 8 * 1024;
/// Shortest life of an issued certificate in days ("Certificate management" of the provisioning service).
pub const ISSUED_CERTIFICATE_DAYS_MIN: u32 = 7;
/// Longest life of an issued certificate in days.
pub const ISSUED_CERTIFICATE_DAYS_MAX: u32 = 90;
/// Largest request of a connected device for its next certificate in bytes, as it is received. Ours.
pub const RENEWAL_REQUEST_BYTES_MAX: usize = 16 * 1024;
/// Longest certificate request in it, in characters of base64 ("Issue Certificate API").
pub const RENEWAL_SIGNING_REQUEST_CHARS_MAX: usize = 8 * 1024;
/// Certificates that a connected device may ask for within [`RENEWAL_WINDOW`]. Ours: each of them costs signatures.
pub const RENEWALS_PER_WINDOW_MAX: u32 = 10;
/// See [`RENEWALS_PER_WINDOW_MAX`].
pub const RENEWAL_WINDOW: Duration = Duration::from_secs(60);
/// How long such a request may take; clients wait 120 s.
pub const RENEWAL_TIME_MAX: Duration = Duration::from_secs(25);

// ---- The provisioning service's settings ("Quotas and limits" of the provisioning service) ----

/// Most hubs that can be linked by hand.
pub const LINKED_HUBS_MAX: usize = 50;
/// The share of a hub under the hashed policy ("Linked hub", `allocationWeight`).
pub const ALLOCATION_WEIGHT_RANGE: std::ops::RangeInclusive<u32> = 1..=1_000;
/// Most shared access policies of the service. Ours.
pub const SERVICE_POLICIES_MAX: usize = 64;
/// Most address ranges: each is looked at for each registration under the nearest-hub policy. Ours.
pub const ADDRESS_RANGES_MAX: usize = 10_000;
/// Most latencies between regions and hubs. Ours.
pub const LATENCIES_MAX: usize = 10_000;
/// Enrollments that one call to roll the keys of all goes through. Ours.
pub const KEY_ROLL_PAGE: usize = 500;
/// Enrollments of such a call whose keys are rolled at the same time, so that they share commits. Ours.
pub const KEY_ROLLS_AT_ONCE: usize = 32;
/// Most enrollment groups (100 of each kind there). A registration by a group's key tries those of all groups: four
/// signatures for each.
pub const ENROLLMENT_GROUPS_MAX: usize = 1_000;
/// Most issuers of certificates for devices. Ours.
pub const CERTIFICATE_ISSUERS_MAX: usize = 25;
/// Most credential policies. Ours.
pub const CREDENTIAL_POLICIES_MAX: usize = 100;
/// Largest additional information of an enrollment in bytes of JSON. Ours: a record should not outgrow a twin.
pub const DEVICE_INFORMATION_BYTES_MAX: usize = 8 * 1024;
/// Largest document of a device that registers, in bytes (96 KB there).
pub const REGISTRATION_BYTES_MAX: usize = 96 * 1024;
/// Refused registration ids that are kept with the reason; strangers go first, then the least recent. Ours.
pub const REFUSALS_KEPT_MAX: u64 = 10_000;
/// How long a call to a hub of another installation may take. Ours.
pub const LINKED_HUB_TIME_MAX: Duration = Duration::from_secs(10);
/// How long the webhook of the custom allocation may take ("Understand custom allocation policies").
pub const ALLOCATION_WEBHOOK_TIME_MAX: Duration = Duration::from_secs(5);

// ---- MQTT ("Communicate with an IoT hub using MQTT") ----

/// A silent connection ends after this many times half its keep-alive: 3 means 1.5 times (MQTT 3.1.1, 3.1.2.10).
pub const KEEP_ALIVE_HALVES: u32 = 3;
/// The longest silence that is allowed whatever the keep-alive says.
pub const KEEP_ALIVE_MAX: Duration = Duration::from_secs(1767);

/// Former host names of a hub that it still answers to; the oldest go. Ours: the server's certificate has them all.
pub const HUB_ALIASES_MAX: usize = 16;

// ---- Registry and queries ("Quotas and throttling", "Identity registry") ----

/// Most identities in one bulk call.
pub const BULK_IDENTITIES_MAX: usize = 100;
/// Most identities or rows of one page.
pub const PAGE_MAX: usize = 1000;
/// Rows of a page when the caller names no number.
pub const PAGE_DEFAULT: usize = 100;

// ---- Message routing ("Quotas and throttling", "Message enrichments") ----

/// Most routes of a hub.
pub const ROUTES_MAX: usize = 100;
/// Most enrichments of a hub.
pub const ENRICHMENTS_MAX: usize = 10;
/// Longest value of an enrichment in characters. Ours.
pub const ENRICHMENT_VALUE_CHARS_MAX: usize = 4_096;

// ---- Bounds that protect this process. Ours, configurable. ----

/// Connection state events that wait to be routed; further ones are lost and counted.
pub const CONNECTION_EVENTS_WAITING_MAX: usize = 65_536;

/// Bytes waiting for one committer before sockets are no longer read.
pub const COMMITTER_WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Unacknowledged inbound messages of one connection before it is no longer read.
pub const CONNECTION_INBOUND_MESSAGES_MAX: usize = 256;
/// Unacknowledged inbound bytes of one connection before it is no longer read.
pub const CONNECTION_INBOUND_BYTES_MAX: usize = 1024 * 1024;
/// Telemetry of senders that are gone, of the whole installation, while routes read twins for it.
pub const TELEMETRY_LEFT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Tokens of one AMQP connection (403005 beyond); the vendor's C# pool puts 995 devices on one.
pub const CONNECTION_TOKENS_MAX: usize = 1_024;
/// Event readers without an epoch of one partition and consumer group ("Event Hubs quotas").
pub const EVENT_READERS_PER_PARTITION_MAX: usize = 5;
/// Bytes of events that are read ahead for one event reader.
pub const EVENT_READ_AHEAD_BYTES_MAX: usize = 256 * 1024;
/// Connections that have not proved who they are.
pub const UNAUTHENTICATED_CONNECTIONS_MAX: usize = 1_000;
/// How long a connection may take to prove who it is.
pub const UNAUTHENTICATED_TIME_MAX: Duration = Duration::from_secs(10);
/// Unauthenticated connections from one source address.
pub const UNAUTHENTICATED_PER_ADDRESS_MAX: usize = 100;
/// Authorities registered with one hub (quota documentation, "X.509 CA certificates").
pub const CERTIFICATES_PER_HUB_MAX: usize = 25;
/// The size of an uploaded certificate, as it is sent.
pub const CERTIFICATE_UPLOAD_BYTES_MAX: usize = 32 * 1024;
/// Certificates that a client may present: its own and those up to a registered authority.
pub const CLIENT_CHAIN_CERTIFICATES_MAX: usize = 8;
/// Their size together. They travel in the session ticket too.
pub const CLIENT_CHAIN_BYTES_MAX: usize = 16 * 1024;
/// The largest WebSocket frame, and the largest message of fragments. The largest MQTT packet fits, and clients
/// send one in one message.
pub const WEBSOCKET_MESSAGE_BYTES_MAX: usize = 512 * 1024;
/// What may be received on a WebSocket before its client proved who it is.
pub const UNAUTHENTICATED_WEBSOCKET_BYTES_MAX: usize = 128 * 1024;
/// Connections of devices that register, of one protocol.
pub const PROVISIONING_CONNECTIONS_MAX: usize = 10_000;
/// Connections of one registration id, of one protocol: a device that comes again may have left some behind.
pub const PROVISIONING_CONNECTIONS_PER_DEVICE_MAX: usize = 16;
/// Requests of one such connection that are under way before it is no longer read.
pub const PROVISIONING_REQUESTS_MAX: usize = 4;
/// How long such a connection stays open without a request.
pub const PROVISIONING_IDLE_MAX: Duration = Duration::from_secs(600);
/// How long one request may take; clients wait 30 s.
pub const PROVISIONING_REQUEST_TIME_MAX: Duration = Duration::from_secs(25);
/// What a device is told to wait when the provisioning service cannot help it at the moment.
pub const PROVISIONING_RETRY_AFTER: Duration = Duration::from_secs(5);
/// How long a link waits that is attached after another one of its connection was refused, before its device's proof is
/// looked at again. azure-iot-amqp-base (Node) attaches the second link before it reads the refusal of the first, ends its
/// session, and then waits 45 s for nothing if the second one is refused as well.
pub const PROVISIONING_REFUSAL_PAUSE: Duration = Duration::from_millis(250);
/// Largest request as it is received. What is above the limit of its content is told so, what is above this is not read.
pub const PROVISIONING_PACKET_BYTES_MAX: usize = 128 * 1024;
/// Devices whose questions for their registration are counted at once, under a quota profile; further ones are not
/// throttled.
pub const PROVISIONING_POLL_METERS_MAX: usize = 100_000;
/// Cloud-to-device messages waiting for one device where no quota profile sets fewer.
pub const CLOUD_TO_DEVICE_PENDING_MAX: u32 = 10_000;
/// Bytes of cloud-to-device messages waiting for one device.
pub const CLOUD_TO_DEVICE_PENDING_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Records of one service-bound queue; above it the oldest go.
pub const SERVICE_BOUND_RECORDS_MAX: u64 = 100_000;
/// Batches of one service-bound queue that back ends hold locks on.
pub const SERVICE_BOUND_LOCKS_MAX: usize = 10_000;
/// Largest uploaded file in bytes.
pub const UPLOAD_BYTES_DEFAULT: u64 = 5 * 1024 * 1024 * 1024;
/// Files and blocks that are written at the same time; more are told to come again.
pub const UPLOAD_WRITERS_MAX: usize = 128;
/// Bytes of one list of blocks: 50,000 of the longest ids fit.
pub const UPLOAD_LIST_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of parsed twins kept in memory.
pub const TWIN_CACHE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of the newest messages kept in memory for live readers.
pub const LOG_TAIL_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes of messages of a log kept in memory after they were read from disk, for readers of its other partitions.
pub const LOG_READ_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Method calls waiting for one device (403800 beyond).
pub const METHODS_IN_FLIGHT_MAX: usize = 64;
/// Facts waiting for one session; when full, desired patches collapse into "read the twin".
pub const SESSION_QUEUE_FACTS_MAX: usize = 32;
/// Free disk space at which writes stop.
pub const DISK_FREE_BYTES_MIN: u64 = 256 * 1024 * 1024;
/// How often activity and connection state are written down.
pub const ACTIVITY_FLUSH_INTERVAL: Duration = Duration::from_secs(60);
/// Most identities of one hub under a vendor quota profile ("Quotas and throttling").
pub const IDENTITIES_PROFILE_MAX: u64 = 1_000_000;
