//! `dps policy …`.

use std::io::Write;

use hub_api::client::Client;
use hub_api::native::{KeyRoll, NewServicePolicy, ServicePolicyChange};

use super::nothing_to_change;
use crate::arguments::{PolicyCommand, PolicyCreate, PolicyRenewKey, PolicyUpdate, Right};
use crate::failure::Failure;
use crate::render;

pub(super) async fn execute(
    command: PolicyCommand,
    client: &Client,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let output = command.common().output;
    let policy = match command {
        PolicyCommand::List(_) => {
            let policies = client.service_policies().await?;
            let table = |policies: &Vec<_>| render::dps::policies(policies);
            return render::answer(output, &policies.items, table, out);
        }
        PolicyCommand::Show { policy_name, .. } => client.service_policy(&policy_name).await?,
        PolicyCommand::Create(PolicyCreate {
            name,
            permissions,
            keys,
        }) => {
            let new = NewServicePolicy {
                name: name.policy_name,
                permissions: names(&permissions),
                primary_key: keys.primary_key,
                secondary_key: keys.secondary_key,
            };
            client.create_service_policy(&new).await?
        }
        PolicyCommand::Update(PolicyUpdate {
            name,
            permissions,
            keys,
        }) => {
            let change = ServicePolicyChange {
                permissions: (!permissions.is_empty()).then(|| names(&permissions)),
                primary_key: keys.primary_key,
                secondary_key: keys.secondary_key,
            };
            if change == ServicePolicyChange::default() {
                return Err(nothing_to_change("policy"));
            }
            let policy = &name.policy_name;
            client.patch_service_policy(policy, &change).await?
        }
        PolicyCommand::RenewKey(PolicyRenewKey { name, key_type }) => {
            let (policy, slot) = (&name.policy_name, key_type.wire());
            client
                .roll_service_policy_keys(policy, &KeyRoll { slot })
                .await?
        }
        PolicyCommand::Delete(name) => {
            client.delete_service_policy(&name.policy_name).await?;
            return render::deleted(output, &name.policy_name, out);
        }
    };
    render::answer(output, &policy, render::dps::policy, out)
}

fn names(permissions: &[Right]) -> Vec<String> {
    permissions
        .iter()
        .map(|permission| permission.as_str().to_owned())
        .collect()
}
