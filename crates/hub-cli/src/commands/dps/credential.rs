//! Issuers and credential policies.

use std::io::Write;

use hub_api::client::Client;
use hub_api::native::{CredentialPolicy, CredentialPolicySettings, Issuer, NewIssuer};

use super::{first_page, next_page, nothing_to_change, text_of};
use crate::arguments::{CredentialPolicyCommand, IssuerCommand};
use crate::failure::Failure;
use crate::render;

pub(super) async fn issuer(
    command: IssuerCommand,
    client: &Client,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let output = command.common().output;
    let issuer = match command {
        IssuerCommand::Create(create) => {
            let read =
                |path: Option<&std::path::PathBuf>| path.map(|path| text_of(path)).transpose();
            let new = NewIssuer {
                name: create.name.name,
                certificate_chain: read(create.certificate_path.as_ref())?,
                private_key: read(create.key_path.as_ref())?,
            };
            client.create_issuer(&new).await?
        }
        IssuerCommand::List(_) => {
            let mut items: Vec<Issuer> = Vec::new();
            let mut query = first_page(None);
            loop {
                let page = client.list_issuers(&query).await?;
                items.extend(page.items);
                match next_page(page.next, items.len(), None) {
                    Some(next) => query = next,
                    None => break,
                }
            }
            let table = |items: &Vec<Issuer>| render::dps::issuers(items);
            return render::answer(output, &items, table, out);
        }
        IssuerCommand::Show(name) => client.issuer(&name.name).await?,
        IssuerCommand::Delete(name) => {
            client.delete_issuer(&name.name).await?;
            return render::deleted(output, &name.name, out);
        }
    };
    render::answer(output, &issuer, render::dps::issuer, out)
}

pub(super) async fn policy(
    command: CredentialPolicyCommand,
    client: &Client,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let output = command.common().output;
    let policy = match command {
        CredentialPolicyCommand::Create(create) => {
            let settings = CredentialPolicySettings {
                name: create.name.name,
                issuer: create.issuer,
                validity_days: create.validity_days,
            };
            client.create_credential_policy(&settings).await?
        }
        CredentialPolicyCommand::List(_) => {
            let mut items: Vec<CredentialPolicy> = Vec::new();
            let mut query = first_page(None);
            loop {
                let page = client.list_credential_policies(&query).await?;
                items.extend(page.items);
                match next_page(page.next, items.len(), None) {
                    Some(next) => query = next,
                    None => break,
                }
            }
            let table = |items: &Vec<CredentialPolicy>| render::dps::credential_policies(items);
            return render::answer(output, &items, table, out);
        }
        CredentialPolicyCommand::Show(name) => client.credential_policy(&name.name).await?,
        CredentialPolicyCommand::Update(update) => {
            if update.issuer.is_none() && update.validity_days.is_none() {
                return Err(nothing_to_change("credential-policy"));
            }
            let name = update.name.name;
            let former = client.credential_policy(&name).await?;
            let settings = CredentialPolicySettings {
                name: former.name,
                issuer: update.issuer.unwrap_or(former.issuer),
                validity_days: update.validity_days.or(Some(former.validity_days)),
            };
            let etag = update.etag.as_deref().unwrap_or(&former.etag);
            client
                .replace_credential_policy(&name, &settings, Some(etag))
                .await?
        }
        CredentialPolicyCommand::Delete(delete) => {
            let name = &delete.name.name;
            client
                .delete_credential_policy(name, delete.etag.as_deref())
                .await?;
            return render::deleted(output, name, out);
        }
    };
    let table =
        |policy: &CredentialPolicy| render::dps::credential_policies(std::slice::from_ref(policy));
    render::answer(output, &policy, table, out)
}
