//! Which hub to load: found beside a running server, or by a connection string.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args as ClapArgs;
use hub_api::client::{Client, ClientConfig, ConnectionString, PageQuery};
use hub_api::native::{HubDocument, HubSummary, RUN_FILE_NAME, RunFile};
use rustls::ClientConfig as TlsConfig;
use rustls::pki_types::ServerName;

use crate::connection::Endpoint;
use crate::tls;

/// Which hub.
#[derive(ClapArgs, Debug, Clone)]
pub(crate) struct Where {
    /// Data directory of a server that runs on this machine.
    #[arg(
        long,
        value_name = "DIR",
        required_unless_present = "connection_string"
    )]
    data_dir: Option<PathBuf>,
    /// Connection string of a policy with registry write, such as iothubowner.
    #[arg(
        long,
        value_name = "TEXT",
        env = "THINGSTEAD_CONNECTION_STRING",
        hide_env_values = true,
        conflicts_with = "data_dir"
    )]
    connection_string: Option<String>,
    /// Name of the hub, where there are several.
    #[arg(long, value_name = "NAME")]
    hub: Option<String>,
    /// PEM file of the certificate to trust with --connection-string, instead of what the system trusts.
    #[arg(long, value_name = "FILE", conflicts_with = "data_dir")]
    ca_certificate: Option<PathBuf>,
}

/// A hub that answers.
pub(crate) struct Hub {
    pub(crate) client: Arc<Client>,
    pub(crate) name: String,
    pub(crate) host: String,
    pub(crate) mqtt: Endpoint,
    /// Its own description, with connection strings where the caller may see them.
    pub(crate) document: HubDocument,
}

impl Hub {
    pub(crate) async fn find(place: &Where) -> Result<Self> {
        match (&place.data_dir, &place.connection_string) {
            (Some(directory), _) => {
                Self::beside(directory, place.hub.as_deref(), &tls::Version::BOTH).await
            }
            (None, Some(text)) => Self::named(text, place).await,
            (None, None) => bail!("name a hub with --data-dir or --connection-string"),
        }
    }

    /// The hub `name`, or the default one, of the server with this data directory.
    pub(crate) async fn beside(
        directory: &Path,
        name: Option<&str>,
        versions: &[tls::Version],
    ) -> Result<Self> {
        let run = read_run_file(directory)?;
        let ca = PathBuf::from(&run.ca_certificate);
        let pem = std::fs::read(&ca)
            .with_context(|| format!("cannot read the certificate {}", ca.display()))?;
        let address = run.address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let config = ClientConfig::beside(&run, pem)
            .context("the server has no https port, so no devices can be created")?;
        let client = Client::new(config)?;
        let hub = choose(&client, |hub| {
            name.map_or(hub.default, |name| hub.name == name)
        })
        .await?;
        let tls = tls::trusting(&ca, versions)?;
        Self::of(client, hub, tls, |port| Ok(SocketAddr::new(address, port))).await
    }

    async fn named(connection_string: &str, place: &Where) -> Result<Self> {
        let host = host_of(connection_string)?;
        let mut config =
            ClientConfig::of_connection_string(ConnectionString::parse(connection_string)?);
        let tls = match &place.ca_certificate {
            Some(path) => {
                let pem = std::fs::read(path)
                    .with_context(|| format!("cannot read the certificate {}", path.display()))?;
                config = config.trusting_only(pem);
                tls::trusting(path, &tls::Version::BOTH)?
            }
            None => tls::trusting_the_system()?,
        };
        let client = Client::new(config)?;
        let hub = choose(&client, |hub| {
            place.hub.as_ref().map_or_else(
                || hub.host_name.eq_ignore_ascii_case(&host) || hub.aliases.contains(&host),
                |name| hub.name == *name,
            )
        })
        .await?;
        Self::of(client, hub, tls, |port| resolve(&host, port)).await
    }

    async fn of(
        client: Client,
        hub: HubSummary,
        tls: Arc<TlsConfig>,
        address: impl Fn(u16) -> Result<SocketAddr>,
    ) -> Result<Self> {
        let document = client.hub(&hub.name).await?;
        let port = document.ports.mqtt.context("the server has no mqtt port")?;
        let name = ServerName::try_from(hub.host_name.clone())
            .map_err(|_| anyhow!("the host name {} is none for tls", hub.host_name))?;
        Ok(Self {
            client: Arc::new(client),
            name: hub.name,
            host: hub.host_name,
            mqtt: Endpoint {
                address: address(port)?,
                name,
                tls,
            },
            document,
        })
    }
}

/// Reads what a running server says of itself.
pub(crate) fn read_run_file(directory: &Path) -> Result<RunFile> {
    let path = directory.join(RUN_FILE_NAME);
    let text = std::fs::read(&path).with_context(|| {
        format!(
            "no server runs with the data directory {}; start one with `thingstead serve`",
            directory.display()
        )
    })?;
    serde_json::from_slice(&text).with_context(|| format!("{} cannot be read", path.display()))
}

async fn choose(client: &Client, is_wanted: impl Fn(&HubSummary) -> bool) -> Result<HubSummary> {
    let mut page = PageQuery::default();
    loop {
        let hubs = client.list_hubs(&page).await?;
        let mut items = hubs.items;
        if let Some(index) = items.iter().position(&is_wanted) {
            return Ok(items.swap_remove(index));
        }
        match hubs.next {
            Some(next) => page.after = Some(next),
            None => bail!("there is no such hub; see `thingstead hub list`"),
        }
    }
}

fn host_of(connection_string: &str) -> Result<String> {
    let host = connection_string
        .split(';')
        .filter_map(|member| member.split_once('='))
        .find_map(|(key, value)| {
            key.trim()
                .eq_ignore_ascii_case("HostName")
                .then_some(value.trim())
        })
        .context("the connection string has no HostName")?;
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    Ok(host.to_ascii_lowercase())
}

fn resolve(host: &str, port: u16) -> Result<SocketAddr> {
    use std::net::ToSocketAddrs as _;
    (host, port)
        .to_socket_addrs()
        .with_context(|| format!("the name {host} does not resolve"))?
        .next()
        .with_context(|| format!("the name {host} has no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_connection_string_is_compared_without_case_and_port() {
        let text = "HostName=Hub.Test:8443;SharedAccessKeyName=p;SharedAccessKey=k";
        assert_eq!(host_of(text).unwrap(), "hub.test");
        assert!(host_of("SharedAccessKeyName=p").is_err());
    }

    #[test]
    fn a_directory_without_a_server_says_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let error = read_run_file(directory.path()).err().unwrap();
        assert!(
            error
                .to_string()
                .ends_with("start one with `thingstead serve`"),
            "{error}"
        );
    }
}
