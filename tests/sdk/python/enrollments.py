"""The provisioning service as its owner sees it, and devices that register with it."""

import uuid

from provisioningserviceclient import ProvisioningServiceClient, ProvisioningServiceError
from provisioningserviceclient.models import (
    CustomAllocationDefinition,
    DeviceCapabilities,
    EnrollmentGroup,
    IndividualEnrollment,
    InitialTwin,
    ReprovisionPolicy,
)

from attestations import SymmetricIndividual
from registrants import Registrant

WEBHOOK_VERSION = "2021-10-01"
MIGRATE = ReprovisionPolicy(update_hub_assignment=True, migrate_device_data=True)
RESET = ReprovisionPolicy(update_hub_assignment=True, migrate_device_data=False)
NEVER = ReprovisionPolicy(update_hub_assignment=False, migrate_device_data=False)


class Provisioning:
    """The service SDK on one installation, with the owner's policy."""

    def __init__(self, hub):
        self.hub = hub
        shown = hub.shown["provisioning"]
        self.endpoint = shown["globalEndpoint"]
        self.id_scope = shown["idScope"]
        self.connection_string = shown["connectionString"]
        self.service = ProvisioningServiceClient.create_from_connection_string(self.connection_string)
        self.enrolled = []

    @property
    def host(self):
        return self.parts["HostName"]

    @property
    def policy_key(self):
        return self.parts["SharedAccessKey"]

    @property
    def parts(self):
        return dict(part.split("=", 1) for part in self.connection_string.split(";"))

    # Enrollments

    def enroll(self, attestation=None, registration=None, transport="mqtt", **terms):
        """A device that may register under a new id: by an enrollment of its own, or by one of a new group."""
        attestation = attestation or SymmetricIndividual()
        registration = registration or new_id("device")
        attestation.prepare(self, registration)
        if attestation.is_group:
            enrollment = self.create_group(attestation, **terms)
        else:
            enrollment = self.create_individual(registration, attestation, **terms)
        registrant = Registrant(self, registration, attestation, enrollment, transport)
        self.enrolled.append(registrant)
        return registrant

    def clear(self):
        """Takes away what was enrolled, and the authorities for it."""
        while self.enrolled:
            self.enrolled.pop().clear()

    def member(self, registrant, registration=None, transport="mqtt"):
        """One more device of a group."""
        registration = registration or new_id("device")
        return Registrant(self, registration, registrant.attestation, registrant.enrollment, transport)

    def create_individual(self, registration, attestation, **terms):
        mechanism = attestation.mechanism()
        return self.put(IndividualEnrollment.create(registration, mechanism, **arguments_of(terms)))

    def create_group(self, attestation, group=None, **terms):
        mechanism = attestation.mechanism()
        # The service SDK's document of a group has no capabilities, so no group asks for edge devices.
        return self.put(EnrollmentGroup.create(group or new_id("group"), mechanism, **arguments_of(terms)))

    def put(self, model):
        return self.service.create_or_update(model)

    # Registrations

    def registration(self, registration):
        return self.service.get_registration_state(registration)

    def has_registration(self, registration):
        try:
            return self.registration(registration).registration_id == registration
        except ProvisioningServiceError as error:
            if error.cause.response.status_code == 404:
                return False
            raise

    def registrations_of(self, group):
        # The convenience for this query hands its arguments over in the wrong places.
        return self.service._runtime_client.query_device_registration_states(group)


def new_id(kind):
    return f"{kind}-{uuid.uuid4().hex[:12]}"


def arguments_of(terms):
    """Shorter words for what the service SDK's constructors take."""
    found = dict(terms)
    if "twin" in found:
        twin = found.pop("twin")
        found["initial_twin"] = InitialTwin.create(twin.get("tags"), twin.get("desired"))
    if "edge" in found:
        found["device_capabilities"] = DeviceCapabilities.create(found.pop("edge"))
    if "webhook" in found:
        definition = CustomAllocationDefinition(webhook_url=found.pop("webhook"), api_version=WEBHOOK_VERSION)
        found["custom_allocation_definition"] = definition
        found.setdefault("allocation_policy", "custom")
    if "status" in found:
        found["provisioning_status"] = found.pop("status")
    return found


def refusal(call, *arguments):
    """The status that the service refuses a call with, and its error document."""
    try:
        call(*arguments)
    except ProvisioningServiceError as error:
        return error.cause.response.status_code, error.cause.error
    raise AssertionError("the call was not refused")


def status_of(call, *arguments):
    return refusal(call, *arguments)[0]
