//! What a connection proved: tokens by audience, or the one credential of SASL PLAIN.
//!
//! A token counts for what its own `sr` says; the audience of `$cbs` names it for renewal and must lie within it. Names
//! of service resources compare without case, for Event Hubs clients spell them in several ways; ids of devices do not.

use std::sync::Arc;

use hub_domain::limits::CONNECTION_TOKENS_MAX;
use hub_domain::sas::{Resource, SasToken};
use hub_domain::{ErrorCode, HostName, Hub, HubNo, IdentityId, Permission, Timestamp};
use hub_engine::sessions::Credential;
use hub_engine::{Caller, Engine, Error, ErrorKind, OpContext, PolicyProof};

/// The end of a SASL PLAIN user name that means a policy of the hub.
const PLAIN_POLICY: &str = "@sas.root.";
/// The same of a device.
const PLAIN_DEVICE: &str = "@sas.";

/// One thing that was proved.
pub(super) struct Grant {
    pub(super) hub: Arc<Hub>,
    /// What it is called when it is renewed.
    audience: Resource,
    pub(super) expires: Timestamp,
    of: GrantOf,
}

enum GrantOf {
    /// An identity, with the token that opens its session.
    Identity { id: IdentityId, token: Box<str> },
    /// A policy, with the token that opens sessions where the policy allows it; without one the key itself was shown.
    Policy {
        proof: PolicyProof,
        token: Option<Box<str>>,
    },
}

impl Grant {
    /// The identity that this proves, and no other.
    pub(super) const fn identity(&self) -> Option<&IdentityId> {
        match &self.of {
            GrantOf::Identity { id, .. } => Some(id),
            GrantOf::Policy { .. } => None,
        }
    }
}

/// A token as it is put, or the credential of SASL PLAIN.
pub(super) struct Claim {
    /// The hub that the connection or the audience names.
    pub(super) hub: Arc<Hub>,
    pub(super) audience: Resource,
    pub(super) token: Box<str>,
}

impl Claim {
    /// What `$cbs` was told.
    ///
    /// # Errors
    /// When the audience names nothing, or no hub answers to it.
    pub(super) fn parse(
        engine: &Engine,
        connection_hub: Option<&Arc<Hub>>,
        audience: &str,
        token: &str,
    ) -> Result<Self, Error> {
        // Node passes the `sr` of its token as it is, others a plain text: one decoding serves both.
        let audience = Resource::parse(audience)
            .map_err(|error| refused("the audience cannot be read").with_source(error))?;
        let named = HostName::parse(audience.host()).ok();
        let hub = connection_hub
            .cloned()
            .or_else(|| engine.hubs.by_host(named.as_ref()))
            .ok_or_else(|| refused("no hub has this host name"))?;
        Ok(Self {
            hub,
            audience,
            token: token.into(),
        })
    }

    /// What SASL PLAIN was told: `{policy}@sas.root.{hub}` or `{device}@sas.{hub}` with a token ("Control access to IoT
    /// Hub", protocol specifics), or a policy's name with its token or key, the form of Event Hubs.
    ///
    /// # Errors
    /// When the text is not such a form, or no such hub exists.
    pub(super) fn parse_plain(
        engine: &Engine,
        connection_hub: Option<&Arc<Hub>>,
        response: &[u8],
    ) -> Result<Plain, Error> {
        let text = std::str::from_utf8(response).map_err(|_| refused("PLAIN is not text"))?;
        let mut parts = text.split('\0');
        let (Some(_), Some(name), Some(password), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(refused("PLAIN is not authorization, name and password"));
        };
        let (name, hub_name) = match name.rsplit_once(PLAIN_POLICY) {
            Some((policy, hub)) => (PlainName::Policy(policy), Some(hub)),
            None => match name.rsplit_once(PLAIN_DEVICE) {
                Some((device, hub)) => (PlainName::Identity(device), Some(hub)),
                None => (PlainName::Policy(name), None),
            },
        };
        let hub = match hub_name {
            Some(text) => plain_hub(engine, text),
            None => connection_hub
                .cloned()
                .or_else(|| engine.hubs.by_host(None)),
        };
        let hub = hub.ok_or_else(|| refused("no hub has this name"))?;
        match name {
            PlainName::Identity(id) => {
                let id = IdentityId::parse(id)
                    .map_err(|error| refused("the device id is not valid").with_source(error))?;
                Ok(Plain::Token(Self {
                    audience: Resource::identity(&hub.host, &id),
                    hub,
                    token: password.into(),
                }))
            }
            PlainName::Policy(_) if is_token(password) => Ok(Plain::Token(Self {
                audience: Resource::hub(&hub.host),
                hub,
                token: password.into(),
            })),
            PlainName::Policy(name) => {
                let caller = engine
                    .access
                    .authenticate_policy_key(&hub, name, password)?;
                let resource = Resource::hub(&hub.host);
                Ok(Plain::Granted(Box::new(Grant {
                    hub,
                    audience: resource.clone(),
                    expires: Timestamp::from_micros(i64::MAX),
                    of: GrantOf::Policy {
                        proof: PolicyProof {
                            caller,
                            expires: Timestamp::from_micros(i64::MAX),
                            resource,
                        },
                        token: None,
                    },
                })))
            }
        }
    }

    /// Checks the token.
    ///
    /// # Errors
    /// `NotAuthenticated` with a public text; `Unavailable` when storage cannot answer.
    pub(super) async fn check(self, engine: &Engine, now: Timestamp) -> Result<Grant, Error> {
        if let Some(id) = identity_of(&self.audience) {
            let credential = Credential::Token(&self.token);
            let sessions = &engine.sessions;
            let proved = sessions.prove(now, &self.hub, &id, &credential).await?;
            return Ok(Grant {
                hub: self.hub,
                audience: self.audience,
                expires: proved.expires(),
                of: GrantOf::Identity {
                    id,
                    token: self.token,
                },
            });
        }
        let access = &engine.access;
        let proof = access.authenticate_policy_token(&self.hub, &self.token, now)?;
        if !covers_without_case(&proof.resource, self.audience.segments()) {
            return Err(refused("the token does not speak for its audience"));
        }
        Ok(Grant {
            hub: self.hub,
            audience: self.audience,
            expires: proof.expires,
            of: GrantOf::Policy {
                proof,
                token: Some(self.token),
            },
        })
    }
}

/// What SASL PLAIN shows.
pub(super) enum Plain {
    /// A token, to be checked as one of `$cbs`.
    Token(Claim),
    /// A key, which was checked.
    Granted(Box<Grant>),
}

enum PlainName<'a> {
    Policy(&'a str),
    Identity(&'a str),
}

/// The vendor puts the hub's name there; whole host names are understood too.
fn plain_hub(engine: &Engine, text: &str) -> Option<Arc<Hub>> {
    engine
        .hubs
        .by_name(text)
        .or_else(|| engine.hubs.by_host(HostName::parse(text).ok().as_ref()))
}

fn is_token(password: &str) -> bool {
    SasToken::parse(password).is_ok()
}

/// The identity that an audience names, whatever lies below it.
fn identity_of(audience: &Resource) -> Option<IdentityId> {
    let text = |text: &str| text.to_owned();
    let (device, module) = match audience.segments() {
        [devices, device, modules, module, ..]
            if is(devices, "devices") && is(modules, "modules") =>
        {
            (text(device), Some(text(module)))
        }
        [devices, device, ..] if is(devices, "devices") => (text(device), None),
        _ => return None,
    };
    let joined = match module {
        Some(module) => format!("{device}/{module}"),
        None => device,
    };
    IdentityId::parse(&joined).ok()
}

fn is(segment: &str, fixed: &str) -> bool {
    segment.eq_ignore_ascii_case(fixed)
}

fn covers_without_case<S: AsRef<str>>(resource: &Resource, path: &[S]) -> bool {
    let mine = resource.segments();
    mine.len() <= path.len()
        && mine
            .iter()
            .zip(path)
            .all(|(mine, theirs)| mine.eq_ignore_ascii_case(theirs.as_ref()))
}

/// Everything that a connection proved by now. Allocates nothing while empty.
#[derive(Default)]
pub(super) struct Credentials {
    grants: Vec<Grant>,
    /// How many there ever were, refused ones left out.
    accepted: u64,
}

impl Credentials {
    /// Notes that something else was believed: the certificate of the TLS connection, or what a device registers with.
    pub(super) const fn accept_other(&mut self) {
        self.accepted += 1;
    }

    /// True once anything was proved, also when it ended meanwhile.
    pub(super) const fn is_authenticated(&self) -> bool {
        self.accepted > 0
    }

    /// True when nothing is proved any more.
    pub(super) const fn is_empty(&self) -> bool {
        self.grants.is_empty()
    }

    /// Adds a grant, or replaces the one of the same audience.
    ///
    /// # Errors
    /// When the connection holds as many as it may (403005).
    pub(super) fn add(&mut self, grant: Grant) -> Result<(), Error> {
        let same = |held: &Grant| held.hub.no == grant.hub.no && held.audience == grant.audience;
        match self.grants.iter().position(same) {
            Some(at) => self.grants[at] = grant,
            None if self.grants.len() >= CONNECTION_TOKENS_MAX => {
                let text = format!("a connection holds at most {CONNECTION_TOKENS_MAX} tokens");
                return Err(Error::new(ErrorKind::QuotaExceeded, text)
                    .with_code(ErrorCode::IotHubMaxCbsTokenExceeded));
            }
            None => self.grants.push(grant),
        }
        self.accepted += 1;
        Ok(())
    }

    /// Forgets what ended; true when anything did.
    pub(super) fn expire(&mut self, now: Timestamp) -> bool {
        let before = self.grants.len();
        self.grants.retain(|grant| grant.expires > now);
        if self.grants.is_empty() {
            self.grants = Vec::new();
        }
        self.grants.len() < before
    }

    /// When the next grant ends.
    pub(super) fn next_expiry(&self) -> Option<Timestamp> {
        self.grants.iter().map(|grant| grant.expires).min()
    }

    /// The hub of a connection that named none: that of its first proof.
    pub(super) fn hub(&self) -> Option<&Arc<Hub>> {
        self.grants.first().map(|grant| &grant.hub)
    }

    /// Who may do `permission` at `path` of the hub, where anything proves that.
    ///
    /// # Errors
    /// `NotAllowed` when proofs cover the path but lack the permission, `NotAuthenticated` when none covers it.
    pub(super) fn caller<S: AsRef<str>>(
        &self,
        hub: HubNo,
        path: &[S],
        permission: Permission,
    ) -> Result<Caller, Error> {
        let mut outcome = Err(refused("no token speaks for this address"));
        for grant in self.grants.iter().filter(|grant| grant.hub.no == hub) {
            let GrantOf::Policy { proof, .. } = &grant.of else {
                continue;
            };
            if !covers_without_case(&proof.resource, path) {
                continue;
            }
            match proof.caller.require(hub, permission) {
                Ok(()) => return Ok(proof.caller.clone()),
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    /// The token that opens the session of `id`: its own, or else a policy's.
    ///
    /// # Errors
    /// `NotAuthenticated` when there is none.
    pub(super) fn token_of(&self, hub: &Hub, id: &IdentityId) -> Result<&str, Error> {
        let target = Resource::identity(&hub.host, id);
        let mut found = Err(refused("no token speaks for this identity"));
        for grant in self.grants.iter().filter(|grant| grant.hub.no == hub.no) {
            match &grant.of {
                GrantOf::Identity { id: own, token } if own == id => return Ok(token),
                GrantOf::Policy {
                    proof,
                    token: Some(token),
                } if proof.resource.covers_path_of(&target) => found = Ok(&**token),
                GrantOf::Identity { .. } | GrantOf::Policy { .. } => {}
            }
        }
        found
    }
}

/// The context of an operation on behalf of `caller`.
pub(super) fn context(engine: &Engine, caller: Caller) -> OpContext {
    OpContext {
        caller,
        request_id: String::new(),
        now: engine.environment().now(),
    }
}

fn refused(text: &str) -> Error {
    Error::new(ErrorKind::NotAuthenticated, text)
}
