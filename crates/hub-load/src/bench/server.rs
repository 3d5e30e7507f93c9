//! The two servers: ours, and mosquitto with the same certificate.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use hub_api::native::ConnectionStrings;
use hub_domain::SymmetricKey;
use hub_domain::sas::sign_token;
use rustls::pki_types::ServerName;

use super::process::{Process, free_port};
use super::publish::Protocol;
use crate::connection::Endpoint;
use crate::hub::{Hub, read_run_file};
use crate::sim::now;
use crate::{tls, topics};

/// The host name of the hub under measurement.
pub(super) const HOST: &str = "localhost";
/// How the ids of its devices begin; a number follows.
pub(super) const PREFIX: &str = "bench-";
/// How long the token of all devices lives.
const TOKEN_LIFE: Duration = Duration::from_secs(24 * 3_600);

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Thingstead,
    Mosquitto,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Thingstead => "thingstead",
            Self::Mosquitto => "mosquitto",
        }
    }
}

/// A server that runs, and how devices log in to it.
pub(super) struct Server {
    pub(super) kind: Kind,
    pub(super) process: Process,
    pub(super) started_in: Duration,
    address: SocketAddr,
    /// Where AMQP is spoken; mosquitto does not.
    amqp: Option<SocketAddr>,
    ca: PathBuf,
    /// One token for all devices: that of a policy that may connect as any device. Mosquitto takes any.
    token: String,
}

impl Server {
    /// Where it listens, to be spoken to with this version of TLS.
    pub(super) fn endpoint(&self, version: tls::Version) -> Result<Endpoint> {
        Ok(Endpoint {
            address: self.address,
            name: ServerName::try_from(HOST).context("the name is none for tls")?,
            tls: tls::trusting(&self.ca, &[version])?,
        })
    }

    /// Whether it takes telemetry over this protocol.
    pub(super) const fn speaks(&self, protocol: Protocol) -> bool {
        match protocol {
            Protocol::Mqtt => true,
            Protocol::Amqp => self.amqp.is_some(),
        }
    }

    /// The same for AMQP.
    pub(super) fn amqp_endpoint(&self, version: tls::Version) -> Result<Endpoint> {
        Ok(Endpoint {
            address: self.amqp.context("this server speaks no amqp")?,
            ..self.endpoint(version)?
        })
    }

    /// Where it listens for MQTT, spoken to by a client that resumes its TLS sessions.
    pub(super) fn resuming_endpoint(&self, version: tls::Version) -> Result<Endpoint> {
        Ok(Endpoint {
            tls: tls::trusting_and_resuming(&self.ca, &[version])?,
            ..self.endpoint(version)?
        })
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// The name with which a device logs in.
    pub(super) fn user_name(device: &str) -> String {
        topics::user_name(HOST, device)
    }
}

/// Starts our server with this data directory on free ports.
pub(super) fn start_thingstead(program: &Path, data: &Path) -> Result<Server> {
    // A file of a server that was killed names ports that nobody has.
    drop(std::fs::remove_file(
        data.join(hub_api::native::RUN_FILE_NAME),
    ));
    let mut command = Command::new(program);
    command
        .args(["serve", "--https-port", "0", "--mqtt-port", "0"])
        .args(["--amqp-port", "0"])
        .args(["--listen", "127.0.0.1", "--log", "warn", "--hostname", HOST])
        .arg("--data-dir")
        .arg(data);
    std::fs::create_dir_all(data).context("cannot make the data directory")?;
    let log = data.with_extension("log");
    let address = || {
        let port = read_run_file(data).ok()?.ports.mqtt?;
        Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    };
    let (process, started_in) = Process::start("thingstead", command, &log, address)?;
    let run = read_run_file(data)?;
    Ok(Server {
        kind: Kind::Thingstead,
        process,
        started_in,
        address: address().context("the server has no mqtt port")?,
        amqp: (run.ports.amqp).map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        ca: PathBuf::from(run.ca_certificate),
        token: String::new(),
    })
}

/// Gives our server the token with which all devices log in, and returns its hub.
pub(super) async fn log_in(server: &mut Server, data: &Path) -> Result<Hub> {
    let hub = Hub::beside(data, None, &tls::Version::BOTH).await?;
    let strings = hub.document.connection_strings.as_ref();
    let strings = strings.context("the administrator sees connection strings")?;
    server.token = token(strings)?;
    Ok(hub)
}

fn token(strings: &ConnectionStrings) -> Result<String> {
    let key = strings
        .device
        .split(';')
        .find_map(|member| member.strip_prefix("SharedAccessKey="))
        .context("the connection string has no key")?;
    let key = SymmetricKey::parse(key)?;
    Ok(sign_token(
        HOST,
        &key,
        now().plus(TOKEN_LIFE),
        Some("device"),
    ))
}

/// The id of a device.
pub(super) fn device_id(number: usize) -> String {
    format!("{PREFIX}{number}")
}

/// The version of mosquitto, where it is installed.
pub(super) fn mosquitto_version() -> Option<String> {
    // It has no option for that, but says it first in its help.
    let output = Command::new("mosquitto").arg("-h").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(text.lines().next()?.trim().to_owned())
}

/// Starts mosquitto with the certificate that our server made in `data`.
pub(super) fn start_mosquitto(folder: &Path, data: &Path, token: &str) -> Result<Server> {
    let port = free_port()?;
    let certificates = data.join("tls");
    let config = mosquitto_config(port, &certificates);
    let path = folder.join("mosquitto.conf");
    std::fs::write(&path, config).context("cannot write mosquitto's configuration")?;
    let mut command = Command::new("mosquitto");
    command.arg("-c").arg(&path);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let log = folder.join("mosquitto.log");
    let (process, started_in) = Process::start("mosquitto", command, &log, || Some(address))?;
    Ok(Server {
        kind: Kind::Mosquitto,
        process,
        started_in,
        address,
        amqp: None,
        ca: certificates.join("ca.pem"),
        token: token.to_owned(),
    })
}

/// Everyone may do everything, nothing is kept on disk, and no limit is below the load.
fn mosquitto_config(port: u16, certificates: &Path) -> String {
    let folder = certificates.display();
    // Run as root it would change to another user, who cannot read the key.
    format!(
        "user root\n\
         per_listener_settings false\n\
         allow_anonymous true\n\
         persistence false\n\
         set_tcp_nodelay true\n\
         max_inflight_messages 0\n\
         max_queued_messages 0\n\
         log_type error\n\
         log_dest stderr\n\
         listener {port} 127.0.0.1\n\
         cafile {folder}/ca.pem\n\
         certfile {folder}/leaf.pem\n\
         keyfile {folder}/leaf.key\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mosquitto_gets_our_certificate_and_no_delay() {
        let config = mosquitto_config(18_883, Path::new("/data/tls"));
        for line in [
            "listener 18883 127.0.0.1",
            "set_tcp_nodelay true",
            "allow_anonymous true",
            "certfile /data/tls/leaf.pem",
            "keyfile /data/tls/leaf.key",
        ] {
            assert!(config.lines().any(|one| one == line), "{line} in {config}");
        }
    }
}
