//! The configuration: a TOML file, overridden by the environment, overridden by flags.
//!
//! An unknown key is an error, in the file and among the `THINGSTEAD_…` variables.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use hub_domain::HostName;
use hub_domain::limits::UPLOAD_BYTES_DEFAULT;
use hub_domain::provisioning::ProvisioningQuota;
use serde::{Deserialize, Deserializer};

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The host name of the default hub, which clients resolve and send. Default `localhost`.
    /// Variable `THINGSTEAD_HOSTNAME`.
    pub hostname: String,
    /// Further names for which the certificate is valid. Variable `THINGSTEAD_HOST_NAMES`, separated by commas.
    pub host_names: Vec<String>,
    /// Where to listen.
    pub listen: Listen,
    /// Certificates.
    pub tls: Tls,
    /// Logs, on standard error.
    pub log: Log,
    /// Uploaded files.
    pub files: Files,
    /// Device provisioning.
    pub provisioning: Provisioning,
}

/// Device provisioning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Provisioning {
    /// A PEM file with certificates that are trusted in calls to hubs of other installations and to webhooks, besides
    /// those that the system trusts. Read at the start. Variable `THINGSTEAD_PROVISIONING_TRUSTED_CERTIFICATES`.
    pub trusted_certificates: Option<PathBuf>,
    /// `unlimited` (default) or `S1`: whether the service keeps the limits of the vendor's tier. Variable
    /// `THINGSTEAD_PROVISIONING_QUOTA`.
    #[serde(deserialize_with = "provisioning_quota")]
    pub quota: ProvisioningQuota,
}

fn provisioning_quota<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<ProvisioningQuota, D::Error> {
    let text = String::deserialize(deserializer)?;
    ProvisioningQuota::parse(&text).ok_or_else(|| {
        serde::de::Error::custom(format!("the quota {text:?} is neither unlimited nor S1"))
    })
}

/// Uploaded files. Without any setting they are in the folder `files` of the data directory.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Files {
    /// Another folder, of this server alone. Variable `THINGSTEAD_FILES_FOLDER`.
    pub folder: Option<PathBuf>,
    /// An object store in place of a folder: `s3://bucket/prefix`, `az://container/prefix` or `gs://bucket/prefix`.
    /// Variable `THINGSTEAD_FILES_URL`.
    pub url: Option<String>,
    /// Options of the object store, by the names of the `object_store` crate (`aws_region`, `aws_endpoint`,
    /// `azure_storage_account_name`). Variables that begin with `AWS_`, `AZURE_` or `GOOGLE_` are options too, which
    /// keeps keys out of the file.
    pub options: BTreeMap<String, String>,
    /// The largest file in bytes. Default 5 GiB. Variable `THINGSTEAD_FILES_BYTES_MAX`.
    pub bytes_max: u64,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// Addresses. Default 127.0.0.1 and ::1, the latter only where there is IPv6.
    /// Variable `THINGSTEAD_LISTEN_ADDRESSES`, separated by commas.
    pub addresses: Vec<IpAddr>,
    /// The port of REST and WebSockets; 0 for any free one. Default 443, or 8443 where 443 is not allowed.
    /// Variable `THINGSTEAD_LISTEN_HTTPS_PORT`.
    pub https_port: Option<u16>,
    /// The port of MQTT; 0 for any free one. Default 8883. Variable `THINGSTEAD_LISTEN_MQTT_PORT`.
    pub mqtt_port: u16,
    /// The port of AMQP, for devices, back ends and Event Hubs clients; 0 for any free one. Default 5671.
    /// Variable `THINGSTEAD_LISTEN_AMQP_PORT`.
    pub amqp_port: u16,
}

/// Certificates. Without any the first start makes a CA and a leaf.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// A PEM file with the server's own certificate chain, read again when it changes.
    /// Variable `THINGSTEAD_TLS_CERTIFICATE`.
    pub certificate: Option<PathBuf>,
    /// The PEM file with its private key. Variable `THINGSTEAD_TLS_PRIVATE_KEY`.
    pub private_key: Option<PathBuf>,
}

/// Logs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Levels, as `info` or `info,hub_gateway=debug`. Variable `THINGSTEAD_LOG_FILTER`.
    pub filter: String,
    /// `text` or `json`. Variable `THINGSTEAD_LOG_FORMAT`.
    pub format: LogFormat,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// What flags set. `None` leaves the file's or the environment's value.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--hostname`.
    pub hostname: Option<String>,
    /// `--https-port`.
    pub https_port: Option<u16>,
    /// `--mqtt-port`.
    pub mqtt_port: Option<u16>,
    /// `--amqp-port`.
    pub amqp_port: Option<u16>,
    /// `--listen`.
    pub addresses: Vec<IpAddr>,
    /// `--log`.
    pub log_filter: Option<String>,
}

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration file {} cannot be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not valid.
    #[error("the configuration file {} is not valid: {message}", path.display())]
    Parse {
        /// Which.
        path: PathBuf,
        /// Where and why.
        message: String,
    },
    /// A variable is unknown or not valid.
    #[error("the variable {name} {problem}")]
    Variable {
        /// Which.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// A value is not valid.
    #[error("{key} {problem}")]
    Value {
        /// Which key.
        key: &'static str,
        /// What is wrong.
        problem: String,
    },
}

/// Variables of the commands, which the server leaves alone.
const OTHER_VARIABLES: [&str; 2] = ["THINGSTEAD_CONNECTION_STRING", "THINGSTEAD_DATA_DIR"];

impl Default for Config {
    fn default() -> Self {
        Self {
            hostname: "localhost".to_owned(),
            host_names: Vec::new(),
            listen: Listen::default(),
            tls: Tls::default(),
            log: Log::default(),
            files: Files::default(),
            provisioning: Provisioning::default(),
        }
    }
}

impl Default for Files {
    fn default() -> Self {
        Self {
            folder: None,
            url: None,
            options: BTreeMap::new(),
            bytes_max: UPLOAD_BYTES_DEFAULT,
        }
    }
}

impl Default for Listen {
    fn default() -> Self {
        let addresses = vec![
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
        ];
        Self {
            addresses,
            https_port: None,
            mqtt_port: 8883,
            amqp_port: 5671,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            filter: "info".to_owned(),
            format: LogFormat::Text,
        }
    }
}

impl Config {
    /// Reads the file if there is one, then `variables`, then `overrides`, and checks the result.
    ///
    /// # Errors
    /// An unknown key, a value of the wrong kind, a file that cannot be read.
    pub fn load(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
        overrides: Overrides,
    ) -> Result<Self, ConfigError> {
        let mut config = match file {
            None => Self::default(),
            Some(path) => Self::read(path)?,
        };
        for (name, value) in variables {
            if name.starts_with("THINGSTEAD_") && !OTHER_VARIABLES.contains(&name.as_str()) {
                config.set_variable(&name, value)?;
            }
        }
        config.apply(overrides);
        config.check()?;
        Ok(config)
    }

    fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        toml::from_str(&text).map_err(|error| ConfigError::Parse {
            path: path.to_owned(),
            message: error.to_string(),
        })
    }

    fn set_variable(&mut self, name: &str, value: String) -> Result<(), ConfigError> {
        fn parsed<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, ConfigError> {
            let problem = || format!("has the value {value:?}, which is not valid");
            value.trim().parse().map_err(|_| ConfigError::Variable {
                name: name.to_owned(),
                problem: problem(),
            })
        }
        match name {
            "THINGSTEAD_HOSTNAME" => self.hostname = value,
            "THINGSTEAD_HOST_NAMES" => {
                self.host_names = value
                    .split(',')
                    .map(|name| name.trim().to_owned())
                    .collect()
            }
            "THINGSTEAD_LISTEN_ADDRESSES" => {
                self.listen.addresses = value
                    .split(',')
                    .map(|part| parsed(name, part))
                    .collect::<Result<_, _>>()?;
            }
            "THINGSTEAD_LISTEN_HTTPS_PORT" => self.listen.https_port = Some(parsed(name, &value)?),
            "THINGSTEAD_LISTEN_MQTT_PORT" => self.listen.mqtt_port = parsed(name, &value)?,
            "THINGSTEAD_LISTEN_AMQP_PORT" => self.listen.amqp_port = parsed(name, &value)?,
            "THINGSTEAD_TLS_CERTIFICATE" => self.tls.certificate = Some(value.into()),
            "THINGSTEAD_TLS_PRIVATE_KEY" => self.tls.private_key = Some(value.into()),
            "THINGSTEAD_FILES_FOLDER" => self.files.folder = Some(value.into()),
            "THINGSTEAD_FILES_URL" => self.files.url = Some(value),
            "THINGSTEAD_FILES_BYTES_MAX" => self.files.bytes_max = parsed(name, &value)?,
            "THINGSTEAD_PROVISIONING_TRUSTED_CERTIFICATES" => {
                self.provisioning.trusted_certificates = Some(value.into());
            }
            "THINGSTEAD_PROVISIONING_QUOTA" => {
                self.provisioning.quota =
                    ProvisioningQuota::parse(&value).ok_or_else(|| ConfigError::Variable {
                        name: name.to_owned(),
                        problem: "is neither unlimited nor S1".into(),
                    })?;
            }
            "THINGSTEAD_LOG_FILTER" => self.log.filter = value,
            "THINGSTEAD_LOG_FORMAT" => {
                self.log.format = match value.as_str() {
                    "text" => LogFormat::Text,
                    "json" => LogFormat::Json,
                    _ => {
                        return Err(ConfigError::Variable {
                            name: name.to_owned(),
                            problem: "is neither text nor json".into(),
                        });
                    }
                };
            }
            _ => {
                return Err(ConfigError::Variable {
                    name: name.to_owned(),
                    problem: "is not known".into(),
                });
            }
        }
        Ok(())
    }

    fn apply(&mut self, overrides: Overrides) {
        if let Some(hostname) = overrides.hostname {
            self.hostname = hostname;
        }
        if let Some(port) = overrides.https_port {
            self.listen.https_port = Some(port);
        }
        if let Some(port) = overrides.mqtt_port {
            self.listen.mqtt_port = port;
        }
        if let Some(port) = overrides.amqp_port {
            self.listen.amqp_port = port;
        }
        if !overrides.addresses.is_empty() {
            self.listen.addresses = overrides.addresses;
        }
        if let Some(filter) = overrides.log_filter {
            self.log.filter = filter;
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        let value = |key, problem: String| Err(ConfigError::Value { key, problem });
        if let Err(error) = self.host() {
            return value("hostname", format!("is not valid: {error}"));
        }
        if let Some(error) = self
            .host_names
            .iter()
            .find_map(|name| HostName::parse(name).err())
        {
            return value(
                "host_names",
                format!("holds a name that is not valid: {error}"),
            );
        }
        if self.listen.addresses.is_empty() {
            return value(
                "listen.addresses",
                "is empty, name at least one address".into(),
            );
        }
        if self.tls.certificate.is_some() != self.tls.private_key.is_some() {
            return value(
                "tls",
                "needs both certificate and private_key, or neither".into(),
            );
        }
        if self.files.folder.is_some() && self.files.url.is_some() {
            return value("files", "takes a folder or a url, not both".into());
        }
        if self.files.bytes_max == 0 {
            return value("files.bytes_max", "must be more than 0".into());
        }
        Ok(())
    }

    /// The default hub's host name.
    ///
    /// # Errors
    /// When it is none; a loaded configuration has one.
    pub fn host(&self) -> Result<HostName, hub_domain::ids::IdError> {
        HostName::parse(&self.hostname)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(
        clippy::unwrap_in_result,
        reason = "a test without a folder to write to fails"
    )]
    fn load(
        file: &str,
        variables: &[(&str, &str)],
        overrides: Overrides,
    ) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, file).unwrap();
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::load(Some(&path), variables, overrides).map_err(|error| error.to_string())
    }

    #[test]
    fn flags_win_over_the_environment_and_the_environment_over_the_file() {
        let file = "hostname = \"file\"\n[listen]\nhttps_port = 1\nmqtt_port = 2\n";
        let variables = [
            ("THINGSTEAD_HOSTNAME", "environment"),
            ("THINGSTEAD_LISTEN_HTTPS_PORT", "3"),
            ("PATH", "/"),
        ];
        let overrides = Overrides {
            hostname: Some("flag".into()),
            ..Overrides::default()
        };
        let config = load(file, &variables, overrides).unwrap();
        assert_eq!(config.hostname, "flag");
        assert_eq!(config.listen.https_port, Some(3));
        assert_eq!(config.listen.mqtt_port, 2);
    }

    #[test]
    fn unknown_keys_are_errors() {
        assert!(
            load("hostnmae = \"x\"", &[], Overrides::default())
                .unwrap_err()
                .contains("hostnmae")
        );
        assert!(load("[listen]\nport = 1", &[], Overrides::default()).is_err());
        let error = load("", &[("THINGSTEAD_HOST", "x")], Overrides::default()).unwrap_err();
        assert_eq!(error, "the variable THINGSTEAD_HOST is not known");
        assert!(
            load(
                "",
                &[("THINGSTEAD_CONNECTION_STRING", "x")],
                Overrides::default()
            )
            .is_ok()
        );
    }

    #[test]
    fn the_quota_of_provisioning_is_named_in_the_file_or_the_environment() {
        let quota = |file: &str, variables: &[(&str, &str)]| {
            let config = load(file, variables, Overrides::default());
            config.map(|config| config.provisioning.quota)
        };
        let s1 = "[provisioning]\nquota = \"S1\"";
        assert_eq!(quota("", &[]), Ok(ProvisioningQuota::Unlimited));
        assert_eq!(quota(s1, &[]), Ok(ProvisioningQuota::S1));
        let variable = "THINGSTEAD_PROVISIONING_QUOTA";
        let unlimited = quota(s1, &[(variable, "unlimited")]);
        assert_eq!(unlimited, Ok(ProvisioningQuota::Unlimited));
        assert!(quota("", &[(variable, "S9")]).is_err());
        let error = quota("[provisioning]\nquota = \"S9\"", &[]).unwrap_err();
        assert!(error.contains("neither unlimited nor S1"), "{error}");
    }

    #[test]
    fn values_are_checked() {
        assert!(load("hostname = \"a b\"", &[], Overrides::default()).is_err());
        assert!(load("[tls]\ncertificate = \"c.pem\"", &[], Overrides::default()).is_err());
        assert!(load("[listen]\naddresses = []", &[], Overrides::default()).is_err());
        assert!(load("[files]\nbytes_max = 0", &[], Overrides::default()).is_err());
        let both = "[files]\nfolder = \"/x\"\nurl = \"s3://x\"";
        assert!(load(both, &[], Overrides::default()).is_err());
        assert!(
            load(
                "",
                &[("THINGSTEAD_LISTEN_MQTT_PORT", "70000")],
                Overrides::default()
            )
            .is_err()
        );
    }
}
