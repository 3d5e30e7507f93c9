//! The operations of the provisioning service. All of them are the administrator's.

use super::super::{Guard, Needs, Operation, OperationId, Parameter, ParameterKind, Verb};
use super::builders::{call, create, delete, listing, read, write};
use super::parameters::PAGE;

const ADMIN: Needs = Needs::Admin;

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

const REFUSALS: &[Parameter] = &[PAGE[1]];

const WITHIN: &[Parameter] = &[Parameter {
    name: "within",
    summary: "in how many days; 30 when absent",
    kind: ParameterKind::Number(0, 36_500),
}];

const fn forget(id: OperationId, path: &'static str, summary: &'static str) -> Operation {
    Operation {
        needs: ADMIN,
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
    id: OperationId,
    verb: Verb,
    path: &'static str,
    summary: &'static str,
    (request, answer): (&'static str, &'static str),
) -> Operation {
    write(id, verb, path, summary, ADMIN, request, answer)
}

/// The operations.
pub(super) const OPERATIONS: &[Operation] = &[
    read(
        OperationId::GetProvisioning,
        "/provisioning",
        "Get the provisioning service",
        ADMIN,
        "ProvisioningService",
    ),
    unguarded(put(
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
        ADMIN,
        "ServicePolicies",
    ),
    read(
        OperationId::GetServicePolicy,
        "/provisioning/policies/{policy}",
        "Get a policy of the provisioning service with its keys",
        ADMIN,
        "ServicePolicy",
    ),
    create(
        OperationId::CreateServicePolicy,
        "/provisioning/policies",
        "Make a policy of the provisioning service; keys that are absent are made",
        ADMIN,
        "NewServicePolicy",
        "ServicePolicy",
    ),
    unguarded(put(
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
        ADMIN,
        "KeyRoll",
        "ServicePolicy",
    ),
    unguarded(forget(
        OperationId::DeleteServicePolicy,
        "/provisioning/policies/{policy}",
        "Delete a policy of the provisioning service; its tokens are refused at once",
    )),
    read(
        OperationId::ListLinkedHubs,
        "/provisioning/linkedHubs",
        "List the hubs that devices can be assigned to",
        ADMIN,
        "LinkedHubs",
    ),
    create(
        OperationId::CreateLinkedHub,
        "/provisioning/linkedHubs",
        "Link a hub of another installation",
        ADMIN,
        "NewLinkedHub",
        "LinkedHub",
    ),
    read(
        OperationId::GetLinkedHub,
        "/provisioning/linkedHubs/{host}",
        "Get a linked hub",
        ADMIN,
        "LinkedHub",
    ),
    unguarded(put(
        OperationId::PatchLinkedHub,
        Verb::Patch,
        "/provisioning/linkedHubs/{host}",
        "Change what is set for a linked hub; absent members stay",
        ("LinkedHubChange", "LinkedHub"),
    )),
    unguarded(forget(
        OperationId::DeleteLinkedHub,
        "/provisioning/linkedHubs/{host}",
        "Unlink a hub of another installation, or forget what is set for an own one",
    )),
    read(
        OperationId::ListAddressRanges,
        "/provisioning/addressRanges",
        "List where callers are by their addresses",
        ADMIN,
        "AddressRanges",
    ),
    unguarded(put(
        OperationId::ReplaceAddressRanges,
        Verb::Put,
        "/provisioning/addressRanges",
        "Say where all ranges of addresses are, in the place of everything that was said",
        ("AddressRanges", "AddressRanges"),
    )),
    unguarded(put(
        OperationId::PutAddressRange,
        Verb::Put,
        "/provisioning/addressRanges/{range}",
        "Say where a range of addresses is",
        ("RegionName", "AddressRange"),
    )),
    unguarded(forget(
        OperationId::DeleteAddressRange,
        "/provisioning/addressRanges/{range}",
        "Forget where a range of addresses is",
    )),
    read(
        OperationId::ListLatencies,
        "/provisioning/latencies",
        "List how long callers of the regions take to the hubs",
        ADMIN,
        "Latencies",
    ),
    unguarded(put(
        OperationId::ReplaceLatencies,
        Verb::Put,
        "/provisioning/latencies",
        "Say how long callers of all regions take to the hubs, in the place of everything that was said",
        ("Latencies", "Latencies"),
    )),
    unguarded(put(
        OperationId::PatchLatencies,
        Verb::Patch,
        "/provisioning/latencies",
        "Say how long callers of regions take to hubs; what is not named stays",
        ("Latencies", "Latencies"),
    )),
    unguarded(put(
        OperationId::PutLatency,
        Verb::Put,
        "/provisioning/latencies/{region}/{host}",
        "Say how long callers of a region take to a hub",
        ("LatencyValue", "Latency"),
    )),
    unguarded(forget(
        OperationId::DeleteLatency,
        "/provisioning/latencies/{region}/{host}",
        "Forget how long callers of a region take to a hub",
    )),
    listing(
        OperationId::ListAuthorities,
        "/provisioning/certificates",
        "List the authorities that may vouch for devices that register",
        ADMIN,
        "CertificatePage",
    ),
    create(
        OperationId::CreateAuthority,
        "/provisioning/certificates",
        "Register the certificate of an authority for devices that register",
        ADMIN,
        "NewCertificate",
        "Certificate",
    ),
    read(
        OperationId::GetAuthority,
        "/provisioning/certificates/{certificate}",
        "Get the certificate of an authority",
        ADMIN,
        "Certificate",
    ),
    put(
        OperationId::ReplaceAuthority,
        Verb::Put,
        "/provisioning/certificates/{certificate}",
        "Replace the certificate of an authority; unless it says otherwise it has to be verified anew",
        ("CertificateReplacement", "Certificate"),
    ),
    forget(
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
            ADMIN,
            "Certificate",
        )
    },
    put(
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
        ADMIN,
        "EnrollmentPage",
    ),
    create(
        OperationId::CreateEnrollment,
        "/provisioning/enrollments",
        "Enroll a device",
        ADMIN,
        "EnrollmentSettings",
        "Enrollment",
    ),
    read(
        OperationId::GetEnrollment,
        "/provisioning/enrollments/{registration}",
        "Get an individual enrollment",
        ADMIN,
        "Enrollment",
    ),
    put(
        OperationId::ReplaceEnrollment,
        Verb::Put,
        "/provisioning/enrollments/{registration}",
        "Replace an individual enrollment; keys that are absent stay",
        ("EnrollmentSettings", "Enrollment"),
    ),
    forget(
        OperationId::DeleteEnrollment,
        "/provisioning/enrollments/{registration}",
        "Delete an individual enrollment and its registration; the device stays in its hub",
    ),
    read(
        OperationId::GetEnrollmentKeys,
        "/provisioning/enrollments/{registration}/keys",
        "Get what an individual enrollment takes as proof, with its keys",
        ADMIN,
        "EnrollmentAttestation",
    ),
    put(
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
        ADMIN,
        "EnrollmentGroupPage",
    ),
    create(
        OperationId::CreateEnrollmentGroup,
        "/provisioning/enrollmentGroups",
        "Enroll a group of devices",
        ADMIN,
        "EnrollmentGroupSettings",
        "EnrollmentGroup",
    ),
    read(
        OperationId::GetEnrollmentGroup,
        "/provisioning/enrollmentGroups/{group}",
        "Get an enrollment group",
        ADMIN,
        "EnrollmentGroup",
    ),
    put(
        OperationId::ReplaceEnrollmentGroup,
        Verb::Put,
        "/provisioning/enrollmentGroups/{group}",
        "Replace an enrollment group; keys that are absent stay",
        ("EnrollmentGroupSettings", "EnrollmentGroup"),
    ),
    forget(
        OperationId::DeleteEnrollmentGroup,
        "/provisioning/enrollmentGroups/{group}",
        "Delete an enrollment group; its devices stay in their hubs",
    ),
    read(
        OperationId::GetEnrollmentGroupKeys,
        "/provisioning/enrollmentGroups/{group}/keys",
        "Get what an enrollment group takes as proof, with its keys",
        ADMIN,
        "EnrollmentAttestation",
    ),
    put(
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
        ADMIN,
        "KeyRollTarget",
        "KeyRollResult",
    ),
    Operation {
        query: REGISTRATION_PAGE,
        ..read(
            OperationId::ListRegistrations,
            "/provisioning/registrations",
            "List registrations in the order of their ids",
            ADMIN,
            "RegistrationPage",
        )
    },
    read(
        OperationId::GetRegistration,
        "/provisioning/registrations/{registration}",
        "Get what became of a device's registration",
        ADMIN,
        "Registration",
    ),
    forget(
        OperationId::DeleteRegistration,
        "/provisioning/registrations/{registration}",
        "Forget a registration; the device stays in its hub",
    ),
    Operation {
        query: REFUSALS,
        ..read(
            OperationId::ListRefusals,
            "/provisioning/refusals",
            "List devices that were turned away, the newest first",
            ADMIN,
            "Refusals",
        )
    },
    call(
        OperationId::PreviewAllocation,
        "/provisioning/allocation/preview",
        "Say where a device would go, and why",
        ADMIN,
        "AllocationRequest",
        "AllocationPreview",
    ),
    listing(
        OperationId::ListIssuers,
        "/provisioning/issuers",
        "List the authorities that issue certificates to devices",
        ADMIN,
        "IssuerPage",
    ),
    create(
        OperationId::CreateIssuer,
        "/provisioning/issuers",
        "Make an authority that issues certificates to devices, or take a given one",
        ADMIN,
        "NewIssuer",
        "Issuer",
    ),
    read(
        OperationId::GetIssuer,
        "/provisioning/issuers/{issuer}",
        "Get an authority that issues certificates",
        ADMIN,
        "Issuer",
    ),
    unguarded(forget(
        OperationId::DeleteIssuer,
        "/provisioning/issuers/{issuer}",
        "Forget an authority that issues certificates; what it issued stays good",
    )),
    listing(
        OperationId::ListCredentialPolicies,
        "/provisioning/credentialPolicies",
        "List how certificates are issued to devices",
        ADMIN,
        "CredentialPolicyPage",
    ),
    create(
        OperationId::CreateCredentialPolicy,
        "/provisioning/credentialPolicies",
        "Make a credential policy that enrollments can name",
        ADMIN,
        "CredentialPolicySettings",
        "CredentialPolicy",
    ),
    read(
        OperationId::GetCredentialPolicy,
        "/provisioning/credentialPolicies/{credentialPolicy}",
        "Get a credential policy",
        ADMIN,
        "CredentialPolicy",
    ),
    put(
        OperationId::ReplaceCredentialPolicy,
        Verb::Put,
        "/provisioning/credentialPolicies/{credentialPolicy}",
        "Replace a credential policy",
        ("CredentialPolicySettings", "CredentialPolicy"),
    ),
    forget(
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
            ADMIN,
            "ExpiryReport",
        )
    },
];
