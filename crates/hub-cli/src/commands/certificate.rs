//! `hub certificate …`.

use std::io::Write;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hub_api::client::{Client, PageQuery};
use hub_api::native::{Certificate, CertificateProof, CertificateReplacement, NewCertificate};

use crate::arguments::{CertificateCommand, CertificateUpload};
use crate::connect::{Connected, Variables, connect, explain};
use crate::failure::Failure;
use crate::render;

pub(super) async fn execute(
    command: CertificateCommand,
    variables: Variables<'_>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let common = command.common().clone();
    let connected = connect(&common, variables).await?;
    let result = on_hub(command, &connected, out).await;
    result.map_err(|failure| explain(failure, &common, variables))
}

pub(crate) async fn on_hub(
    command: CertificateCommand,
    Connected { client, hub }: &Connected,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    on(command, client, Some(hub), out).await
}

/// On the authorities of a hub, or of the provisioning service.
pub(super) async fn on(
    command: CertificateCommand,
    client: &Client,
    hub: Option<&str>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let output = command.common().output;
    let certificate = match command {
        CertificateCommand::List(_) => {
            let mut all = Vec::new();
            let mut query = PageQuery::default();
            loop {
                let page = match hub {
                    Some(hub) => client.list_certificates(hub, &query).await?,
                    None => client.list_authorities(&query).await?,
                };
                all.extend(page.items);
                match page.next {
                    Some(next) => query.after = Some(next),
                    None => break,
                }
            }
            return render::answer(output, &all, |all| render::certificates(all), out);
        }
        CertificateCommand::Delete(named) => {
            let etag = named.etag.as_deref();
            match hub {
                Some(hub) => client.delete_certificate(hub, &named.name, etag).await?,
                None => client.delete_authority(&named.name, etag).await?,
            }
            return render::deleted(output, &named.name, out);
        }
        CertificateCommand::Create(create) => {
            let new = NewCertificate {
                certificate: read(&create.path)?,
                is_verified: create.verified,
                name: create.name,
            };
            match hub {
                Some(hub) => client.create_certificate(hub, &new).await?,
                None => client.create_authority(&new).await?,
            }
        }
        CertificateCommand::Update(update) => {
            let CertificateUpload {
                name,
                path,
                verified,
                common: _,
            } = update.upload;
            let replacement = CertificateReplacement {
                certificate: read(&path)?,
                is_verified: verified,
            };
            let etag = update.etag.as_deref();
            match hub {
                Some(hub) => {
                    client
                        .replace_certificate(hub, &name, &replacement, etag)
                        .await?
                }
                None => client.replace_authority(&name, &replacement, etag).await?,
            }
        }
        CertificateCommand::Show(show) => match hub {
            Some(hub) => client.certificate(hub, &show.name).await?,
            None => client.authority(&show.name).await?,
        },
        CertificateCommand::GenerateVerificationCode(named) => {
            let etag = named.etag.as_deref();
            match hub {
                Some(hub) => {
                    client
                        .generate_verification_code(hub, &named.name, etag)
                        .await?
                }
                None => client.generate_authority_code(&named.name, etag).await?,
            }
        }
        CertificateCommand::Verify(verify) => {
            let proof = CertificateProof {
                certificate: read(&verify.path)?,
            };
            let (name, etag) = (&verify.certificate.name, &verify.certificate.etag);
            match hub {
                Some(hub) => {
                    client
                        .verify_certificate(hub, name, &proof, etag.as_deref())
                        .await?
                }
                None => {
                    client
                        .verify_authority(name, &proof, etag.as_deref())
                        .await?
                }
            }
        }
    };
    let table = |certificate: &Certificate| render::certificate(certificate);
    render::answer(output, &certificate, table, out)
}

/// The file in base64, whatever form it has.
pub(super) fn read(path: &Path) -> Result<String, Failure> {
    let bytes = std::fs::read(path).map_err(|error| {
        Failure::operation(format!("{} cannot be read: {error}", path.display()))
    })?;
    Ok(STANDARD.encode(bytes))
}
