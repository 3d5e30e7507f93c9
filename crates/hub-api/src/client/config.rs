//! Where an installation is and how to prove who asks.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use hub_domain::{HostName, SymmetricKey};

use crate::native::RunFile;

/// Where an installation is, what to trust and what to show.
pub struct ClientConfig {
    pub(super) base: String,
    pub(super) resolve: Option<(String, SocketAddr)>,
    pub(super) ca_pem: Option<Vec<u8>>,
    pub(super) credential: Credential,
}

impl ClientConfig {
    /// The installation at `base`, such as `https://hub.test:8443`.
    pub fn new(base: impl Into<String>, credential: Credential) -> Self {
        let base = base.into();
        Self {
            base: base.trim_end_matches('/').to_owned(),
            resolve: None,
            ca_pem: None,
            credential,
        }
    }

    /// The server that wrote `run`, on this machine. Only the certificate of `ca_pem` is trusted, and the name it is
    /// checked against is one that the server has a certificate for, whatever names resolve here.
    ///
    /// `None` when the server has no HTTPS port.
    pub fn beside(run: &RunFile, ca_pem: Vec<u8>) -> Option<Self> {
        let port = run.ports.https?;
        let name = run.server_name.as_deref().unwrap_or("localhost");
        let address = run.address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        Some(Self {
            base: format!("https://{name}:{port}"),
            resolve: Some((name.to_owned(), SocketAddr::new(address, port))),
            ca_pem: Some(ca_pem),
            credential: Credential::AdminToken(run.admin_token.clone()),
        })
    }

    /// The installation that a connection string names, on port 443 unless the string names another.
    pub fn of_connection_string(connection: ConnectionString) -> Self {
        let ConnectionString {
            host,
            port,
            policy,
            key,
        } = connection;
        let base = if host.as_str().contains(':') {
            format!("https://[{host}]:{port}")
        } else {
            format!("https://{host}:{port}")
        };
        Self::new(
            base,
            Credential::Policy {
                host: host.to_string(),
                name: policy,
                key,
            },
        )
    }

    /// Trusts the certificates of this PEM text and no others, instead of those of the system.
    #[must_use]
    pub fn trusting_only(mut self, pem: Vec<u8>) -> Self {
        self.ca_pem = Some(pem);
        self
    }
}

/// How to prove who asks. Has no `Debug`: it is a secret.
pub enum Credential {
    /// The local admin token of a running server.
    AdminToken(String),
    /// A shared access policy of a hub; each call is signed with its key.
    Policy {
        /// The hub's host name.
        host: String,
        /// The policy's name.
        name: String,
        /// One of its keys.
        key: SymmetricKey,
    },
}

/// A back end's connection string: `HostName=…;SharedAccessKeyName=…;SharedAccessKey=…`. Has no `Debug`: it is a secret.
pub struct ConnectionString {
    host: HostName,
    port: u16,
    policy: String,
    key: SymmetricKey,
}

/// The text is no connection string of a policy. Never carries the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionStringError {
    /// A member is missing.
    #[error("the connection string has no {0}; copy one from `thingstead hub show`")]
    Missing(&'static str),
    /// It is a device's.
    #[error("the connection string is a device's; this needs one of a policy, such as iothubowner")]
    OfADevice,
    /// The host name cannot be one.
    #[error("the HostName of the connection string is not valid")]
    Host,
    /// The key cannot be one.
    #[error("the SharedAccessKey of the connection string is not valid")]
    Key,
}

impl ConnectionString {
    /// Reads a policy's connection string. The vendor's strings carry no port; one after the host name is taken.
    ///
    /// # Errors
    /// When a member is missing or not valid.
    pub fn parse(text: &str) -> Result<Self, ConnectionStringError> {
        let member = |name: &str| {
            let members = text
                .trim()
                .split(';')
                .filter_map(|member| member.split_once('='));
            members
                .filter(|(key, _)| key.trim().eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim())
                .next()
        };
        if member("DeviceId").is_some() {
            return Err(ConnectionStringError::OfADevice);
        }
        let address = member("HostName").ok_or(ConnectionStringError::Missing("HostName"))?;
        let host = HostName::parse(address).map_err(|_| ConnectionStringError::Host)?;
        let port = match address.rsplit_once(':') {
            Some((name, port)) if !name.contains(':') || name.ends_with(']') => {
                port.parse().map_err(|_| ConnectionStringError::Host)?
            }
            Some(_) | None => 443,
        };
        let policy = member("SharedAccessKeyName")
            .ok_or(ConnectionStringError::Missing("SharedAccessKeyName"))?;
        let key =
            member("SharedAccessKey").ok_or(ConnectionStringError::Missing("SharedAccessKey"))?;
        let key = SymmetricKey::parse(key).map_err(|_| ConnectionStringError::Key)?;
        Ok(Self {
            host,
            port,
            policy: policy.to_owned(),
            key,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    fn read(text: &str) -> Result<String, ConnectionStringError> {
        let connection = ConnectionString::parse(text)?;
        let policy = connection.policy.clone();
        Ok(format!(
            "{policy} at {}",
            ClientConfig::of_connection_string(connection).base
        ))
    }

    #[test]
    fn connection_strings_name_host_policy_and_perhaps_a_port() {
        let of = |host: &str| {
            read(&format!(
                "HostName={host};SharedAccessKeyName=service;SharedAccessKey={KEY}"
            ))
        };
        assert_eq!(of("Hub.Test"), Ok("service at https://hub.test:443".into()));
        assert_eq!(
            of("localhost:8443"),
            Ok("service at https://localhost:8443".into())
        );
        assert_eq!(of("[::1]:8443"), Ok("service at https://[::1]:8443".into()));
    }

    #[test]
    fn what_is_wrong_with_a_connection_string_is_said_without_the_string() {
        assert_eq!(read(""), Err(ConnectionStringError::Missing("HostName")));
        assert_eq!(
            read("HostName=h"),
            Err(ConnectionStringError::Missing("SharedAccessKeyName"))
        );
        assert_eq!(
            read("HostName=h;SharedAccessKeyName=p;SharedAccessKey=?"),
            Err(ConnectionStringError::Key)
        );
        assert_eq!(
            read(&format!("HostName=h;DeviceId=d;SharedAccessKey={KEY}")),
            Err(ConnectionStringError::OfADevice)
        );
    }
}
