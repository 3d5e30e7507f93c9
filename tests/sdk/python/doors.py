"""The device's HTTPS routes, one request at a time; the vendor's Python client does not use them."""

import requests

from harness.tokens import token

VERSION = "2021-06-01"
WITHIN = 20


class Door:
    """HTTPS requests of one device."""

    def __init__(self, registrant):
        self.registrant = registrant
        self.provisioning = registrant.provisioning

    @property
    def resource(self):
        return f"{self.provisioning.id_scope}/registrations/{self.registrant.registration}"

    def token(self, slot="own", lives=3600, resource=None):
        key = self.registrant.attestation.key(self.registrant.registration, slot)
        return token(resource or self.resource, key, lives=lives, policy="registration")

    def ask(self, verb, path, version=VERSION, authorization=None, headers=None, **options):
        headers = {"Authorization": self.token() if authorization is None else authorization} | (headers or {})
        headers = {name: value for name, value in headers.items() if value}
        query = f"?api-version={version}" if version else ""
        address = f"https://{self.provisioning.endpoint}{path}{query}"
        options = {"verify": self.provisioning.hub.authority, "timeout": WITHIN} | options
        return requests.request(verb, address, headers=headers, **options)

    def register(self, body=None, **options):
        body = body if body is not None else {"registrationId": self.registrant.registration}
        return self.ask("PUT", f"/{self.resource}/register", json=body, **options)

    def status(self, operation, **options):
        return self.ask("GET", f"/{self.resource}/operations/{operation}", **options)

    def look_up(self, **options):
        return self.ask("POST", f"/{self.resource}", json={"registrationId": self.registrant.registration}, **options)


def finished(answer):
    assert answer.status_code in (200, 202), answer.text
    return answer if answer.status_code == 200 else None
