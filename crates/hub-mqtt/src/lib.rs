//! MQTT 3.1.1 packets and sessions, sans I/O.
