"""Public parts of TPM keys, in the form in which a TPM gives them out (TPM 2.0 Library, Part 2, 12.2)."""

import base64
import struct

from cryptography.hazmat.primitives.asymmetric import rsa

RSA, SHA256, AES, CFB, NONE = 0x0001, 0x000B, 0x0006, 0x0043, 0x0010
# What keys of the two kinds may be used for, and the policy of every endorsement key (TCG EK Credential Profile, B.3).
OF_ENDORSEMENT_KEY = 0x000300B2
OF_STORAGE_ROOT_KEY = 0x00030472
ENDORSEMENT_POLICY = bytes.fromhex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa")


def endorsement_key():
    return public_of(rsa.generate_private_key(65537, 2048), OF_ENDORSEMENT_KEY, ENDORSEMENT_POLICY)


def storage_root_key():
    return public_of(rsa.generate_private_key(65537, 2048), OF_STORAGE_ROOT_KEY, b"")


def public_of(key, attributes, policy):
    """A `TPM2B_PUBLIC` of an RSA key that protects other keys, in base64."""
    modulus = key.public_key().public_numbers().n.to_bytes(256)
    area = struct.pack(">HHI", RSA, SHA256, attributes) + sized(policy)
    area += struct.pack(">HHHHHI", AES, 128, CFB, NONE, 2048, 0) + sized(modulus)
    return base64.b64encode(sized(area)).decode()


def sized(content):
    return struct.pack(">H", len(content)) + content
