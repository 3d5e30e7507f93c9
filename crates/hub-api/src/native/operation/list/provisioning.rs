//! The operations of the provisioning service.

use super::super::{Guard, Needs, Operation, OperationId, Parameter, ParameterKind, Verb};
use super::builders::{call, create, delete, listing, read, write};
use super::parameters::PAGE;

const CONFIG: Needs = Needs::Service("ServiceConfig");
const READ: Needs = Needs::Service("EnrollmentRead");
const WRITE: Needs = Needs::Service("EnrollmentWrite");
const STATUS_READ: Needs = Needs::Service("RegistrationStatusRead");
const STATUS_WRITE: Needs = Needs::Service("RegistrationStatusWrite");
const ANY_READ: Needs =
    Needs::AnyOfService(&["ServiceConfig", "EnrollmentRead", "RegistrationStatusRead"]);

const REGISTRATION_PAGE: &[Parameter] = &[
    PAGE[0],
    PAGE[1],
    Parameter {
        name: "filter",
        summary: "which; all when absent",
        kind: ParameterKind::OneOf(&["all", "assigning", "failed", "individual"]),
    },
    Parameter {
        name: "group",
        summary: "only those of this enrollment group",
        kind: ParameterKind::Text,
    },
];

const WITHIN: &[Parameter] = &[Parameter {
    name: "within",
    summary: "in how many days; 30 when absent",
    kind: ParameterKind::Number(0, 36_500),
}];

const fn forget(
    needs: Needs,
    id: OperationId,
    path: &'static str,
    summary: &'static str,
) -> Operation {
    Operation {
        needs,
        ..delete(id, path, summary)
    }
}

const fn unguarded(operation: Operation) -> Operation {
    Operation {
        guard: Guard::Unguarded,
        ..operation
    }
}

const fn put(
    needs: Needs,
    id: OperationId,
    verb: Verb,
    path: &'static str,
    summary: &'static str,
    (request, answer): (&'static str, &'static str),
) -> Operation {
    write(id, verb, path, summary, needs, request, answer)
}

/// The operations.
pub(super) const OPERATIONS: &[Operation] = &[
    read(
        OperationId::GetProvisioning,
        "/provisioning",
        "Get the provisioning service",
        CONFIG,
        "ProvisioningService",
    ),
    unguarded(put(
        CONFIG,
        OperationId::PatchProvisioning,
        Verb::Patch,
        "/provisioning",
        "Change the provisioning service; absent members stay",
        ("ProvisioningServiceChange", "ProvisioningService"),
    )),
    read(
        OperationId::ListServicePolicies,
        "/provisioning/policies",
        "List the shared access policies of the provisioning service, without keys",
        CONFIG,
        "ServicePolicies",
    ),
    read(
        OperationId::GetServicePolicy,
        "/provisioning/policies/{policy}",
        "Get a policy of the provisioning service with its keys",
        CONFIG,
        "ServicePolicy",
    ),
    create(
        OperationId::CreateServicePolicy,
        "/provisioning/policies",
        "Make a policy of the provisioning service; keys that are absent are made",
        CONFIG,
        "NewServicePolicy",
        "ServicePolicy",
    ),
    unguarded(put(
        CONFIG,
        OperationId::PatchServicePolicy,
        Verb::Patch,
        "/provisioning/policies/{policy}",
        "Change rights or keys of a policy of the provisioning service; absent members stay",
        ("ServicePolicyChange", "ServicePolicy"),
    )),
    call(
        OperationId::RollServicePolicyKeys,
        "/provisioning/policies/{policy}/rollKeys",
        "Make new keys for a policy of the provisioning service, or swap them",
        CONFIG,
        "KeyRoll",
        "ServicePolicy",
    ),
    unguarded(forget(
        CONFIG,
        OperationId::DeleteServicePolicy,
        "/provisioning/policies/{policy}",
        "Delete a policy of the provisioning service; its tokens are refused at once",
    )),
    read(
        OperationId::ListLinkedHubs,
        "/provisioning/linkedHubs",
        "List the hubs that devices can be assigned to",
        CONFIG,
        "LinkedHubs",
    ),
    create(
        OperationId::CreateLinkedHub,
        "/provisioning/linkedHubs",
        "Link a hub of another installation",
        CONFIG,
        "NewLinkedHub",
        "LinkedHub",
    ),
    read(
        OperationId::GetLinkedHub,
        "/provisioning/linkedHubs/{host}",
        "Get a linked hub",
        CONFIG,
        "LinkedHub",
    ),
    unguarded(put(
        CONFIG,
        OperationId::PatchLinkedHub,
        Verb::Patch,
        "/provisioning/linkedHubs/{host}",
        "Change what is set for a linked hub; absent members stay",
        ("LinkedHubChange", "LinkedHub"),
    )),
    read(
        OperationId::CheckLinkedHub,
        "/provisioning/linkedHubs/{host}/check",
        "Try whether devices can be assigned to a linked hub; nothing is written there",
        CONFIG,
        "LinkedHubCheck",
    ),
    unguarded(forget(
        CONFIG,
        OperationId::DeleteLinkedHub,
        "/provisioning/linkedHubs/{host}",
        "Unlink a hub of another installation, or forget what is set for an own one",
    )),
    read(
        OperationId::ListAddressRanges,
        "/provisioning/addressRanges",
        "List where callers are by their addresses",
        CONFIG,
        "AddressRanges",
    ),
    unguarded(put(
        CONFIG,
        OperationId::ReplaceAddressRanges,
        Verb::Put,
        "/provisioning/addressRanges",
        "Say where all ranges of addresses are, in the place of everything that was said",
        ("AddressRanges", "AddressRanges"),
    )),
    unguarded(put(
        CONFIG,
        OperationId::PutAddressRange,
        Verb::Put,
        "/provisioning/addressRanges/{range}",
        "Say where a range of addresses is",
        ("RegionName", "AddressRange"),
    )),
    unguarded(forget(
        CONFIG,
        OperationId::DeleteAddressRange,
        "/provisioning/addressRanges/{range}",
        "Forget where a range of addresses is",
    )),
    read(
        OperationId::ListLatencies,
        "/provisioning/latencies",
        "List how long callers of the regions take to the hubs",
        CONFIG,
        "Latencies",
    ),
    unguarded(put(
        CONFIG,
        OperationId::ReplaceLatencies,
        Verb::Put,
        "/provisioning/latencies",
        "Say how long callers of all regions take to the hubs, in the place of everything that was said",
        ("Latencies", "Latencies"),
    )),
    unguarded(put(
        CONFIG,
        OperationId::PatchLatencies,
        Verb::Patch,
        "/provisioning/latencies",
        "Say how long callers of regions take to hubs; what is not named stays",
        ("Latencies", "Latencies"),
    )),
    unguarded(put(
        CONFIG,
        OperationId::PutLatency,
        Verb::Put,
        "/provisioning/latencies/{region}/{host}",
        "Say how long callers of a region take to a hub",
        ("LatencyValue", "Latency"),
    )),
    unguarded(forget(
        CONFIG,
        OperationId::DeleteLatency,
        "/provisioning/latencies/{region}/{host}",
        "Forget how long callers of a region take to a hub",
    )),
    listing(
        OperationId::ListAuthorities,
        "/provisioning/certificates",
        "List the authorities that may vouch for devices that register",
        CONFIG,
        "CertificatePage",
    ),
    create(
        OperationId::CreateAuthority,
        "/provisioning/certificates",
        "Register the certificate of an authority for devices that register",
        CONFIG,
        "NewCertificate",
        "Certificate",
    ),
    read(
        OperationId::GetAuthority,
        "/provisioning/certificates/{certificate}",
        "Get the certificate of an authority",
        CONFIG,
        "Certificate",
    ),
    put(
        CONFIG,
        OperationId::ReplaceAuthority,
        Verb::Put,
        "/provisioning/certificates/{certificate}",
        "Replace the certificate of an authority; unless it says otherwise it has to be verified anew",
        ("CertificateReplacement", "Certificate"),
    ),
    forget(
        CONFIG,
        OperationId::DeleteAuthority,
        "/provisioning/certificates/{certificate}",
        "Forget an authority; devices that it vouched for keep their hubs",
    ),
    Operation {
        verb: Verb::Post,
        guard: Guard::IfMatch,
        ..read(
            OperationId::GenerateAuthorityCode,
            "/provisioning/certificates/{certificate}/verificationCode",
            "Make a new code that the owner of the authority has to certify",
            CONFIG,
            "Certificate",
        )
    },
    put(
        CONFIG,
        OperationId::VerifyAuthority,
        Verb::Post,
        "/provisioning/certificates/{certificate}/verify",
        "Prove possession with a certificate that the authority issued to the code",
        ("CertificateProof", "Certificate"),
    ),
    listing(
        OperationId::ListEnrollments,
        "/provisioning/enrollments",
        "List individual enrollments in the order of their ids",
        READ,
        "EnrollmentPage",
    ),
    create(
        OperationId::CreateEnrollment,
        "/provisioning/enrollments",
        "Enroll a device",
        WRITE,
        "EnrollmentSettings",
        "Enrollment",
    ),
    read(
        OperationId::GetEnrollment,
        "/provisioning/enrollments/{registration}",
        "Get an individual enrollment",
        READ,
        "Enrollment",
    ),
    put(
        WRITE,
        OperationId::ReplaceEnrollment,
        Verb::Put,
        "/provisioning/enrollments/{registration}",
        "Replace an individual enrollment; keys that are absent stay",
        ("EnrollmentSettings", "Enrollment"),
    ),
    forget(
        WRITE,
        OperationId::DeleteEnrollment,
        "/provisioning/enrollments/{registration}",
        "Delete an individual enrollment and its registration; the device stays in its hub",
    ),
    read(
        OperationId::GetEnrollmentKeys,
        "/provisioning/enrollments/{registration}/keys",
        "Get what an individual enrollment takes as proof, with its keys",
        WRITE,
        "EnrollmentAttestation",
    ),
    put(
        WRITE,
        OperationId::RollEnrollmentKeys,
        Verb::Post,
        "/provisioning/enrollments/{registration}/rollKeys",
        "Make new keys for an individual enrollment, or swap them",
        ("KeyRoll", "EnrollmentAttestation"),
    ),
    listing(
        OperationId::ListEnrollmentGroups,
        "/provisioning/enrollmentGroups",
        "List enrollment groups in the order of their ids",
        READ,
        "EnrollmentGroupPage",
    ),
    create(
        OperationId::CreateEnrollmentGroup,
        "/provisioning/enrollmentGroups",
        "Enroll a group of devices",
        WRITE,
        "EnrollmentGroupSettings",
        "EnrollmentGroup",
    ),
    read(
        OperationId::GetEnrollmentGroup,
        "/provisioning/enrollmentGroups/{group}",
        "Get an enrollment group",
        READ,
        "EnrollmentGroup",
    ),
    put(
        WRITE,
        OperationId::ReplaceEnrollmentGroup,
        Verb::Put,
        "/provisioning/enrollmentGroups/{group}",
        "Replace an enrollment group; keys that are absent stay",
        ("EnrollmentGroupSettings", "EnrollmentGroup"),
    ),
    forget(
        WRITE,
        OperationId::DeleteEnrollmentGroup,
        "/provisioning/enrollmentGroups/{group}",
        "Delete an enrollment group; its devices stay in their hubs",
    ),
    read(
        OperationId::GetEnrollmentGroupKeys,
        "/provisioning/enrollmentGroups/{group}/keys",
        "Get what an enrollment group takes as proof, with its keys",
        WRITE,
        "EnrollmentAttestation",
    ),
    put(
        WRITE,
        OperationId::RollEnrollmentGroupKeys,
        Verb::Post,
        "/provisioning/enrollmentGroups/{group}/rollKeys",
        "Make new keys for an enrollment group, or swap them",
        ("KeyRoll", "EnrollmentAttestation"),
    ),
    call(
        OperationId::RollAllKeys,
        "/provisioning/rollKeys",
        "Begin to roll the keys of all enrollments of a kind, or roll those of the next page",
        WRITE,
        "KeyRollTarget",
        "KeyRollResult",
    ),
    Operation {
        query: REGISTRATION_PAGE,
        ..read(
            OperationId::ListRegistrations,
            "/provisioning/registrations",
            "List registrations in the order of their ids",
            STATUS_READ,
            "RegistrationPage",
        )
    },
    read(
        OperationId::GetRegistration,
        "/provisioning/registrations/{registration}",
        "Get what became of a device's registration",
        STATUS_READ,
        "Registration",
    ),
    forget(
        STATUS_WRITE,
        OperationId::DeleteRegistration,
        "/provisioning/registrations/{registration}",
        "Forget a registration; the device stays in its hub",
    ),
    listing(
        OperationId::ListRefusals,
        "/provisioning/refusals",
        "List devices that were turned away, those with an enrollment first, then the newest",
        STATUS_READ,
        "Refusals",
    ),
    read(
        OperationId::GetRefusal,
        "/provisioning/refusals/{registration}",
        "Get how a device was turned away since it last registered",
        STATUS_READ,
        "Refusal",
    ),
    call(
        OperationId::PreviewAllocation,
        "/provisioning/allocation/preview",
        "Say where a device would go, and why",
        READ,
        "AllocationRequest",
        "AllocationPreview",
    ),
    listing(
        OperationId::ListIssuers,
        "/provisioning/issuers",
        "List the authorities that issue certificates to devices",
        CONFIG,
        "IssuerPage",
    ),
    create(
        OperationId::CreateIssuer,
        "/provisioning/issuers",
        "Make an authority that issues certificates to devices, or take a given one",
        CONFIG,
        "NewIssuer",
        "Issuer",
    ),
    read(
        OperationId::GetIssuer,
        "/provisioning/issuers/{issuer}",
        "Get an authority that issues certificates",
        CONFIG,
        "Issuer",
    ),
    unguarded(forget(
        CONFIG,
        OperationId::DeleteIssuer,
        "/provisioning/issuers/{issuer}",
        "Forget an authority that issues certificates; what it issued stays good",
    )),
    listing(
        OperationId::ListCredentialPolicies,
        "/provisioning/credentialPolicies",
        "List how certificates are issued to devices",
        CONFIG,
        "CredentialPolicyPage",
    ),
    create(
        OperationId::CreateCredentialPolicy,
        "/provisioning/credentialPolicies",
        "Make a credential policy that enrollments can name",
        CONFIG,
        "CredentialPolicySettings",
        "CredentialPolicy",
    ),
    read(
        OperationId::GetCredentialPolicy,
        "/provisioning/credentialPolicies/{credentialPolicy}",
        "Get a credential policy",
        CONFIG,
        "CredentialPolicy",
    ),
    put(
        CONFIG,
        OperationId::ReplaceCredentialPolicy,
        Verb::Put,
        "/provisioning/credentialPolicies/{credentialPolicy}",
        "Replace a credential policy",
        ("CredentialPolicySettings", "CredentialPolicy"),
    ),
    forget(
        CONFIG,
        OperationId::DeleteCredentialPolicy,
        "/provisioning/credentialPolicies/{credentialPolicy}",
        "Delete a credential policy that no enrollment names",
    ),
    Operation {
        query: WITHIN,
        ..read(
            OperationId::ListExpiring,
            "/keys/expiring",
            "List the certificates of hubs, enrollments, issuers and the server that expire soon",
            ANY_READ,
            "ExpiryReport",
        )
    },
];
