"""A device that gets its certificates by signing requests: the first one with its registration, the next ones at its hub. No SDK for
Python does either, so it speaks HTTPS and MQTT itself, the latter by the library that the SDK stands on."""

import base64
import contextlib
import itertools
import json
import os
import pathlib
import queue
import ssl
import uuid

import paho.mqtt.client as mqtt
from azure.iot.device import X509, IoTHubDeviceClient
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from devices import authority_text
from doors import WITHIN, Door, finished
from harness.wait import until

REPLIES = "$iothub/credentials/res/"
ISSUE = "$iothub/credentials/POST/issueCertificate/?$rid="


class SigningRequest:
    """A new key, and the request for a certificate for it."""

    def __init__(self, name):
        self.key = ec.generate_private_key(ec.SECP384R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
        request = builder.sign(self.key, hashes.SHA384())
        self.text = base64.b64encode(request.public_bytes(serialization.Encoding.DER)).decode()

    def answered(self, chain):
        return Held(self.key, [x509.load_der_x509_certificate(base64.b64decode(text)) for text in chain])


class Held:
    """What a device holds: its key and the certificates for it, as files."""

    def __init__(self, key, chain):
        self.chain = chain
        folder = pathlib.Path(os.environ["BEHAVIOURS_SCRATCH"])
        name = f"issued-{uuid.uuid4().hex[:12]}"
        self.certificate_file, self.key_file = folder / f"{name}.pem", folder / f"{name}.key"
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        self.key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
        self.certificate_file.write_bytes(b"".join(each.public_bytes(serialization.Encoding.PEM) for each in chain))

    @property
    def leaf(self):
        return self.chain[0]


class Device:
    """A device with an enrollment of its own, whose credential policy is the run's."""

    def __init__(self, provisioning, hub, policy):
        self.hub = hub
        self.registrant = provisioning.enroll()
        self.id = self.registrant.registration
        self.update("--credential-policy", policy)

    def update(self, *flags):
        """Changes its enrollment."""
        self.hub.call("dps", "enrollment", "update", "--enrollment-id", self.id, *flags)

    def register(self):
        """Registers with a signing request; what it gets."""
        door, request = Door(self.registrant), SigningRequest(self.id)
        begun = door.register({"registrationId": self.id, "csr": request.text})
        assert begun.status_code == 202, begun.text
        operation = begun.json()["operationId"]
        ended = until(lambda: finished(door.status(operation)), "the device is assigned").json()
        assert ended["status"] == "assigned", ended
        return request.answered(ended["registrationState"]["issuedCertificateChain"])

    def sends(self, held, events):
        """Connects by the SDK and sends a message that arrives."""
        before = len(events.of(self.id))
        shown = X509(str(held.certificate_file), str(held.key_file))
        client = IoTHubDeviceClient.create_from_x509_certificate(
            shown, self.hub.host, self.id, server_verification_cert=authority_text(self.hub)
        )
        try:
            client.connect()
            client.send_message(f"{self.id} {before}")
        finally:
            client.shutdown()
        until(lambda: len(events.of(self.id)) > before, "its message arrives")

    @contextlib.contextmanager
    def connected(self, held, clean=True, password=None):
        connection = Connection(self, held, clean, password)
        try:
            yield connection
        finally:
            connection.close()


class Connection:
    """An MQTT connection of a device to its hub."""

    def __init__(self, device, held, clean, password):
        self.device = device
        self.replies = queue.Queue()
        self.events = queue.Queue()
        self.numbers = itertools.count(1)
        self.client = mqtt.Client(client_id=device.id, clean_session=clean, protocol=mqtt.MQTTv311)
        self.client.username_pw_set(f"{device.hub.host}/{device.id}/?api-version=2025-08-01-preview", password)
        context = ssl.create_default_context(cafile=device.hub.authority)
        if held:
            context.load_cert_chain(held.certificate_file, held.key_file)
        self.client.tls_set_context(context)
        self.client.on_connect = lambda _client, _data, flags, code: self.events.put((code, flags["session present"]))
        self.client.on_subscribe = lambda _client, _data, _number, granted: self.events.put(granted)
        self.client.on_unsubscribe = lambda *_of: self.events.put("unsubscribed")
        self.client.on_publish = lambda _client, _data, number: self.events.put(("acknowledged", number))
        self.client.on_message = lambda _client, _data, message: self.replies.put(message)
        self.client.connect(device.hub.host, 8883, keepalive=60)
        self.client.loop_start()
        code, self.resumed = self.events.get(timeout=WITHIN)
        assert code == 0, code

    def subscribe(self, topic_filter=REPLIES + "#", qos=1):
        self.client.subscribe(topic_filter, qos)
        return self.events.get(timeout=WITHIN)

    def unsubscribe(self):
        self.client.unsubscribe(REPLIES + "#")
        assert self.events.get(timeout=WITHIN) == "unsubscribed"

    def publish(self, body, rid=None):
        """Publishes a request and waits for its PUBACK; its id."""
        rid = rid or f"rid-{next(self.numbers)}"
        sent = self.client.publish(ISSUE + rid, body if isinstance(body, (str, bytes)) else json.dumps(body), qos=1)
        assert self.events.get(timeout=WITHIN) == ("acknowledged", sent.mid)
        return rid

    def reply(self, rid):
        """Status and document of the next reply, which has to be about this request."""
        message = self.replies.get(timeout=WITHIN)
        levels = message.topic.split("/")
        # As the SDK for Java takes them apart.
        assert len(levels) == 5 and message.topic.startswith(REPLIES), message.topic
        assert levels[4] == f"?$rid={rid}", message.topic
        return int(levels[3]), json.loads(message.payload)

    def renew(self, **members):
        """Asks for the next certificate and gets it."""
        request = SigningRequest(self.device.id)
        rid = self.publish({"id": self.device.id, "csr": request.text} | members)
        status, accepted = self.reply(rid)
        assert status == 202, accepted
        assert accepted["operationExpires"] and accepted["correlationId"]
        status, issued = self.reply(rid)
        assert status == 200, issued
        assert issued["correlationId"] == accepted["correlationId"]
        return request.answered(issued["certificates"])

    def refused(self, body, accepted_first=False):
        """Asks in vain; the error."""
        rid = self.publish(body)
        if accepted_first:
            assert self.reply(rid)[0] == 202
        status, error = self.reply(rid)
        assert error["errorCode"] // 1000 == status, error
        assert error["message"] and error["trackingId"] and error["timestampUtc"], error
        return error

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()
