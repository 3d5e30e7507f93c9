//! Random values of provisioning, with everything in them that a record has to keep.

use std::sync::Arc;
use std::time::Duration;

use hub_domain::certificate::{
    CertificateInfo, CertificateName, CertificateOfAuthority, Standing, VerificationCode,
};
use hub_domain::identity::Thumbprint;
use hub_domain::provisioning::{
    AddressRange, AllocationPolicy, AllocationWebhook, Assignment, Attestation, AttestationKind,
    Capabilities, CertificateIssuer, CertificateSlot, CredentialPolicy, CredentialPolicyName,
    DeviceProof, Enrollment, EnrollmentGroup, EnrollmentGroupId, IdScope, InitialTwin, Latencies,
    Link, LinkedHub, OperationId, Origin, Place, Progress, ProvisioningService,
    ProvisioningSettings, Refusal, Region, RegisteredCertificates, Registration,
    RegistrationFailure, RegistrationId, RegistrationRequest, ReprovisionPolicy, ServicePermission,
    ServicePermissions, ServicePolicy, ServicePolicyName, Slots, Substatus, Target, Terms,
    WebhookUrl,
};
use hub_domain::{DeviceId, Etag, HostName, HubNo, Revision, Status, SymmetricKey, Timestamp};
use serde_json::{Map, Value, json};

use super::generator::Generator;

/// Registration ids; some differ only by case.
pub(crate) const IDS: [&str; 8] = ["reg-1", "REG-1", "reg-10", "Reg", "a", "Z", "a:b._-", "0"];
/// Group ids; some differ only by case.
pub(crate) const GROUPS: [&str; 4] = ["g1", "G1", "g", "Line:7"];

const HOSTS: [&str; 5] = [
    "hub-1.test",
    "a.b",
    "::1",
    "[2001:db8:1:2:3:4:5:6]",
    "localhost",
];
const TEXTS: [&str; 5] = ["", "plain", "ä\u{0}\n\"q\"", "{}", "[null]"];
const POLICIES: [&str; 3] = ["provisioningserviceowner", "Back-End_2.0", "p"];
const NUMBERS: [f64; 4] = [0.1, 7.3856e-15, 51.248_178_375_505_4, -0.0];

pub(crate) fn registration_id(text: &str) -> RegistrationId {
    RegistrationId::parse(text).expect("a valid registration id")
}

pub(crate) fn group_id(text: &str) -> EnrollmentGroupId {
    EnrollmentGroupId::parse(text).expect("a valid group id")
}

/// The choices of one value.
pub(crate) struct Values<'a>(pub(crate) &'a mut Generator);

impl Values<'_> {
    pub(crate) fn enrollment(&mut self) -> Enrollment {
        Enrollment {
            id: registration_id(self.one_of(&IDS)),
            device: self.maybe(Self::device),
            attestation: self.attestation(),
            terms: self.terms(),
            information: self.maybe(Self::object),
            etag: self.etag(),
            created: self.time(),
            updated: self.time(),
            rolled_in: self.maybe(Self::time),
        }
    }

    pub(crate) fn group(&mut self) -> EnrollmentGroup {
        EnrollmentGroup {
            id: group_id(self.one_of(&GROUPS)),
            attestation: self.attestation(),
            terms: self.terms(),
            etag: self.etag(),
            created: self.time(),
            updated: self.time(),
            rolled_in: self.maybe(Self::time),
        }
    }

    pub(crate) fn registration(&mut self) -> Registration {
        Registration {
            id: registration_id(self.one_of(&IDS)),
            origin: self.origin(),
            attestation: self.one_of(&AttestationKind::ALL),
            operation: OperationId::from_random([self.byte(); 24]),
            progress: self.progress(),
            assignment: self.maybe(Self::assignment),
            strays: self.some(Self::place),
            payload: self.maybe(Self::value),
            authentication_key: self.maybe(Self::bytes),
            certificates: self.maybe(|values| {
                Box::new(RegisteredCertificates {
                    device: values.certificate_info(),
                    signing: values.maybe(Self::certificate_info),
                })
            }),
            issued_certificates: self.some(Self::bytes),
            etag: self.etag(),
            created: self.time(),
            updated: self.time(),
        }
    }

    pub(crate) fn refusal(&mut self) -> Refusal {
        Refusal {
            id: registration_id(self.one_of(&IDS)),
            origin: self.maybe(Self::origin),
            code: self.number(),
            message: self.text(),
            address: self.maybe(Self::address),
            count: 1 + self.0.below(9),
            first: self.time(),
            // Several of one moment, so that their order shows.
            last: Timestamp::from_seconds(self.small()),
        }
    }

    pub(crate) fn service(&mut self) -> ProvisioningService {
        ProvisioningService {
            id_scope: IdScope::from_random([self.byte(); 4]),
            policies: self.some(Self::policy),
            settings: self.settings(),
            revision: Revision(self.0.below(4)),
        }
    }

    pub(crate) fn etag(&mut self) -> Etag {
        Etag(format!("e{}/+=", self.0.below(1_000)))
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        *self.0.pick(choices)
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.0.once_in(2).then(|| make(self))
    }

    fn some<T>(&mut self, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.0.below(4)).map(|_| make(self)).collect()
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.0.below(256)).expect("a byte")
    }

    fn number(&mut self) -> u32 {
        u32::try_from(self.0.below(1 << 32)).expect("32 bits")
    }

    fn small(&mut self) -> i64 {
        i64::try_from(self.0.below(6)).expect("a small number")
    }

    fn time(&mut self) -> Timestamp {
        Timestamp::from_micros(self.0.next().cast_signed() >> 8)
    }

    fn text(&mut self) -> String {
        self.one_of(&TEXTS).to_owned()
    }

    fn bytes(&mut self) -> Arc<[u8]> {
        let length = self.0.index(40);
        (0..length).map(|_| self.byte()).collect()
    }

    fn key(&mut self) -> SymmetricKey {
        SymmetricKey::from_bytes(&[self.byte(); 32]).expect("32 bytes are a key")
    }

    fn host(&mut self) -> HostName {
        HostName::parse(self.one_of(&HOSTS)).expect("a valid host name")
    }

    /// Some are the key of a registration id.
    pub(crate) fn device(&mut self) -> DeviceId {
        let ids = ["d1", "D1", "a%2F='$", "reg-1", "REG-1", "a"];
        DeviceId::parse(self.one_of(&ids)).expect("a valid device id")
    }

    fn region(&mut self) -> Region {
        Region::parse(self.one_of(&["west europe", "Moon_1"])).expect("a valid region")
    }

    fn address(&mut self) -> std::net::IpAddr {
        let text = self.one_of(&["192.0.2.7", "2001:db8::1", "::ffff:10.0.0.1"]);
        text.parse().expect("a valid address")
    }

    fn certificate_info(&mut self) -> CertificateInfo {
        CertificateInfo {
            subject: self.text(),
            sha1: self.text(),
            sha256: self.text(),
            issuer: self.text(),
            not_before: self.time(),
            not_after: self.time(),
            serial: self.text(),
            version: self.number(),
        }
    }

    fn certificate_name(&mut self) -> CertificateName {
        CertificateName::parse(self.one_of(&["root", "Line-7.b_c"])).expect("a valid name")
    }

    fn credential_policy_name(&mut self) -> CredentialPolicyName {
        CredentialPolicyName::parse(self.one_of(&["default", "Short-1"])).expect("a valid name")
    }

    fn value(&mut self) -> Value {
        match self.0.below(6) {
            0 => Value::Null,
            1 => self.text().into(),
            2 => self.one_of(&NUMBERS).into(),
            3 => json!([1, {"x": null}, i64::MIN, u64::MAX]),
            4 => self.0.once_in(2).into(),
            _ => self.object().into(),
        }
    }

    fn object(&mut self) -> Map<String, Value> {
        if self.0.once_in(3) {
            return Map::new();
        }
        let inner = self.value();
        Map::from_iter([
            ("z".to_owned(), inner),
            (self.text(), self.one_of(&NUMBERS).into()),
        ])
    }

    fn attestation(&mut self) -> Attestation {
        match self.0.below(5) {
            0 => Attestation::Tpm {
                endorsement_key: self.bytes(),
                storage_root_key: self.maybe(Self::bytes),
            },
            1 => Attestation::ClientCertificates(self.slots(Self::slot)),
            2 => Attestation::SigningCertificates(self.slots(Self::slot)),
            3 => Attestation::AuthorityReferences(self.slots(Self::certificate_name)),
            _ => Attestation::SymmetricKey {
                primary: self.key(),
                secondary: self.key(),
            },
        }
    }

    fn slot(&mut self) -> CertificateSlot {
        CertificateSlot { der: self.bytes() }
    }

    fn slots<T>(&mut self, mut make: impl FnMut(&mut Self) -> T) -> Slots<T> {
        let (primary, secondary) = match self.0.below(3) {
            0 => (Some(make(self)), None),
            1 => (None, Some(make(self))),
            _ => (Some(make(self)), Some(make(self))),
        };
        Slots { primary, secondary }
    }

    fn terms(&mut self) -> Terms {
        Terms {
            status: self.one_of(&[Status::Enabled, Status::Disabled]),
            capabilities: Capabilities {
                iot_edge: self.0.once_in(2),
            },
            initial_twin: self.twin(),
            reprovision: self.maybe(|values| ReprovisionPolicy {
                update_hub_assignment: values.0.once_in(2),
                migrate_device_data: values.0.once_in(2),
            }),
            allocation: self.maybe(|values| values.one_of(&AllocationPolicy::ALL)),
            hub: self.maybe(Self::host),
            hubs: self.some(Self::host),
            webhook: self.maybe(|values| AllocationWebhook {
                url: WebhookUrl::parse("https://f.test/x?code=a%3D").expect("a valid address"),
                api_version: values.text(),
            }),
            credential_policy: self.maybe(Self::credential_policy_name),
        }
    }

    fn origin(&mut self) -> Origin {
        if self.0.once_in(2) {
            Origin::Individual
        } else {
            Origin::Group(group_id(self.one_of(&GROUPS)))
        }
    }

    fn assignment(&mut self) -> Assignment {
        Assignment {
            hub: self.host(),
            own: self.maybe(|values| HubNo(values.number())),
            device: self.device(),
            substatus: self.one_of(&Substatus::ALL),
            taken_over: self.0.once_in(4),
        }
    }

    fn twin(&mut self) -> InitialTwin {
        InitialTwin {
            tags: self.object(),
            desired: self.object(),
        }
    }

    fn place(&mut self) -> Place {
        Place {
            hub: self.host(),
            own: self.maybe(|values| HubNo(values.number())),
            device: self.device(),
        }
    }

    fn progress(&mut self) -> Progress {
        match self.0.below(3) {
            0 => Progress::Assigned,
            1 => Progress::Failed(RegistrationFailure {
                code: self.number(),
                message: self.text(),
            }),
            _ => Progress::Assigning(Box::new(self.request())),
        }
    }

    fn request(&mut self) -> RegistrationRequest {
        RegistrationRequest {
            proof: self.proof(),
            certificate: self.maybe(Self::bytes),
            payload: self.maybe(Self::value),
            address: self.maybe(Self::address),
            signing_request: self.maybe(Self::bytes),
            stays_without_policy: self.0.once_in(2),
            enrollment: self.etag(),
            target: self.maybe(|values| Box::new(values.target())),
        }
    }

    fn target(&mut self) -> Target {
        Target {
            place: self.place(),
            twin: self.maybe(Self::twin),
            payload: self.maybe(Self::value),
        }
    }

    fn proof(&mut self) -> DeviceProof {
        let thumbprint = |values: &mut Self| {
            let digits = format!("{:02X}", values.byte()).repeat(values.one_of(&[20, 32]));
            Thumbprint::parse(&digits).expect("a valid thumbprint")
        };
        match self.0.below(4) {
            0 => DeviceProof::Keys {
                primary: self.key(),
                secondary: self.key(),
            },
            1 => DeviceProof::Thumbprints {
                primary: thumbprint(self),
                secondary: self.maybe(thumbprint),
            },
            2 => DeviceProof::Authority,
            _ => DeviceProof::Tpm {
                key: self.key(),
                storage_root_key: self.bytes(),
            },
        }
    }

    fn policy(&mut self) -> ServicePolicy {
        ServicePolicy {
            name: ServicePolicyName::parse(self.one_of(&POLICIES)).expect("a valid policy name"),
            permissions: ServicePermissions::of(&[self.one_of(&ServicePermission::ALL)]),
            primary: self.key(),
            secondary: self.key(),
        }
    }

    fn settings(&mut self) -> ProvisioningSettings {
        let mut latencies = Latencies::default();
        for _ in 0..self.0.below(4) {
            let latency = Duration::from_nanos(self.0.next() >> 4);
            latencies.set(self.region(), self.host(), latency);
        }
        ProvisioningSettings {
            allocation: self.one_of(&AllocationPolicy::ALL),
            linked_hubs: self.some(Self::linked_hub),
            certificates: self.some(Self::certificate),
            address_ranges: self.some(Self::address_range),
            latencies,
            credential_policies: self.some(Self::credential_policy),
            issuers: self.some(Self::issuer),
        }
    }

    fn linked_hub(&mut self) -> LinkedHub {
        let link = if self.0.once_in(2) {
            Link::Own
        } else {
            Link::Remote {
                policy: self.text(),
                key: self.key(),
                port: self.maybe(|values| u16::from(values.byte())),
            }
        };
        LinkedHub {
            host: self.host(),
            link,
            weight: self.number(),
            allocatable: self.0.once_in(2),
            region: self.maybe(Self::region),
        }
    }

    fn certificate(&mut self) -> CertificateOfAuthority {
        let code = VerificationCode::parse(&"A1".repeat(24)).expect("a valid code");
        CertificateOfAuthority {
            name: self.certificate_name(),
            der: self.bytes(),
            standing: match self.0.below(3) {
                0 => Standing::Verified,
                1 => Standing::Unverified { code: None },
                _ => Standing::Unverified { code: Some(code) },
            },
            etag: self.etag(),
            created: self.time(),
            updated: self.time(),
        }
    }

    fn address_range(&mut self) -> AddressRange {
        let text = self.one_of(&["10.0.0.0/8", "192.0.2.7", "::/0", "::ffff:10.0.0.0/104"]);
        AddressRange::parse(text, self.region()).expect("a valid range")
    }

    fn credential_policy(&mut self) -> CredentialPolicy {
        CredentialPolicy {
            name: self.credential_policy_name(),
            issuer: self.certificate_name(),
            validity_days: self.number(),
            etag: self.etag(),
            created: self.time(),
            updated: self.time(),
        }
    }

    fn issuer(&mut self) -> CertificateIssuer {
        CertificateIssuer {
            name: self.certificate_name(),
            chain: self.some(Self::bytes),
            key: self.bytes(),
            created: self.time(),
        }
    }
}
