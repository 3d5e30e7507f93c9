"""Certificates of devices: self-signed ones, and an authority with an intermediate and leaves."""

import datetime
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


class Certificate:
    """A certificate with its key, and what has to be sent with it."""

    def __init__(self, certificate, key, issuers=()):
        self.certificate = certificate
        self.key = key
        self.issuers = list(issuers)

    def thumbprint(self, algorithm=hashes.SHA256):
        return self.certificate.fingerprint(algorithm()).hex().upper()

    def described(self):
        """What the service's documents say of it."""
        moment = "%Y-%m-%dT%H:%M:%S.0000000Z"
        serial = self.certificate.serial_number
        return {
            "subjectName": self.certificate.subject.rfc4514_string(),
            "issuerName": self.certificate.issuer.rfc4514_string(),
            "sha1Thumbprint": self.thumbprint(hashes.SHA1),
            "sha256Thumbprint": self.thumbprint(),
            "serialNumber": serial.to_bytes(serial.bit_length() // 8 + 1, "big").hex().upper(),
            "notBeforeUtc": self.certificate.not_valid_before_utc.strftime(moment),
            "notAfterUtc": self.certificate.not_valid_after_utc.strftime(moment),
            "version": 3,
        }

    def chain_pem(self):
        """The certificate and its intermediates, the leaf first."""
        chain = [self.certificate, *(issuer.certificate for issuer in self.issuers)]
        return "".join(each.public_bytes(serialization.Encoding.PEM).decode() for each in chain)

    def key_pem(self):
        form = serialization.PrivateFormat.PKCS8
        return self.key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()

    def write(self, folder: pathlib.Path, name):
        """Paths of two files: the chain and the key."""
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        certificate.write_text(self.chain_pem())
        key.write_text(self.key_pem())
        return certificate, key


class Authority:
    """A certificate authority with one intermediate, as a manufacturer has it."""

    def __init__(self, name):
        self.root = issue(f"{name} root", authority=True)
        self.intermediate = issue(f"{name} intermediate", issuer=self.root, authority=True)

    def leaf(self, common_name, **dates):
        leaf = issue(common_name, issuer=self.intermediate, **dates)
        return Certificate(leaf.certificate, leaf.key, [self.intermediate])

    def directly_signed(self, common_name):
        """A leaf that the root signed itself, as the proof of possession wants it."""
        return issue(common_name, issuer=self.root)


def self_signed(common_name, **dates):
    return issue(common_name, **dates)


def issue(common_name, issuer=None, authority=False, begins=-DAY, ends=30 * DAY):
    """A P-256 certificate; its dates are counted from this moment and may lie on one side of it."""
    moment = datetime.datetime.now(datetime.timezone.utc)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    signer = issuer or Certificate(None, key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment + begins)
        .not_valid_after(moment + ends)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if authority:
        builder = builder.add_extension(signing_usage(), critical=True)
    else:
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = builder.add_extension(usage, critical=False)
    return Certificate(builder.sign(signer.key, hashes.SHA256()), key)


def signing_usage():
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
