//! Makes the OpenAPI document of the list of operations and holds the committed one against it.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::provisioning as own;
use super::{
    Answer, BASE_PATH, Certificate, CertificateProof, CertificateReplacement, Delivery, Device,
    DeviceSettings, Enrichment, ErrorBody, EventLine, FallbackRoute, File, Guard, HubDocument,
    HubSettings, HubSettingsChange, HubSummary, IdentityKeyRoll, IdentityKeyRollResult, KeyRoll,
    MethodCall, MethodResult, Module, ModuleSettings, Needs, NewCertificate, NewHub, NewMessage,
    OPERATIONS, Operation, Page, Parameter, ParameterKind, PurgedMessages, QueueBatch, Route,
    Routing, RoutingTest, RoutingTestResult, SentMessage, Statistics, Twin, TwinChange,
};

const COMMITTED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../openapi/thingstead-v1.json"
);

#[test]
fn the_committed_document_is_the_one_of_the_code() {
    let made = format!("{:#}\n", document());
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::create_dir_all(std::path::Path::new(COMMITTED).parent().unwrap()).unwrap();
        std::fs::write(COMMITTED, &made).unwrap();
    }
    let committed = std::fs::read_to_string(COMMITTED).unwrap_or_default();
    let first_difference = made
        .lines()
        .zip(committed.lines())
        .find(|(made, committed)| made != committed);
    assert!(
        made == committed,
        "openapi/thingstead-v1.json is not what the code says ({first_difference:?}); \
         make it anew: UPDATE_OPENAPI=1 cargo test -p hub-api openapi"
    );
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let text = document.to_string();
    let mut references = text
        .split("#/components/schemas/")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap());
    assert!(references.all(|name| schemas.contains_key(name)));
}

fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let named = named_schemas(&mut generator);
    let mut paths = Map::new();
    for operation in OPERATIONS {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.verb.as_str().to_ascii_lowercase()] = operation_object(operation, &named);
    }
    let schemas: Map<String, Value> = generator.take_definitions(true).into_iter().collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Thingstead",
            "version": "v1",
            "description": "Our own interface to devices, twins, methods, messages and events. The vendor's clients use the vendor's paths.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": BASE_PATH }],
        "security": [{ "adminToken": [] }, { "policyToken": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "adminToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The local admin token, made at each start of the server and kept in run.json.",
                },
                "policyToken": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "A token of a shared access policy of the hub, below /provisioning of the provisioning service: SharedAccessSignature sr=…&sig=…&se=…&skn=….",
                },
            },
        },
    })
}

fn add<T: JsonSchema>(named: &mut Map<String, Value>, generator: &mut SchemaGenerator, name: &str) {
    named.insert(name.to_owned(), generator.subschema_for::<T>().into());
}

fn provisioning_schemas(named: &mut Map<String, Value>, generator: &mut SchemaGenerator) {
    add::<own::AddressRange>(named, generator, "AddressRange");
    add::<own::AddressRanges>(named, generator, "AddressRanges");
    add::<own::AllocationPreview>(named, generator, "AllocationPreview");
    add::<own::AllocationRequest>(named, generator, "AllocationRequest");
    add::<own::CredentialPolicy>(named, generator, "CredentialPolicy");
    add::<own::CredentialPolicySettings>(named, generator, "CredentialPolicySettings");
    add::<own::Enrollment>(named, generator, "Enrollment");
    add::<own::EnrollmentAttestation>(named, generator, "EnrollmentAttestation");
    add::<own::EnrollmentGroup>(named, generator, "EnrollmentGroup");
    add::<own::EnrollmentGroupSettings>(named, generator, "EnrollmentGroupSettings");
    add::<own::EnrollmentSettings>(named, generator, "EnrollmentSettings");
    add::<own::ExpiryReport>(named, generator, "ExpiryReport");
    add::<own::Issuer>(named, generator, "Issuer");
    add::<own::KeyRollResult>(named, generator, "KeyRollResult");
    add::<own::KeyRollTarget>(named, generator, "KeyRollTarget");
    add::<own::Latencies>(named, generator, "Latencies");
    add::<own::Latency>(named, generator, "Latency");
    add::<own::LatencyValue>(named, generator, "LatencyValue");
    add::<own::LinkedHub>(named, generator, "LinkedHub");
    add::<own::LinkedHubCheck>(named, generator, "LinkedHubCheck");
    add::<own::LinkedHubChange>(named, generator, "LinkedHubChange");
    add::<own::LinkedHubs>(named, generator, "LinkedHubs");
    add::<own::NewIssuer>(named, generator, "NewIssuer");
    add::<own::NewLinkedHub>(named, generator, "NewLinkedHub");
    add::<own::NewServicePolicy>(named, generator, "NewServicePolicy");
    add::<own::ProvisioningService>(named, generator, "ProvisioningService");
    add::<own::ProvisioningServiceChange>(named, generator, "ProvisioningServiceChange");
    add::<own::Refusals>(named, generator, "Refusals");
    add::<own::Refusal>(named, generator, "Refusal");
    add::<own::RegionName>(named, generator, "RegionName");
    add::<own::Registration>(named, generator, "Registration");
    add::<own::ServicePolicies>(named, generator, "ServicePolicies");
    add::<own::ServicePolicy>(named, generator, "ServicePolicy");
    add::<own::ServicePolicyChange>(named, generator, "ServicePolicyChange");
    add::<Page<own::Enrollment>>(named, generator, "EnrollmentPage");
    add::<Page<own::EnrollmentGroup>>(named, generator, "EnrollmentGroupPage");
    add::<Page<own::Registration>>(named, generator, "RegistrationPage");
    add::<Page<own::Issuer>>(named, generator, "IssuerPage");
    add::<Page<own::CredentialPolicy>>(named, generator, "CredentialPolicyPage");
}

/// Registers every type that the list names; a name that is missing here fails the test.
fn named_schemas(generator: &mut SchemaGenerator) -> Map<String, Value> {
    let mut named = Map::new();
    add::<Page<HubSummary>>(&mut named, generator, "HubSummaryPage");
    add::<HubSummary>(&mut named, generator, "HubSummary");
    add::<NewHub>(&mut named, generator, "NewHub");
    add::<HubDocument>(&mut named, generator, "HubDocument");
    add::<Statistics>(&mut named, generator, "Statistics");
    add::<HubSettings>(&mut named, generator, "HubSettings");
    add::<HubSettingsChange>(&mut named, generator, "HubSettingsChange");
    add::<Page<Certificate>>(&mut named, generator, "CertificatePage");
    add::<Certificate>(&mut named, generator, "Certificate");
    add::<NewCertificate>(&mut named, generator, "NewCertificate");
    add::<CertificateReplacement>(&mut named, generator, "CertificateReplacement");
    add::<CertificateProof>(&mut named, generator, "CertificateProof");
    add::<Routing>(&mut named, generator, "Routing");
    add::<FallbackRoute>(&mut named, generator, "FallbackRoute");
    add::<Enrichment>(&mut named, generator, "Enrichment");
    add::<Route>(&mut named, generator, "Route");
    add::<Page<Route>>(&mut named, generator, "RoutePage");
    add::<RoutingTest>(&mut named, generator, "RoutingTest");
    add::<RoutingTestResult>(&mut named, generator, "RoutingTestResult");
    add::<Page<Device>>(&mut named, generator, "DevicePage");
    add::<Device>(&mut named, generator, "Device");
    add::<DeviceSettings>(&mut named, generator, "DeviceSettings");
    add::<Page<Module>>(&mut named, generator, "ModulePage");
    add::<Module>(&mut named, generator, "Module");
    add::<ModuleSettings>(&mut named, generator, "ModuleSettings");
    add::<KeyRoll>(&mut named, generator, "KeyRoll");
    add::<IdentityKeyRoll>(&mut named, generator, "IdentityKeyRoll");
    add::<IdentityKeyRollResult>(&mut named, generator, "IdentityKeyRollResult");
    add::<Twin>(&mut named, generator, "Twin");
    add::<TwinChange>(&mut named, generator, "TwinChange");
    add::<MethodCall>(&mut named, generator, "MethodCall");
    add::<MethodResult>(&mut named, generator, "MethodResult");
    add::<NewMessage>(&mut named, generator, "NewMessage");
    add::<SentMessage>(&mut named, generator, "SentMessage");
    add::<PurgedMessages>(&mut named, generator, "PurgedMessages");
    add::<Delivery>(&mut named, generator, "Delivery");
    add::<QueueBatch>(&mut named, generator, "QueueBatch");
    add::<EventLine>(&mut named, generator, "EventLine");
    add::<Page<File>>(&mut named, generator, "FilePage");
    provisioning_schemas(&mut named, generator);
    add::<ErrorBody>(&mut named, generator, "ErrorBody");
    named
}

fn operation_object(operation: &Operation, named: &Map<String, Value>) -> Value {
    let needs = match operation.needs {
        Needs::Admin => "Needs the local admin token.".to_owned(),
        Needs::AnyPolicy => "Any policy of the hub may.".to_owned(),
        Needs::Permission(name) => format!("Needs the permission {name}."),
        Needs::Service(name) => format!(
            "Needs the local admin token, or the permission {name} of the provisioning service."
        ),
        Needs::AnyOfService(names) => format!(
            "Needs the local admin token, or one of these permissions of the provisioning service, of which each sees its part: {}.",
            names.join(", ")
        ),
    };
    let mut parameters: Vec<Value> = operation
        .path_parameters()
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    parameters.extend(operation.query.iter().map(query_parameter));
    if operation.guard == Guard::IfMatch {
        parameters.push(json!({
            "name": "If-Match",
            "in": "header",
            "description": "An etag in quotes, or * for whatever is there.",
            "schema": { "type": "string" },
        }));
    }
    let mut object = json!({
        "operationId": operation.id.as_str(),
        "summary": operation.summary,
        "description": needs,
        "parameters": parameters,
        "responses": responses(operation, named),
    });
    if let Some(request) = operation.request {
        object["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": named[request] } } });
    }
    object
}

fn query_parameter(parameter: &Parameter) -> Value {
    let schema = match parameter.kind {
        ParameterKind::Text => json!({ "type": "string" }),
        ParameterKind::Number(minimum, u64::MAX) => {
            json!({ "type": "integer", "minimum": minimum })
        }
        ParameterKind::Number(minimum, maximum) => {
            json!({ "type": "integer", "minimum": minimum, "maximum": maximum })
        }
        ParameterKind::OneOf(values) => json!({ "type": "string", "enum": values }),
    };
    json!({ "name": parameter.name, "in": "query", "description": parameter.summary, "schema": schema })
}

fn responses(operation: &Operation, named: &Map<String, Value>) -> Value {
    let json_body = |name: &str, text: &str| json!({ "description": text, "content": { "application/json": { "schema": named[name] } } });
    let (status, answer) = match operation.answer {
        Answer::Ok(name) => ("200", json_body(name, "Done.")),
        Answer::Created(name) => ("201", json_body(name, "Created; it is durable.")),
        Answer::NoContent => ("204", json!({ "description": "Done." })),
        Answer::Bytes => (
            "200",
            json!({
                "description": "The content.",
                "content": { "application/octet-stream": { "schema": { "type": "string", "format": "binary" } } },
            }),
        ),
        Answer::Lines(name) => (
            "200",
            json!({
                "description": "One document per line; an empty line says that the stream is alive.",
                "content": { "application/x-ndjson": { "schema": named[name] } },
            }),
        ),
    };
    let mut responses = Map::new();
    responses.insert(status.to_owned(), answer);
    responses.insert("default".to_owned(), json_body("ErrorBody", "It failed."));
    Value::Object(responses)
}
