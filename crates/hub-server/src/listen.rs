//! Binding the ports.

use std::io;
use std::net::{IpAddr, SocketAddr};

use hub_gateway::{ListenError, bind};
use tokio::net::TcpListener;

use crate::config::Listen;

/// The port of HTTPS that clients cannot change.
const HTTPS_PORT: u16 = 443;
/// The port used where 443 is not allowed.
const HTTPS_FALLBACK_PORT: u16 = 8443;

/// The bound sockets of one protocol: one per address, all with the same port.
pub(crate) struct Bound {
    pub(crate) port: u16,
    pub(crate) listeners: Vec<TcpListener>,
}

/// Binds HTTPS; where 443 may not be bound and no port was asked for, falls back to 8443 and says how to allow it.
pub(crate) fn https(listen: &Listen) -> Result<Bound, ListenError> {
    let wanted = listen.https_port.unwrap_or(HTTPS_PORT);
    match bind_all(&listen.addresses, wanted) {
        Err(error)
            if error.source.kind() == io::ErrorKind::PermissionDenied
                && listen.https_port.is_none() =>
        {
            let bound = bind_all(&listen.addresses, HTTPS_FALLBACK_PORT)?;
            tracing::warn!(
                port = bound.port,
                "port 443 is not allowed, and most SDKs cannot be told another one; allow it with \
                 `sudo sysctl net.ipv4.ip_unprivileged_port_start=443` or \
                 `sudo setcap cap_net_bind_service=+ep` on this program"
            );
            Ok(bound)
        }
        result => result,
    }
}

/// Binds MQTT.
pub(crate) fn mqtt(listen: &Listen) -> Result<Bound, ListenError> {
    bind_all(&listen.addresses, listen.mqtt_port)
}

/// Binds AMQP.
pub(crate) fn amqp(listen: &Listen) -> Result<Bound, ListenError> {
    bind_all(&listen.addresses, listen.amqp_port)
}

fn bind_all(addresses: &[IpAddr], port: u16) -> Result<Bound, ListenError> {
    let mut bound = Bound {
        port,
        listeners: Vec::new(),
    };
    for address in addresses {
        match bind(SocketAddr::new(*address, bound.port)) {
            Ok(listener) => {
                if let Ok(local) = listener.local_addr() {
                    bound.port = local.port();
                }
                bound.listeners.push(listener);
            }
            // A machine without IPv6 is no error as long as something is bound.
            Err(error)
                if address.is_ipv6()
                    && !bound.listeners.is_empty()
                    && lacks_ipv6(&error.source) =>
            {
                tracing::debug!(%address, "no ipv6 here");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(bound)
}

fn lacks_ipv6(error: &io::Error) -> bool {
    const EAFNOSUPPORT: i32 = 97;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(EAFNOSUPPORT)
}
