//! Shared access policies of the service.

use axum::Json;
use http::StatusCode;
use hub_api::native::{
    KeyRoll, NewServicePolicy, ServicePolicies, ServicePolicy, ServicePolicyChange,
};
use hub_domain::SymmetricKey;
use hub_domain::provisioning as domain;
use hub_domain::provisioning::{ServicePermission, ServicePermissions, ServicePolicyName};

use super::super::{Document, Failure, Scope, keys};
use super::Administration;
use super::service::endpoint;

pub(in super::super) async fn list(scope: Scope) -> Result<Json<ServicePolicies>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let policies = service.service.policies(&ctx)?;
    let items = policies
        .iter()
        .map(|(name, permissions)| without_keys(name, *permissions))
        .collect();
    Ok(Json(ServicePolicies { items }))
}

pub(in super::super) async fn get(scope: Scope) -> Result<Json<ServicePolicy>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let policy = service.service.policy(&ctx, scope.parameter("policy"))?;
    Ok(Json(with_keys(&scope, &policy)))
}

pub(in super::super) async fn create(
    scope: Scope,
    Document(new): Document<NewServicePolicy>,
) -> Result<(StatusCode, Json<ServicePolicy>), Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let new = hub_provisioning::NewServicePolicy {
        name: ServicePolicyName::parse(&new.name)
            .map_err(|error| Failure::invalid(error.to_string()))?,
        permissions: permissions(&new.permissions)?,
        primary: key("primaryKey", new.primary_key.as_deref())?,
        secondary: key("secondaryKey", new.secondary_key.as_deref())?,
    };
    let policy = service.service.create_policy(&ctx, new).await?;
    Ok((StatusCode::CREATED, Json(with_keys(&scope, &policy))))
}

pub(in super::super) async fn patch(
    scope: Scope,
    Document(change): Document<ServicePolicyChange>,
) -> Result<Json<ServicePolicy>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let change = hub_provisioning::ServicePolicyChange {
        permissions: change.permissions.as_deref().map(permissions).transpose()?,
        primary: key("primaryKey", change.primary_key.as_deref())?,
        secondary: key("secondaryKey", change.secondary_key.as_deref())?,
    };
    let name = scope.parameter("policy");
    let policy = service.service.change_policy(&ctx, name, change).await?;
    Ok(Json(with_keys(&scope, &policy)))
}

pub(in super::super) async fn roll_keys(
    scope: Scope,
    Document(KeyRoll { slot }): Document<KeyRoll>,
) -> Result<Json<ServicePolicy>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let (name, roll) = (scope.parameter("policy"), keys::roll(slot));
    let policy = service.service.roll_policy_keys(&ctx, name, roll).await?;
    Ok(Json(with_keys(&scope, &policy)))
}

pub(in super::super) async fn delete(scope: Scope) -> Result<StatusCode, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let name = scope.parameter("policy");
    service.service.delete_policy(&ctx, name).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn permissions(names: &[String]) -> Result<ServicePermissions, Failure> {
    let known = |name: &String| {
        ServicePermission::parse(name).ok_or_else(|| {
            let all = ServicePermission::ALL.map(ServicePermission::as_str);
            let all = all.join(", ");
            Failure::invalid(format!("there is no permission {name}; there are {all}"))
        })
    };
    let permissions: Vec<_> = names.iter().map(known).collect::<Result<_, _>>()?;
    Ok(ServicePermissions::of(&permissions))
}

fn key(what: &str, text: Option<&str>) -> Result<Option<SymmetricKey>, Failure> {
    let key = text.map(SymmetricKey::parse).transpose();
    key.map_err(|error| Failure::invalid(format!("{what}: {error}")))
}

fn without_keys(name: &ServicePolicyName, permissions: ServicePermissions) -> ServicePolicy {
    ServicePolicy {
        name: name.to_string(),
        permissions: permissions
            .given()
            .map(|permission| permission.as_str().to_owned())
            .collect(),
        primary_key: None,
        secondary_key: None,
        connection_string: None,
    }
}

fn with_keys(scope: &Scope, policy: &domain::ServicePolicy) -> ServicePolicy {
    let connection_string = endpoint(scope).map(|host| {
        let (name, key) = (&policy.name, policy.primary.to_base64());
        format!("HostName={host};SharedAccessKeyName={name};SharedAccessKey={key}")
    });
    ServicePolicy {
        primary_key: Some(policy.primary.to_base64()),
        secondary_key: Some(policy.secondary.to_base64()),
        connection_string,
        ..without_keys(&policy.name, policy.permissions)
    }
}
