//! `/api/v1`: the types on the wire, the list of operations and the typed client.
//!
//! [`OPERATIONS`] is the one list: the server's routes, the OpenAPI document (`openapi/thingstead-v1.json`) and the
//! client are made from it, so that none of them can know an operation that the others do not.

mod certificate;
mod error;
mod event;
mod file;
mod hub;
mod identity;
mod key;
mod message;
mod method;
mod moment;
#[cfg(test)]
mod openapi;
mod operation;
mod provisioning;
mod queue;
mod routing;
mod run_file;
mod settings;
mod twin;

pub use certificate::{Certificate, CertificateProof, CertificateReplacement, NewCertificate};
pub use error::{ErrorBody, ErrorDetail};
pub use event::{
    BodyEncoding, Event, EventLine, EventSource, Notice, NoticeKind, StartPosition,
    StartPositionError,
};
pub use file::File;
pub use hub::{
    ConnectionStrings, EventsAccess, HubDocument, HubSummary, Keys, NewHub, Page, Ports,
    ProvisioningAccess, Reach, Statistics,
};
pub use identity::{
    Authentication, AuthenticationKind, Capabilities, ConnectionState, Device, DeviceSettings,
    Module, ModuleSettings, Status, SymmetricKeys, Thumbprints,
};
pub use key::{
    IdentityFailure, IdentityKeyRoll, IdentityKeyRollResult, IdentityName, KeyRoll, KeySlot,
};
pub use message::{
    Ack, Delivery, MessageBody, NewMessage, PurgedMessages, ReceivedMessage, SentMessage,
};
pub use method::{MethodCall, MethodResult};
pub use moment::Moment;
pub use operation::{
    Answer, BASE_PATH, Guard, Needs, OPERATIONS, Operation, OperationId, Parameter, ParameterKind,
    Verb,
};
pub use provisioning::{
    AddressRange, AddressRanges, AllocationCandidate, AllocationPolicy, AllocationPreview,
    AllocationRequest, AllocationWebhook, AttestationType, AuthorityReferences, CredentialPolicy,
    CredentialPolicySettings, DevicePlace, Enrollment, EnrollmentAttestation,
    EnrollmentCertificate, EnrollmentCertificates, EnrollmentGroup, EnrollmentGroupSettings,
    EnrollmentSettings, EnrollmentTerms, Expiry, ExpiryReport, ExpiryWhat, InitialTwin, Issuer,
    KeyRollResult, KeyRollScope, KeyRollTarget, Latencies, Latency, LatencyValue, LinkedHub,
    LinkedHubChange, LinkedHubCheck, LinkedHubs, NewIssuer, NewLinkedHub, NewServicePolicy,
    ProvisioningService, ProvisioningServiceChange, Refusal, Refusals, RegionName,
    RegisteredCertificate, Registration, RegistrationCounts, RegistrationStatus, ReprovisionPolicy,
    ServicePolicies, ServicePolicy, ServicePolicyChange, TpmKeys,
};
pub use queue::{QueueBatch, QueueRecord};
pub use routing::{
    Enrichment, FallbackRoute, Route, Routing, RoutingCounts, RoutingError, RoutingTest,
    RoutingTestResult, TestMessage, TestTwin, TestTwinProperties, parse_source,
};
pub use run_file::{RUN_FILE_NAME, RunFile};
pub use settings::{
    CloudToDeviceSettings, CloudToDeviceSettingsChange, FileUploadSettings,
    FileUploadSettingsChange, HubSettings, HubSettingsChange, QueueSettings, QueueSettingsChange,
    SettingsError,
};
pub use twin::{Twin, TwinChange, TwinDesired, TwinProperties};
