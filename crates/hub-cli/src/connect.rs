//! Finds the server that a command asks.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use hub_api::client::{Client, ClientConfig, ClientError, ConnectionString, PageQuery};
use hub_api::native::{RUN_FILE_NAME, RunFile};

use crate::arguments::Common;
use crate::failure::Failure;

/// Names a connection string where no argument says where the hub is.
const CONNECTION_STRING_VARIABLE: &str = "THINGSTEAD_CONNECTION_STRING";
/// Names a data directory where nothing else says where the hub is.
const DATA_DIR_VARIABLE: &str = "THINGSTEAD_DATA_DIR";

/// Reads a variable of the environment.
pub(crate) type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Where a hub is.
pub(crate) enum Place {
    /// In a data directory on this machine.
    DataDir(PathBuf),
    /// Wherever this says. A secret.
    ConnectionString(String),
}

/// A client and the hub that the command is about.
pub(crate) struct Connected {
    pub(crate) client: Client,
    pub(crate) hub: String,
}

impl Place {
    /// Arguments go before the environment, and there a connection string before a directory.
    pub(crate) fn of(common: &Common, variables: Variables<'_>) -> Result<Self, Failure> {
        if let Some(data_dir) = &common.data_dir {
            return Ok(Self::DataDir(data_dir.clone()));
        }
        let of_environment =
            || variables(CONNECTION_STRING_VARIABLE).filter(|text| !text.is_empty());
        if let Some(text) = common.connection_string.clone().or_else(of_environment) {
            return Ok(Self::ConnectionString(text));
        }
        if let Some(data_dir) = variables(DATA_DIR_VARIABLE).filter(|text| !text.is_empty()) {
            return Ok(Self::DataDir(PathBuf::from(data_dir)));
        }
        Err(Failure::usage("nothing says where the hub is").with_hint(format!(
            "--data-dir DIR for a server on this machine, or --connection-string STRING or {CONNECTION_STRING_VARIABLE}"
        )))
    }
}

/// Prepares the client; sends nothing.
pub(crate) fn client(common: &Common, variables: Variables<'_>) -> Result<Client, Failure> {
    match Place::of(common, variables)? {
        Place::DataDir(data_dir) => beside(&data_dir)?.ok_or_else(|| not_running(&data_dir)),
        Place::ConnectionString(text) => {
            let connection = ConnectionString::parse(&text).map_err(Failure::usage)?;
            let mut config = ClientConfig::of_connection_string(connection);
            if let Some(file) = &common.ca_file {
                config = config.trusting_only(read(file)?);
            }
            Ok(Client::new(config)?)
        }
    }
}

/// Prepares the client and finds the hub.
pub(crate) async fn connect(
    common: &Common,
    variables: Variables<'_>,
) -> Result<Connected, Failure> {
    let client = client(common, variables)?;
    let hub = match &common.hub {
        Some(name) => name.clone(),
        None => default_hub(&client)
            .await
            .map_err(|failure| explain(failure, common, variables))?,
    };
    Ok(Connected { client, hub })
}

/// The hub that is meant where none is named: the default one, or the only one that the caller may use.
pub(crate) async fn default_hub(client: &Client) -> Result<String, Failure> {
    let mut page = PageQuery::default();
    let mut first = None;
    loop {
        let hubs = client.list_hubs(&page).await?;
        for hub in hubs.items {
            if hub.default {
                return Ok(hub.name);
            }
            first.get_or_insert(hub.name);
        }
        match hubs.next {
            Some(next) => page.after = Some(next),
            None => return first.ok_or_else(|| Failure::operation("the installation has no hub")),
        }
    }
}

/// Says more of a server that does not answer: a run file stays behind when a server is killed.
pub(crate) fn explain(failure: Failure, common: &Common, variables: Variables<'_>) -> Failure {
    let is_silent = matches!(failure.client_error(), Some(ClientError::Transport { .. }));
    match Place::of(common, variables) {
        Ok(Place::DataDir(data_dir)) if is_silent => {
            let hint = format!(
                "{} may be of a server that was killed; start one: thingstead serve --data-dir {}",
                data_dir.join(RUN_FILE_NAME).display(),
                data_dir.display()
            );
            failure.with_hint(hint)
        }
        Ok(Place::DataDir(_) | Place::ConnectionString(_)) | Err(_) => failure,
    }
}

/// The client for the server that runs on `data_dir`; `None` when no server says that it does.
pub(crate) fn beside(data_dir: &Path) -> Result<Option<Client>, Failure> {
    let path = data_dir.join(RUN_FILE_NAME);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            let text = format!("{} cannot be read", path.display());
            return Err(
                Failure::from(anyhow::Error::new(error).context(text)).with_hint(
                    "only the user who runs the server can read it; others use --connection-string",
                ),
            );
        }
    };
    let run: RunFile = serde_json::from_slice(&text)
        .with_context(|| format!("{} is not a run file", path.display()))?;
    let certificate = read(Path::new(&run.ca_certificate))?;
    let config = ClientConfig::beside(&run, certificate).ok_or_else(|| {
        Failure::operation("the server has no HTTPS port, so there is nothing to ask")
    })?;
    Ok(Some(Client::new(config)?))
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    Ok(fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?)
}

fn not_running(data_dir: &Path) -> Failure {
    let directory = data_dir.display();
    Failure::operation(format!("no server runs on {directory}")).with_hint(format!(
        "start one: thingstead serve --data-dir {directory}"
    ))
}
