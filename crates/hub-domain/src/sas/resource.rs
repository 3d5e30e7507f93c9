//! What a token speaks for: a host and a path below it.

use percent_encoding::percent_decode_str;

use crate::{DeviceId, HostName, IdentityId, ModuleId};

/// A host and path segments: the decoded `sr` of a token, or the resource that a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    host: String,
    segments: Vec<String>,
}

/// The text names no resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResourceError {
    /// The percent-decoded bytes are not UTF-8.
    #[error("the resource is not UTF-8")]
    NotUtf8,
    /// There is nothing before the first slash.
    #[error("the resource names no host")]
    NoHost,
}

impl Resource {
    /// Decodes a percent-encoded resource, once. `+` stands for itself: ids may contain it.
    ///
    /// A scheme (`https://`, `sb://`), the port and trailing slashes are dropped, and so is an
    /// `api-version=…` segment after an identity, which old tools appended.
    ///
    /// # Errors
    /// When the decoded bytes are not UTF-8 or name no host.
    pub fn parse(encoded: &str) -> Result<Self, ResourceError> {
        let decoded = percent_decode_str(encoded)
            .decode_utf8()
            .map_err(|_| ResourceError::NotUtf8)?;
        Self::from_decoded(&decoded)
    }

    /// Reads a resource that is not percent-encoded, such as an AMQP audience.
    ///
    /// # Errors
    /// When it names no host.
    pub fn from_decoded(text: &str) -> Result<Self, ResourceError> {
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host = comparable_host(host);
        if host.is_empty() {
            return Err(ResourceError::NoHost);
        }
        let path = path.trim_end_matches('/');
        let mut segments: Vec<String> = if path.is_empty() {
            Vec::new()
        } else {
            path.split('/').map(str::to_owned).collect()
        };
        // Only after a whole identity: cutting the segment elsewhere would widen what a token covers.
        let follows_identity = matches!(segments.len(), 3 | 5);
        if follows_identity
            && segments
                .last()
                .is_some_and(|last| last.starts_with("api-version="))
        {
            segments.pop();
        }
        Ok(Self { host, segments })
    }

    /// The whole hub.
    pub fn hub(host: &HostName) -> Self {
        Self {
            host: host.as_str().to_owned(),
            segments: Vec::new(),
        }
    }

    /// A device of a hub.
    pub fn device(host: &HostName, device: &DeviceId) -> Self {
        Self {
            host: host.as_str().to_owned(),
            segments: vec!["devices".to_owned(), device.as_str().to_owned()],
        }
    }

    /// A module of a device.
    pub fn module(host: &HostName, device: &DeviceId, module: &ModuleId) -> Self {
        let mut resource = Self::device(host, device);
        resource
            .segments
            .extend(["modules".to_owned(), module.as_str().to_owned()]);
        resource
    }

    /// A device or a module.
    pub fn identity(host: &HostName, id: &IdentityId) -> Self {
        match &id.module {
            None => Self::device(host, &id.device),
            Some(module) => Self::module(host, &id.device, module),
        }
    }

    /// The host in lower case, without its port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path below the host.
    pub fn segments(&self) -> &[String] {
        &self.segments
    }

    /// True when `other` is this resource or lies below it: `/a/b` covers `/a/b/c`, not `/a/bc`.
    pub fn covers(&self, other: &Self) -> bool {
        self.host == other.host && self.covers_path_of(other)
    }

    /// Like [`Self::covers`], whatever the hosts: for a hub that answers to several names.
    pub fn covers_path_of(&self, other: &Self) -> bool {
        self.covers_path_with(other, |mine, theirs| mine == theirs)
    }

    /// Like [`Self::covers_path_of`], where a segment of this resource may be percent-encoded once
    /// more. The C# client encodes ids before it encodes the whole resource
    /// (`ClientConfiguration`/`IotHubConnectionString`: `WebUtility.UrlEncode(deviceId)`).
    pub(super) fn covers_path_encoded_twice(&self, other: &Self) -> bool {
        self.covers_path_with(other, |mine, theirs| {
            mine == theirs || percent_decode_str(mine).eq(theirs.bytes())
        })
    }

    fn covers_path_with(&self, other: &Self, same: impl Fn(&str, &str) -> bool) -> bool {
        self.segments.len() <= other.segments.len()
            && self
                .segments
                .iter()
                .zip(&other.segments)
                .all(|(mine, theirs)| same(mine, theirs))
    }
}

fn comparable_host(host: &str) -> String {
    match HostName::parse(host) {
        Ok(host) => host.as_str().to_owned(),
        // No host name at all: kept for messages, equal to no hub's host.
        Err(_) => host.to_ascii_lowercase(),
    }
}
