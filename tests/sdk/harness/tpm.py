"""TPMs without a TPM: public parts of keys, in the form in which a TPM gives them out (TPM 2.0 Library, Part 2, 12.2), and
what a TPM does with a challenge (Part 1, 23 and 24)."""

import base64
import hashlib
import hmac
import struct

from cryptography.hazmat.decrepit.ciphers.modes import CFB as CFB_MODE
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

RSA, SHA256, AES, CFB, NONE = 0x0001, 0x000B, 0x0006, 0x0043, 0x0010
# What keys of the two kinds may be used for, and the policy of every endorsement key (TCG EK Credential Profile, B.3).
OF_ENDORSEMENT_KEY = 0x000300B2
OF_STORAGE_ROOT_KEY = 0x00030472
ENDORSEMENT_POLICY = bytes.fromhex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa")
KEY_BITS = 128


class SoftwareTpm:
    """The two keys of a TPM."""

    def __init__(self):
        self.endorsement = rsa.generate_private_key(65537, 2048)
        self.storage_root = rsa.generate_private_key(65537, 2048)
        self.endorsement_key = public_of(self.endorsement, OF_ENDORSEMENT_KEY, ENDORSEMENT_POLICY)
        self.storage_root_key = public_of(self.storage_root, OF_STORAGE_ROOT_KEY, b"")

    def shown(self):
        """What a registration says of it."""
        return {"endorsementKey": self.endorsement_key, "storageRootKey": self.storage_root_key}

    def imported(self, authentication_key):
        """The key that a challenge wraps: TPM2_ActivateCredential and TPM2_Import, both checked."""
        rest = base64.b64decode(authentication_key, validate=True)
        fields = []
        for _ in range(5):
            field, rest = taken(rest)
            fields.append(field)
        credential, secret, duplicate, seed, public = fields
        inner = opened(credential, unwrapped(self.endorsement, secret, b"IDENTITY"), name_of(self.storage_root_key))
        inner_key, _ = taken(inner)
        name = b"\x00\x0b" + hashlib.sha256(public).digest()
        outer = opened(duplicate, unwrapped(self.storage_root, seed, b"DUPLICATE"), name)
        integrity, sensitive = taken(decrypted(inner_key, outer))
        assert integrity == hashlib.sha256(sensitive + name).digest(), "the inner integrity is wrong"
        area, _ = taken(sensitive)
        # The type, then authorization value, seed and the key itself.
        _, after = taken(area[2:])
        _, after = taken(after)
        return base64.b64encode(taken(after)[0]).decode()


def unwrapped(key, secret, label):
    sha256 = hashes.SHA256()
    return key.decrypt(secret, padding.OAEP(padding.MGF1(sha256), sha256, label + b"\x00"))


def opened(protected, seed, name):
    """The content of what `seed` protects, once its outer integrity is right."""
    integrity, content = taken(protected)
    key = derived(seed, b"INTEGRITY", b"", 256)
    assert integrity == hmac.new(key, content + name, hashlib.sha256).digest(), "the outer integrity is wrong"
    return decrypted(derived(seed, b"STORAGE", name, KEY_BITS), content)


def derived(key, label, context, bits):
    """KDFa for one block (Part 1, 11.4.10.2)."""
    counted = struct.pack(">I", 1) + label + b"\x00" + context + struct.pack(">I", bits)
    return hmac.new(key, counted, hashlib.sha256).digest()[: bits // 8]


def decrypted(key, data):
    decryptor = Cipher(algorithms.AES(key), CFB_MODE(bytes(16))).decryptor()
    return decryptor.update(data) + decryptor.finalize()


def name_of(public):
    """The name of a key, of its `TPM2B_PUBLIC` in base64."""
    return b"\x00\x0b" + hashlib.sha256(base64.b64decode(public)[2:]).digest()


def endorsement_key():
    return public_of(rsa.generate_private_key(65537, 2048), OF_ENDORSEMENT_KEY, ENDORSEMENT_POLICY)


def storage_root_key():
    return public_of(rsa.generate_private_key(65537, 2048), OF_STORAGE_ROOT_KEY, b"")


def public_of(key, attributes, policy):
    """A `TPM2B_PUBLIC` of an RSA key that protects other keys, in base64."""
    modulus = key.public_key().public_numbers().n.to_bytes(256)
    area = struct.pack(">HHI", RSA, SHA256, attributes) + sized(policy)
    area += struct.pack(">HHHHHI", AES, KEY_BITS, CFB, NONE, 2048, 0) + sized(modulus)
    return base64.b64encode(sized(area)).decode()


def sized(content):
    return struct.pack(">H", len(content)) + content


def taken(data):
    """The sized field that `data` begins with, and the rest."""
    (size,) = struct.unpack_from(">H", data)
    assert len(data) >= 2 + size, "a field is longer than what is there"
    return data[2 : 2 + size], data[2 + size :]
