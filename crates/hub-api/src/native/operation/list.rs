//! The list.

mod builders;
mod parameters;
mod provisioning;

use super::{Answer, Guard, Needs, Operation, OperationId, Verb};
use builders::{call, create, delete, listing, read, settle, write};
use parameters::{EVENT_STREAM, FILE_PAGE, LOCK};

const READ: Needs = Needs::Permission("RegistryRead");
const WRITE: Needs = Needs::Permission("RegistryWrite");
const SERVICE: Needs = Needs::Permission("ServiceConnect");
const DEVICE_CONNECT: Needs = Needs::Permission("DeviceConnect");

const HUBS: &str = "/hubs";
const HUB: &str = "/hubs/{hub}";
const SETTINGS: &str = "/hubs/{hub}/settings";
const CERTIFICATES: &str = "/hubs/{hub}/certificates";
const CERTIFICATE: &str = "/hubs/{hub}/certificates/{certificate}";
const VERIFICATION_CODE: &str = "/hubs/{hub}/certificates/{certificate}/verificationCode";
const VERIFICATION: &str = "/hubs/{hub}/certificates/{certificate}/verify";
const ROUTING: &str = "/hubs/{hub}/routing";
const FALLBACK: &str = "/hubs/{hub}/routing/fallback";
const ENRICHMENT: &str = "/hubs/{hub}/routing/enrichments/{enrichment}";
const ROUTING_TEST: &str = "/hubs/{hub}/routing/test";
const ROUTES: &str = "/hubs/{hub}/routes";
const ROUTE: &str = "/hubs/{hub}/routes/{route}";
const STATISTICS: &str = "/hubs/{hub}/statistics";
const EVENTS: &str = "/hubs/{hub}/events";
const FILES: &str = "/hubs/{hub}/files";
const FILE: &str = "/hubs/{hub}/files/{file}";
const DEVICES: &str = "/hubs/{hub}/devices";
const DEVICE: &str = "/hubs/{hub}/devices/{device}";
const DEVICE_TWIN: &str = "/hubs/{hub}/devices/{device}/twin";
const DEVICE_METHODS: &str = "/hubs/{hub}/devices/{device}/methods";
const MESSAGES: &str = "/hubs/{hub}/devices/{device}/messages";
const DELIVERIES: &str = "/hubs/{hub}/devices/{device}/messages/deliveries";
const DELIVERY: &str = "/hubs/{hub}/devices/{device}/messages/deliveries/{delivery}";
const DELIVERY_REJECTED: &str =
    "/hubs/{hub}/devices/{device}/messages/deliveries/{delivery}/reject";
const DELIVERY_ABANDONED: &str =
    "/hubs/{hub}/devices/{device}/messages/deliveries/{delivery}/abandon";
const BATCHES: &str = "/hubs/{hub}/queues/{queue}/batches";
const BATCH: &str = "/hubs/{hub}/queues/{queue}/batches/{batch}";
const BATCH_ABANDONED: &str = "/hubs/{hub}/queues/{queue}/batches/{batch}/abandon";
const MODULES: &str = "/hubs/{hub}/devices/{device}/modules";
const MODULE: &str = "/hubs/{hub}/devices/{device}/modules/{module}";
const DEVICE_KEYS: &str = "/hubs/{hub}/devices/{device}/rollKeys";
const MODULE_KEYS: &str = "/hubs/{hub}/devices/{device}/modules/{module}/rollKeys";
const IDENTITY_KEYS: &str = "/hubs/{hub}/rollKeys";
const MODULE_TWIN: &str = "/hubs/{hub}/devices/{device}/modules/{module}/twin";
const MODULE_METHODS: &str = "/hubs/{hub}/devices/{device}/modules/{module}/methods";

/// Every operation of `/api/v1`.
pub const OPERATIONS: &[Operation] = &joined::<{ OF_HUBS.len() + provisioning::OPERATIONS.len() }>(
    OF_HUBS,
    provisioning::OPERATIONS,
);

const fn joined<const LEN: usize>(first: &[Operation], second: &[Operation]) -> [Operation; LEN] {
    let mut all = [first[0]; LEN];
    let mut at = 0;
    while at < LEN {
        all[at] = if at < first.len() {
            first[at]
        } else {
            second[at - first.len()]
        };
        at += 1;
    }
    all
}

/// Those on hubs and what is in them.
const OF_HUBS: &[Operation] = &[
    listing(
        OperationId::ListHubs,
        HUBS,
        "List the hubs that the caller may use",
        Needs::AnyPolicy,
        "HubSummaryPage",
    ),
    create(
        OperationId::CreateHub,
        HUBS,
        "Create a hub",
        Needs::Admin,
        "NewHub",
        "HubSummary",
    ),
    read(
        OperationId::GetHub,
        HUB,
        "Get what a client needs to reach the hub",
        Needs::AnyPolicy,
        "HubDocument",
    ),
    read(
        OperationId::GetSettings,
        SETTINGS,
        "Get what may be set while the hub runs",
        Needs::AnyPolicy,
        "HubSettings",
    ),
    Operation {
        guard: Guard::Unguarded,
        ..write(
            OperationId::PatchSettings,
            Verb::Patch,
            SETTINGS,
            "Change what may be set while the hub runs; absent members stay",
            Needs::Admin,
            "HubSettingsChange",
            "HubSettings",
        )
    },
    read(
        OperationId::GetStatistics,
        STATISTICS,
        "Count the hub's devices",
        READ,
        "Statistics",
    ),
    listing(
        OperationId::ListCertificates,
        CERTIFICATES,
        "List the authorities that may vouch for devices",
        Needs::Admin,
        "CertificatePage",
    ),
    create(
        OperationId::CreateCertificate,
        CERTIFICATES,
        "Register the certificate of an authority",
        Needs::Admin,
        "NewCertificate",
        "Certificate",
    ),
    read(
        OperationId::GetCertificate,
        CERTIFICATE,
        "Get the certificate of an authority",
        Needs::Admin,
        "Certificate",
    ),
    write(
        OperationId::ReplaceCertificate,
        Verb::Put,
        CERTIFICATE,
        "Replace the certificate of an authority; unless it says otherwise it has to be verified anew",
        Needs::Admin,
        "CertificateReplacement",
        "Certificate",
    ),
    Operation {
        needs: Needs::Admin,
        ..delete(
            OperationId::DeleteCertificate,
            CERTIFICATE,
            "Forget an authority and cut off the devices that it vouched for",
        )
    },
    Operation {
        verb: Verb::Post,
        guard: Guard::IfMatch,
        ..read(
            OperationId::GenerateVerificationCode,
            VERIFICATION_CODE,
            "Make a new code that the owner of the authority has to certify",
            Needs::Admin,
            "Certificate",
        )
    },
    write(
        OperationId::VerifyCertificate,
        Verb::Post,
        VERIFICATION,
        "Prove possession with a certificate that the authority issued to the code",
        Needs::Admin,
        "CertificateProof",
        "Certificate",
    ),
    listing(
        OperationId::ListDevices,
        DEVICES,
        "List devices in the order of their ids",
        READ,
        "DevicePage",
    ),
    create(
        OperationId::CreateDevice,
        DEVICES,
        "Create a device",
        WRITE,
        "DeviceSettings",
        "Device",
    ),
    read(
        OperationId::GetDevice,
        DEVICE,
        "Get a device",
        READ,
        "Device",
    ),
    write(
        OperationId::ReplaceDevice,
        Verb::Put,
        DEVICE,
        "Replace a device's settings",
        WRITE,
        "DeviceSettings",
        "Device",
    ),
    delete(
        OperationId::DeleteDevice,
        DEVICE,
        "Delete a device with its modules, twin and messages",
    ),
    read(
        OperationId::ListModules,
        MODULES,
        "List a device's modules",
        READ,
        "ModulePage",
    ),
    create(
        OperationId::CreateModule,
        MODULES,
        "Create a module",
        WRITE,
        "ModuleSettings",
        "Module",
    ),
    read(
        OperationId::GetModule,
        MODULE,
        "Get a module",
        READ,
        "Module",
    ),
    write(
        OperationId::ReplaceModule,
        Verb::Put,
        MODULE,
        "Replace a module's settings",
        WRITE,
        "ModuleSettings",
        "Module",
    ),
    delete(
        OperationId::DeleteModule,
        MODULE,
        "Delete a module with its twin",
    ),
    write(
        OperationId::RollDeviceKeys,
        Verb::Post,
        DEVICE_KEYS,
        "Make new keys for a device, or swap them; it is cut off and comes back with the key that stays",
        WRITE,
        "KeyRoll",
        "Device",
    ),
    write(
        OperationId::RollModuleKeys,
        Verb::Post,
        MODULE_KEYS,
        "Make new keys for a module, or swap them",
        WRITE,
        "KeyRoll",
        "Module",
    ),
    call(
        OperationId::RollIdentityKeys,
        IDENTITY_KEYS,
        "Roll the keys of several devices and modules, each by itself",
        WRITE,
        "IdentityKeyRoll",
        "IdentityKeyRollResult",
    ),
    read(
        OperationId::GetDeviceTwin,
        DEVICE_TWIN,
        "Get a device's twin",
        SERVICE,
        "Twin",
    ),
    write(
        OperationId::PatchDeviceTwin,
        Verb::Patch,
        DEVICE_TWIN,
        "Merge into a device's twin",
        SERVICE,
        "TwinChange",
        "Twin",
    ),
    write(
        OperationId::ReplaceDeviceTwin,
        Verb::Put,
        DEVICE_TWIN,
        "Replace parts of a device's twin",
        SERVICE,
        "TwinChange",
        "Twin",
    ),
    read(
        OperationId::GetModuleTwin,
        MODULE_TWIN,
        "Get a module's twin",
        SERVICE,
        "Twin",
    ),
    write(
        OperationId::PatchModuleTwin,
        Verb::Patch,
        MODULE_TWIN,
        "Merge into a module's twin",
        SERVICE,
        "TwinChange",
        "Twin",
    ),
    write(
        OperationId::ReplaceModuleTwin,
        Verb::Put,
        MODULE_TWIN,
        "Replace parts of a module's twin",
        SERVICE,
        "TwinChange",
        "Twin",
    ),
    call(
        OperationId::InvokeDeviceMethod,
        DEVICE_METHODS,
        "Invoke a direct method of a device",
        SERVICE,
        "MethodCall",
        "MethodResult",
    ),
    call(
        OperationId::InvokeModuleMethod,
        MODULE_METHODS,
        "Invoke a direct method of a module",
        SERVICE,
        "MethodCall",
        "MethodResult",
    ),
    create(
        OperationId::SendMessage,
        MESSAGES,
        "Queue a message for a device",
        SERVICE,
        "NewMessage",
        "SentMessage",
    ),
    Operation {
        verb: Verb::Delete,
        ..read(
            OperationId::PurgeMessages,
            MESSAGES,
            "Empty a device's message queue",
            SERVICE,
            "PurgedMessages",
        )
    },
    Operation {
        verb: Verb::Post,
        query: LOCK,
        ..read(
            OperationId::ReceiveMessage,
            DELIVERIES,
            "Receive and lock the next message of a device in its place",
            DEVICE_CONNECT,
            "Delivery",
        )
    },
    settle(
        OperationId::CompleteMessage,
        Verb::Delete,
        DELIVERY,
        "Complete a received message: the device took it",
    ),
    settle(
        OperationId::RejectMessage,
        Verb::Post,
        DELIVERY_REJECTED,
        "Reject a received message: it is not delivered again",
    ),
    settle(
        OperationId::AbandonMessage,
        Verb::Post,
        DELIVERY_ABANDONED,
        "Put a received message back; often enough, it is dropped",
    ),
    Operation {
        verb: Verb::Post,
        ..read(
            OperationId::ReceiveBatch,
            BATCHES,
            "Read and lock the next records of the queue feedback or filenotifications",
            SERVICE,
            "QueueBatch",
        )
    },
    Operation {
        needs: SERVICE,
        guard: Guard::Unguarded,
        ..delete(
            OperationId::CompleteBatch,
            BATCH,
            "Complete what was read: nobody gets it again",
        )
    },
    Operation {
        verb: Verb::Post,
        needs: SERVICE,
        guard: Guard::Unguarded,
        ..delete(
            OperationId::AbandonBatch,
            BATCH_ABANDONED,
            "Put back what was read; often enough, it is dropped",
        )
    },
    Operation {
        query: EVENT_STREAM,
        answer: Answer::Lines("EventLine"),
        ..read(
            OperationId::ReadEvents,
            EVENTS,
            "Stream what devices send, or what happened to them",
            SERVICE,
            "EventLine",
        )
    },
    Operation {
        query: FILE_PAGE,
        ..read(
            OperationId::ListFiles,
            FILES,
            "List the files that devices uploaded",
            SERVICE,
            "FilePage",
        )
    },
    Operation {
        answer: Answer::Bytes,
        ..read(
            OperationId::GetFile,
            FILE,
            "Get the content of a file; slashes in its name are encoded",
            SERVICE,
            "",
        )
    },
    Operation {
        needs: SERVICE,
        guard: Guard::Unguarded,
        ..delete(OperationId::DeleteFile, FILE, "Delete a file")
    },
    read(
        OperationId::GetRouting,
        ROUTING,
        "Get where messages and events go",
        SERVICE,
        "Routing",
    ),
    Operation {
        guard: Guard::Unguarded,
        ..write(
            OperationId::ReplaceFallbackRoute,
            Verb::Put,
            FALLBACK,
            "Set what becomes of telemetry that no route takes",
            Needs::Admin,
            "FallbackRoute",
            "FallbackRoute",
        )
    },
    Operation {
        guard: Guard::Unguarded,
        ..write(
            OperationId::PutEnrichment,
            Verb::Put,
            ENRICHMENT,
            "Create or replace an enrichment",
            Needs::Admin,
            "Enrichment",
            "Enrichment",
        )
    },
    Operation {
        needs: Needs::Admin,
        guard: Guard::Unguarded,
        ..delete(
            OperationId::DeleteEnrichment,
            ENRICHMENT,
            "Delete an enrichment",
        )
    },
    call(
        OperationId::TestRouting,
        ROUTING_TEST,
        "Try a message with a route, a condition, or all routes of a source",
        SERVICE,
        "RoutingTest",
        "RoutingTestResult",
    ),
    read(
        OperationId::ListRoutes,
        ROUTES,
        "List the routes in the order of their creation",
        SERVICE,
        "RoutePage",
    ),
    create(
        OperationId::CreateRoute,
        ROUTES,
        "Create a route",
        Needs::Admin,
        "Route",
        "Route",
    ),
    read(
        OperationId::GetRoute,
        ROUTE,
        "Get a route",
        SERVICE,
        "Route",
    ),
    Operation {
        guard: Guard::Unguarded,
        ..write(
            OperationId::ReplaceRoute,
            Verb::Put,
            ROUTE,
            "Replace a route's settings",
            Needs::Admin,
            "Route",
            "Route",
        )
    },
    Operation {
        needs: Needs::Admin,
        guard: Guard::Unguarded,
        ..delete(OperationId::DeleteRoute, ROUTE, "Delete a route")
    },
];
