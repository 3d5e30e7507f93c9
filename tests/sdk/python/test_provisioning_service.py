"""Enrollments, groups and registrations, by the service SDK."""

import contextlib

import pytest
from provisioningserviceclient import (
    BULKOP_CREATE,
    BULKOP_DELETE,
    BULKOP_UPDATE,
    BULKOP_UPDATE_IF_MATCH_ETAG,
    BulkEnrollmentOperation,
    ProvisioningServiceClient,
    QuerySpecification,
)
from provisioningserviceclient.models import AttestationMechanism, IndividualEnrollment

from attestations import (
    ATTESTATIONS,
    Attestation,
    SymmetricGroup,
    SymmetricIndividual,
    X509GroupIntermediate,
    X509GroupRoot,
    X509Individual,
)
from credentials import new_key
from enrollments import MIGRATE, arguments_of, new_id, refusal, status_of
from harness import tpm

BULK_MAX = 10
STALE = '"stale"'


class TpmOfNobody(Attestation):
    """An enrollment of a TPM that is nowhere."""

    def __init__(self):
        endorsement_key = tpm.endorsement_key()
        self.mechanism = lambda: AttestationMechanism.create_with_tpm(endorsement_key)



@contextlib.contextmanager
def deleted_at_the_end(service, *models):
    try:
        yield
    finally:
        for model in models:
            model.etag = None
            service.delete(model)


def test_enrollments_are_kept(hub, provisioning):
    service = provisioning.service
    registration = new_id("Device-1.a:b")
    terms = {
        "device_id": "the-device@hub",
        "status": "enabled",
        "twin": {"tags": {"site": {"floor": 2}}, "desired": {"interval": 5, "list": [1, "zwei"]}},
        "edge": True,
        "reprovision_policy": MIGRATE,
        "allocation_policy": "static",
        "iot_hubs": [hub.host],
    }
    attestation = SymmetricIndividual()
    created = provisioning.create_individual(registration, attestation, **terms)
    with deleted_at_the_end(service, created):
        assert (created.registration_id, created.device_id) == (registration, "the-device@hub")
        assert created.etag and created.created_date_time_utc and created.last_updated_date_time_utc
        read = service.get_individual_enrollment(registration)
        assert (read.registration_id, read.device_id, read.etag) == (registration, "the-device@hub", created.etag)
        assert (read.provisioning_status, read.allocation_policy) == ("enabled", "static")
        assert read.iot_hubs == [hub.host]
        assert read.initial_twin.tags == {"site": {"floor": 2}}
        assert read.initial_twin.desired_properties == {"interval": 5, "list": [1, "zwei"]}
        assert read.capabilities.iot_edge is True
        assert read.reprovision_policy.as_dict() == MIGRATE.as_dict()
        assert read.attestation.type == "symmetricKey"
        # Ids are compared without case, and keep their spelling.
        assert service.get_individual_enrollment(registration.upper()).registration_id == registration

        read.provisioning_status = "disabled"
        updated = service.create_or_update(read)
        assert updated.provisioning_status == "disabled" and updated.etag != created.etag
        assert updated.created_date_time_utc == created.created_date_time_utc
        assert updated.last_updated_date_time_utc >= created.last_updated_date_time_utc
        # An update that says no keys keeps them.
        told = service.get_individual_enrollment_attestation_mechanism(registration)
        assert told.symmetric_key.primary_key == attestation.keys["primary"]
    assert status_of(service.get_individual_enrollment, registration) == 404


def test_enrollment_groups_are_kept(hub, provisioning):
    service = provisioning.service
    attestation = SymmetricGroup()
    group = new_id("Group")
    created = provisioning.create_group(attestation, group, twin={"tags": {"site": "north"}}, iot_hubs=[hub.host])
    with deleted_at_the_end(service, created):
        read = service.get_enrollment_group(group)
        assert (read.enrollment_group_id, read.etag) == (group, created.etag)
        assert read.initial_twin.tags == {"site": "north"}
        assert read.iot_hubs == [hub.host]
        read.provisioning_status = "disabled"
        updated = service.create_or_update(read)
        assert updated.provisioning_status == "disabled" and updated.etag != created.etag
        told = service.get_enrollment_group_attestation_mechanism(group)
        assert told.symmetric_key.secondary_key == attestation.keys["secondary"]
    assert status_of(service.get_enrollment_group, group) == 404


def test_enrollment_certificates_are_described(provisioning):
    registrant = provisioning.enroll(X509Individual())
    primary = registrant.attestation.slots["primary"]
    info = registrant.enrollment.attestation.x509.client_certificates.primary.info
    assert info.sha256_thumbprint.upper() == primary.thumbprint()
    assert registrant.registration in info.subject_name
    assert info.not_after_utc == primary.certificate.not_valid_after_utc

    named = provisioning.enroll(X509GroupRoot())
    assert named.enrollment.attestation.x509.ca_references.primary == named.attestation.name
    held = provisioning.enroll(X509GroupIntermediate())
    info = held.enrollment.attestation.x509.signing_certificates.primary.info
    assert info.sha256_thumbprint.upper() == held.attestation.authority.intermediate.thumbprint()


def test_enrollment_keys_are_made_and_told_on_request(provisioning):
    service = provisioning.service
    registration = new_id("device")
    created = service.create_or_update(IndividualEnrollment.create(registration, AttestationMechanism(type="symmetricKey")))
    with deleted_at_the_end(service, created):
        keys = service.get_individual_enrollment_attestation_mechanism(registration).symmetric_key
        assert keys.primary_key and keys.secondary_key and keys.primary_key != keys.secondary_key
        assert service.get_individual_enrollment(registration).attestation.symmetric_key is None
    group = provisioning.enroll(SymmetricGroup())
    told = service.get_enrollment_group_attestation_mechanism(group.enrollment.enrollment_group_id)
    assert told.symmetric_key.primary_key == group.attestation.keys["primary"]
    assert status_of(service.get_individual_enrollment_attestation_mechanism, "nobody") == 404


# Each kind of proof that the service SDK can enroll.
PROOFS = {
    "individual": [*(ATTESTATIONS[name] for name in ("symmetric-individual", "x509-individual-primary")), TpmOfNobody],
    "group": [ATTESTATIONS[name] for name in ("symmetric-group", "x509-group-root", "x509-group-intermediate")],
}


def test_enrollments_are_written_back_as_they_were_read(hub, provisioning):
    service = provisioning.service
    terms = {"twin": {"tags": {"site": {"floor": 2}}, "desired": {"list": [1, "zwei"]}}, "iot_hubs": [hub.host]}
    for proof in PROOFS["individual"]:
        registrant = provisioning.enroll(proof(), **terms)
        id = registrant.registration
        read = service.get_individual_enrollment(id)
        told = service.get_individual_enrollment_attestation_mechanism(id).as_dict()
        # What a back end does that changes one thing: it sends all that it read, and the keys that it did not.
        read.device_id = "another-name"
        written = service.create_or_update(read)
        assert written.device_id == "another-name", proof
        assert service.get_individual_enrollment_attestation_mechanism(id).as_dict() == told, proof
        assert written.initial_twin.tags == terms["twin"]["tags"], proof
        assert written.initial_twin.desired_properties == terms["twin"]["desired"], proof
        assert written.iot_hubs == [hub.host], proof
    for proof in PROOFS["group"]:
        registrant = provisioning.enroll(proof(), **terms)
        id = registrant.enrollment.enrollment_group_id
        read = service.get_enrollment_group(id)
        told = service.get_enrollment_group_attestation_mechanism(id).as_dict()
        read.provisioning_status = "disabled"
        written = service.create_or_update(read)
        assert written.provisioning_status == "disabled", proof
        assert service.get_enrollment_group_attestation_mechanism(id).as_dict() == told, proof
        assert written.initial_twin.tags == terms["twin"]["tags"], proof
        assert written.initial_twin.desired_properties == terms["twin"]["desired"], proof


def test_enrollment_refusals(hub, provisioning):
    service = provisioning.service
    registrant = provisioning.enroll()
    group = provisioning.enroll(SymmetricGroup())

    # Twice the same, without the etag of the first.
    status, error = refusal(provisioning.create_individual, registrant.registration, SymmetricIndividual())
    assert status == 409 and error.error_code // 1000 == 409
    assert error.tracking_id and error.message and error.timestamp_utc
    status, _ = refusal(provisioning.create_group, SymmetricGroup(), group.enrollment.enrollment_group_id)
    assert status == 409

    # Somebody else was faster.
    for each in (registrant, group):
        current, each.enrollment.etag = each.enrollment.etag, STALE
        each.enrollment.attestation = each.attestation.mechanism()
        assert status_of(service.create_or_update, each.enrollment) == 412
        assert status_of(service.delete, each.enrollment) == 412
        each.enrollment.etag = current

    for call in (service.get_individual_enrollment, service.get_enrollment_group, service.get_registration_state):
        status, error = refusal(call, "nobody")
        assert status == 404 and error.error_code // 1000 == 404
    assert status_of(service.delete_individual_enrollment_by_param, "nobody") == 404
    assert status_of(service.delete_enrollment_group_by_param, "nobody") == 404

    # What no enrollment can be.
    for registration in ("a space", "ends.", "x" * 129):
        assert status_of(provisioning.create_individual, registration, SymmetricIndividual()) == 400
    short = SymmetricIndividual()
    short.keys["primary"] = "c2hvcnQ="
    assert status_of(provisioning.create_individual, new_id("device"), short) == 400
    assert status_of(lambda: provisioning.create_individual(new_id("device"), SymmetricIndividual(), iot_hubs=["no.test"])) == 400

    forged = ProvisioningServiceClient(provisioning.host, "provisioningserviceowner", new_key())
    assert status_of(forged.get_individual_enrollment, registrant.registration) == 401
    nobody = ProvisioningServiceClient(provisioning.host, "nobody", provisioning.policy_key)
    assert status_of(nobody.get_individual_enrollment, registrant.registration) == 401
    of_the_hub = ProvisioningServiceClient(provisioning.host, "iothubowner", hub.policy_key("iothubowner"))
    assert status_of(of_the_hub.get_individual_enrollment, registrant.registration) == 401


def enrollments(count):
    return [
        IndividualEnrollment.create(new_id("bulk"), SymmetricIndividual().mechanism(), **arguments_of({"status": "enabled"}))
        for _ in range(count)
    ]


def test_enrollments_change_in_bulk(provisioning):
    service = provisioning.service

    def run(mode, models):
        return service.run_bulk_operation(BulkEnrollmentOperation(mode, models))

    models = enrollments(BULK_MAX)
    ids = [model.registration_id for model in models]
    created = run(BULKOP_CREATE, models)
    assert created.is_successful is True and not created.errors
    # One of them is there already: the others are made all the same.
    fresh = enrollments(1)
    again = run(BULKOP_CREATE, [models[0], *fresh])
    assert again.is_successful is False
    [error] = again.errors
    assert error.registration_id == ids[0] and error.error_code // 1000 == 409 and error.error_status
    assert service.get_individual_enrollment(fresh[0].registration_id).etag

    for model in models:
        model.provisioning_status = "disabled"
        model.etag = None
    assert run(BULKOP_UPDATE, models).is_successful is True
    read = [service.get_individual_enrollment(each) for each in ids]
    assert {each.provisioning_status for each in read} == {"disabled"}

    models[0].etag, models[1].etag = read[0].etag, STALE
    conditional = run(BULKOP_UPDATE_IF_MATCH_ETAG, models[:2])
    [error] = conditional.errors
    assert error.registration_id == ids[1] and error.error_code // 1000 == 412

    with pytest.raises(Exception, match="400"):
        run(BULKOP_CREATE, enrollments(BULK_MAX + 1))
    for model in models:
        model.etag = None
    assert run(BULKOP_DELETE, models).is_successful is True
    assert [status_of(service.get_individual_enrollment, each) for each in ids] == [404] * BULK_MAX
    gone = run(BULKOP_DELETE, models[:1] + fresh)
    [error] = gone.errors
    assert error.registration_id == ids[0] and error.error_code // 1000 == 404


def pages(query):
    found = []
    while query.has_next:
        try:
            found.append(query.next())
        except StopIteration:
            break
    return found


def test_enrollment_queries_are_paged(provisioning):
    service = provisioning.service
    registrants = [provisioning.enroll() for _ in range(5)]
    groups = [provisioning.enroll(SymmetricGroup()) for _ in range(3)]

    found = pages(service.create_individual_enrollment_query(QuerySpecification("select * from enrollments"), 2))
    assert all(len(page) == 2 for page in found[:-1]) and len(found[-1]) <= 2
    ids = [model.registration_id for page in found for model in page]
    assert {each.registration for each in registrants} <= set(ids)
    assert len(ids) == len(set(ids))

    found = pages(service.create_enrollment_group_query(QuerySpecification("SELECT * FROM enrollmentGroups"), 1))
    ids = [model.enrollment_group_id for page in found for model in page]
    assert {each.enrollment.enrollment_group_id for each in groups} <= set(ids)
    whole = pages(service.create_enrollment_group_query(QuerySpecification("select * from enrollmentgroups")))
    assert sorted(model.enrollment_group_id for page in whole for model in page) == sorted(ids)

    with pytest.raises(Exception, match="400"):
        service.create_individual_enrollment_query(QuerySpecification("select nothing")).next()


def test_registration_records_are_read_and_deleted(provisioning):
    service = provisioning.service
    first = provisioning.enroll(SymmetricGroup())
    others = [provisioning.member(first) for _ in range(2)]
    for each in (first, *others):
        each.registered()
    group = first.enrollment.enrollment_group_id
    records = provisioning.registrations_of(group)
    assert {record.registration_id for record in records} == {each.registration for each in (first, *others)}
    assert {record.status for record in records} == {"assigned"}

    record = provisioning.registration(first.registration)
    assert status_of(service.delete_registration_state_by_param, first.registration, STALE) == 412
    service.delete(record)
    assert status_of(provisioning.registration, first.registration) == 404
    assert len(provisioning.registrations_of(group)) == 2
    # It may come back, and the enrollment that it came by is untouched.
    first.registered()
    assert provisioning.registration(first.registration).status == "assigned"
