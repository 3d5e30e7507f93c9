//! `hub certificate …`.

use std::io::Write;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hub_api::client::PageQuery;
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
    let output = command.common().output;
    let certificate = match command {
        CertificateCommand::List(_) => {
            let mut all = Vec::new();
            let mut query = PageQuery::default();
            loop {
                let page = client.list_certificates(hub, &query).await?;
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
            return Ok(client.delete_certificate(hub, &named.name, etag).await?);
        }
        CertificateCommand::Create(create) => {
            let new = NewCertificate {
                certificate: read(&create.path)?,
                is_verified: create.verified,
                name: create.name,
            };
            client.create_certificate(hub, &new).await?
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
            client
                .replace_certificate(hub, &name, &replacement, etag)
                .await?
        }
        CertificateCommand::Show(show) => client.certificate(hub, &show.name).await?,
        CertificateCommand::GenerateVerificationCode(named) => {
            let etag = named.etag.as_deref();
            client
                .generate_verification_code(hub, &named.name, etag)
                .await?
        }
        CertificateCommand::Verify(verify) => {
            let proof = CertificateProof {
                certificate: read(&verify.path)?,
            };
            let (name, etag) = (&verify.certificate.name, &verify.certificate.etag);
            client
                .verify_certificate(hub, name, &proof, etag.as_deref())
                .await?
        }
    };
    let table = |certificate: &Certificate| render::certificate(certificate);
    render::answer(output, &certificate, table, out)
}

/// The file in base64, whatever form it has.
fn read(path: &Path) -> Result<String, Failure> {
    let bytes = std::fs::read(path).map_err(|error| {
        Failure::operation(format!("{} cannot be read: {error}", path.display()))
    })?;
    Ok(STANDARD.encode(bytes))
}
