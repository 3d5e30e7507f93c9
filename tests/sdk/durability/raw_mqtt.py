"""A small MQTT 3.1.1 client that tells exactly which acknowledgements were read, and when it acknowledges itself.

The SDKs hide both, and durability is about nothing else. One thread per client, blocking, no retries: an error ends it.
"""

import socket
import ssl
import struct

from harness import namespace

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK = 1, 2, 3, 4, 8, 9


class Lost(Exception):
    """The connection ended."""


class RawClient:
    """A device over TLS. `within` bounds every read."""

    def __init__(self, identity, password, *, clean, within=20):
        self.identity = identity
        self.buffer = b""
        self.passed_over = []
        self.next_id = 1
        context = ssl.create_default_context(cafile=identity.hub.authority)
        try:
            plain = socket.create_connection((namespace.HOST, 8883), timeout=within)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket = context.wrap_socket(plain, server_hostname=namespace.HOST)
        except OSError as error:
            raise Lost(str(error)) from error
        user = f"{namespace.HOST}/{identity.device}/?api-version=2021-04-12"
        flags = 0xC0 | (0x02 if clean else 0)
        body = text("MQTT") + bytes([4, flags]) + struct.pack(">H", 60)
        self.send(packet(CONNECT << 4, body + text(identity.device) + text(user) + text(password)))
        kind, _, answer = self.read()
        assert kind == CONNACK, kind
        if answer[1] != 0:
            raise Lost(f"refused with {answer[1]}")
        self.session_present = answer[0] == 1

    def publish(self, topic, body):
        """A QoS 1 publish; returns its packet id without waiting."""
        number = self.take_id()
        self.send(packet(PUBLISH << 4 | 2, text(topic) + struct.pack(">H", number) + body))
        return number

    def publish_many(self, topic, bodies):
        """Several QoS 1 publishes in one write; returns their packet ids."""
        numbers = [self.take_id() for _ in bodies]
        packets = [
            packet(PUBLISH << 4 | 2, text(topic) + struct.pack(">H", number) + body)
            for number, body in zip(numbers, bodies, strict=True)
        ]
        self.send(b"".join(packets))
        return numbers

    def subscribe(self, *filters):
        number = self.take_id()
        self.send(packet(SUBSCRIBE << 4 | 2, struct.pack(">H", number) + b"".join(text(f) + b"\x01" for f in filters)))
        self.wait_for(SUBACK)

    def acknowledge(self, number):
        self.send(packet(PUBACK << 4, struct.pack(">H", number)))

    def read_puback(self):
        """The packet id of the next acknowledgement."""
        return struct.unpack(">H", self.wait_for(PUBACK)[1])[0]

    def read_publish(self):
        """Topic, body and packet id (none at QoS 0) of the next message."""
        flags, body = self.wait_for(PUBLISH)
        length = struct.unpack_from(">H", body)[0]
        topic, rest = body[2 : 2 + length].decode(), body[2 + length :]
        if flags & 6 == 0:
            return topic, rest, None
        return topic, rest[2:], struct.unpack_from(">H", rest)[0]

    def wait_for(self, wanted):
        """Flags and body of the next packet of a kind; others wait for whoever asks for them."""
        for index, (kind, flags, body) in enumerate(self.passed_over):
            if kind == wanted:
                del self.passed_over[index]
                return flags, body
        while True:
            kind, flags, body = self.read()
            if kind == wanted:
                return flags, body
            self.passed_over.append((kind, flags, body))

    def read(self):
        while True:
            found = parse(self.buffer)
            if found is not None:
                kind, flags, body, used = found
                self.buffer = self.buffer[used:]
                return kind, flags, body
            try:
                more = self.socket.recv(65536)
            except OSError as error:
                raise Lost(str(error)) from error
            if not more:
                raise Lost("closed by the hub")
            self.buffer += more

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError as error:
            raise Lost(str(error)) from error

    def take_id(self):
        number = self.next_id
        self.next_id = number % 65535 + 1
        return number

    def close(self):
        self.socket.close()


def text(value):
    data = value.encode()
    return struct.pack(">H", len(data)) + data


def packet(first, body):
    length = len(body)
    coded = b""
    while True:
        byte, length = length & 0x7F, length >> 7
        coded += bytes([byte | (0x80 if length else 0)])
        if not length:
            return bytes([first]) + coded + body


def parse(data):
    """Kind, flags, body and size of the packet that `data` begins with; none when it is not all there."""
    length, shift, at = 0, 0, 1
    while True:
        if at >= len(data):
            return None
        length |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] & 0x80 == 0:
            break
    if len(data) < at + length:
        return None
    return data[0] >> 4, data[0] & 0x0F, data[at : at + length], at + length
