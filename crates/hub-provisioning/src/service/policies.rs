//! Shared access policies: what back ends hold tokens of.
//!
//! Nobody learns, makes or changes a policy that may do more than he may himself. The administrator of the installation
//! may everything, so that a service without any policy is not lost.

use hub_domain::SymmetricKey;
use hub_domain::limits::SERVICE_POLICIES_MAX;
use hub_domain::provisioning::{
    ProvisioningService, ServicePermission, ServicePermissions, ServicePolicy, ServicePolicyName,
};
use hub_engine::{ErrorKind, KeyRoll};

use super::Service;
use crate::{Context, Error};

/// A policy to be made.
#[derive(Clone)]
pub struct NewServicePolicy {
    /// Its name.
    pub name: ServicePolicyName,
    /// What it allows.
    pub permissions: ServicePermissions,
    /// The first key; a new one when absent.
    pub primary: Option<SymmetricKey>,
    /// The second key; a new one when absent.
    pub secondary: Option<SymmetricKey>,
}

/// What of a policy is changed; absent members stay as they are.
#[derive(Clone, Default)]
pub struct ServicePolicyChange {
    /// What it allows.
    pub permissions: Option<ServicePermissions>,
    /// The first key.
    pub primary: Option<SymmetricKey>,
    /// The second key.
    pub secondary: Option<SymmetricKey>,
}

impl Service {
    /// The names of the policies and what they allow, in the order of their creation.
    ///
    /// # Errors
    /// Needs `ServiceConfig`.
    pub fn policies(
        &self,
        ctx: &Context,
    ) -> Result<Vec<(ServicePolicyName, ServicePermissions)>, Error> {
        ctx.require(ServicePermission::ServiceConfig)?;
        let service = self.current();
        let policies = service.policies.iter();
        Ok(policies
            .map(|policy| (policy.name.clone(), policy.permissions))
            .collect())
    }

    /// A policy with its keys.
    ///
    /// # Errors
    /// Needs `ServiceConfig` and all that the policy allows; there is none of that name.
    pub fn policy(&self, ctx: &Context, name: &str) -> Result<ServicePolicy, Error> {
        ctx.require(ServicePermission::ServiceConfig)?;
        let policy = find(&self.current(), name)?.clone();
        ctx.require_all(policy.permissions)?;
        Ok(policy)
    }

    /// Makes a policy.
    ///
    /// # Errors
    /// Needs `ServiceConfig` and all that the policy shall allow; it allows nothing; the name is taken; there are 64.
    pub async fn create_policy(
        &self,
        ctx: &Context,
        new: NewServicePolicy,
    ) -> Result<ServicePolicy, Error> {
        ctx.require(ServicePermission::ServiceConfig)?;
        ctx.require_all(new.permissions)?;
        check_permissions(new.permissions)?;
        let policy = ServicePolicy {
            name: new.name,
            permissions: new.permissions,
            primary: new.primary.unwrap_or_else(|| self.parts.random_key()),
            secondary: new.secondary.unwrap_or_else(|| self.parts.random_key()),
        };
        let decide = |service: &ProvisioningService| {
            if service.policy(policy.name.as_str()).is_some() {
                let text = format!("there is a policy {} already", policy.name);
                return Err(Error::new(ErrorKind::AlreadyExists, text));
            }
            if service.policies.len() >= SERVICE_POLICIES_MAX {
                let text = format!("there are {SERVICE_POLICIES_MAX} policies at most");
                return Err(Error::new(ErrorKind::QuotaExceeded, text));
            }
            let mut next = service.clone();
            next.policies.push(policy.clone());
            Ok(next)
        };
        self.update(ctx, decide).await?;
        Ok(policy)
    }

    /// Changes what a policy allows, or its keys. Tokens of former keys are refused at once.
    ///
    /// # Errors
    /// Needs `ServiceConfig` and all that the policy allows and shall allow; there is none of that name; it would allow
    /// nothing.
    pub async fn change_policy(
        &self,
        ctx: &Context,
        name: &str,
        change: ServicePolicyChange,
    ) -> Result<ServicePolicy, Error> {
        let given = change.permissions;
        given.map_or(Ok(()), check_permissions)?;
        self.write_policy(ctx, name, |policy| ServicePolicy {
            name: policy.name.clone(),
            permissions: given.unwrap_or(policy.permissions),
            primary: change.primary.as_ref().unwrap_or(&policy.primary).clone(),
            secondary: change
                .secondary
                .as_ref()
                .unwrap_or(&policy.secondary)
                .clone(),
        })
        .await
    }

    /// Rolls the keys of a policy. Tokens of a key that is gone are refused at once.
    ///
    /// # Errors
    /// Needs `ServiceConfig` and all that the policy allows; there is none of that name.
    pub async fn roll_policy_keys(
        &self,
        ctx: &Context,
        name: &str,
        roll: KeyRoll,
    ) -> Result<ServicePolicy, Error> {
        self.write_policy(ctx, name, |policy| {
            let (former, random) = (policy.clone(), || self.parts.random_key());
            let (primary, secondary) = roll.roll(former.primary, former.secondary, random);
            ServicePolicy {
                primary,
                secondary,
                name: former.name,
                permissions: former.permissions,
            }
        })
        .await
    }

    async fn write_policy(
        &self,
        ctx: &Context,
        name: &str,
        change: impl Fn(&ServicePolicy) -> ServicePolicy,
    ) -> Result<ServicePolicy, Error> {
        let decide = |service: &ProvisioningService| {
            let former = find(service, name)?;
            let changed = change(former);
            ctx.require_all(former.permissions)?;
            ctx.require_all(changed.permissions)?;
            let mut next = service.clone();
            for policy in &mut next.policies {
                if policy.name.is(name) {
                    *policy = changed.clone();
                }
            }
            Ok(next)
        };
        let service = self.update(ctx, decide).await?;
        find(&service, name).cloned()
    }

    /// Deletes a policy, the owner too. Its tokens are refused at once.
    ///
    /// # Errors
    /// Needs `ServiceConfig` and all that the policy allows; there is none of that name.
    pub async fn delete_policy(&self, ctx: &Context, name: &str) -> Result<(), Error> {
        let decide = |service: &ProvisioningService| {
            ctx.require_all(find(service, name)?.permissions)?;
            let mut next = service.clone();
            next.policies.retain(|policy| !policy.name.is(name));
            Ok(next)
        };
        self.update(ctx, decide).await.map(drop)
    }
}

fn find<'a>(service: &'a ProvisioningService, name: &str) -> Result<&'a ServicePolicy, Error> {
    service.policy(name).ok_or_else(|| {
        let text = format!("the provisioning service has no policy {name}");
        Error::new(ErrorKind::NotFound, text)
    })
}

fn check_permissions(permissions: ServicePermissions) -> Result<(), Error> {
    if permissions.is_empty() {
        return Err(Error::invalid(
            "a policy allows something, name a permission",
        ));
    }
    Ok(())
}
