//! Enrollments and groups, with the names of `az iot dps`.

use std::path::PathBuf;

use clap::{ArgAction, Args, Subcommand, ValueEnum};
use hub_api::native::{self, Moment};
use hub_domain::Timestamp;

use super::{
    RegistrationCommand, RegistrationDelete, RegistrationFilter, RegistrationList, RegistrationName,
};
use crate::arguments::{Common, RollArgument, StatusArgument};

/// Commands on enrollments of single devices.
#[derive(Debug, Subcommand)]
pub enum EnrollmentCommand {
    /// Enroll a device
    Create(Box<EnrollmentWrite>),
    /// List the enrollments
    List(EnrollmentList),
    /// Show an enrollment
    Show(EnrollmentShow),
    /// Change an enrollment
    Update(Box<EnrollmentWrite>),
    /// Delete an enrollment and its registration; the device stays in its hub
    Delete(EnrollmentDelete),
    /// Make new keys for an enrollment or for all, or swap them
    RegenerateKeys(EnrollmentRoll),
    /// What became of the enrolled device
    #[command(subcommand)]
    Registration(EnrollmentRegistration),
}

/// Commands on enrollment groups.
#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// Enroll a group of devices
    Create(Box<GroupWrite>),
    /// List the groups
    List(EnrollmentList),
    /// Show a group
    Show(EnrollmentShow),
    /// Change a group
    Update(Box<GroupWrite>),
    /// Delete a group; its devices stay in their hubs
    Delete(EnrollmentDelete),
    /// Make new keys for a group or for all, or swap them
    RegenerateKeys(GroupRoll),
    /// Derive the key of a device from the key of its group
    ComputeDeviceKey(DeviceKey),
    /// What became of the devices of a group
    #[command(subcommand)]
    Registration(GroupRegistration),
}

/// Commands on the registration of an enrollment: those of `dps registration`, where `az iot dps` has them.
#[derive(Debug, Subcommand)]
pub enum EnrollmentRegistration {
    /// Show the registration, or why the device was turned away
    Show(EnrollmentName),
    /// Forget the registration; the device stays in its hub
    Delete(EnrollmentDelete),
}

impl EnrollmentRegistration {
    /// The same of `dps registration`: the id of an enrollment is that of the registration.
    pub(crate) fn general(self) -> RegistrationCommand {
        match self {
            Self::Show(name) => RegistrationCommand::Show(name.registration()),
            Self::Delete(delete) => RegistrationCommand::Delete(RegistrationDelete {
                name: delete.name.registration(),
                etag: delete.etag,
            }),
        }
    }
}

/// Commands on the registrations of a group: those of `dps registration`, where `az iot dps` has them.
#[derive(Debug, Subcommand)]
pub enum GroupRegistration {
    /// List the registrations, with the reason of those that failed
    List(GroupRegistrationList),
    /// Show a registration, or why the device was turned away
    Show(RegistrationName),
    /// Forget a registration; the device stays in its hub
    Delete(RegistrationDelete),
}

/// `dps enrollment-group registration list`.
#[derive(Debug, Args)]
pub struct GroupRegistrationList {
    #[command(flatten)]
    pub(crate) name: EnrollmentName,
    /// The most that are listed; all when absent
    #[arg(long, value_name = "NUMBER")]
    pub(crate) top: Option<usize>,
}

impl GroupRegistration {
    /// The same of `dps registration`.
    pub(crate) fn general(self) -> RegistrationCommand {
        match self {
            Self::List(list) => RegistrationCommand::List(RegistrationList {
                filter: RegistrationFilter::All,
                enrollment_id: Some(list.name.enrollment_id),
                top: list.top,
                common: list.name.common,
            }),
            Self::Show(name) => RegistrationCommand::Show(name),
            Self::Delete(delete) => RegistrationCommand::Delete(delete),
        }
    }

    const fn common(&self) -> &Common {
        match self {
            Self::List(list) => &list.name.common,
            Self::Show(name) => &name.common,
            Self::Delete(delete) => &delete.name.common,
        }
    }
}

/// An enrollment or group by its id.
#[derive(Debug, Args)]
pub struct EnrollmentName {
    /// The registration id of an enrollment, the id of a group
    #[arg(long, visible_aliases = ["eid", "gid", "group-id"], value_name = "ID")]
    pub(crate) enrollment_id: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl EnrollmentName {
    fn registration(self) -> RegistrationName {
        RegistrationName {
            registration_id: self.enrollment_id,
            common: self.common,
        }
    }
}

/// `dps enrollment list`.
#[derive(Debug, Args)]
pub struct EnrollmentList {
    /// The most that are listed; all when absent
    #[arg(long, value_name = "NUMBER")]
    pub(crate) top: Option<usize>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// `dps enrollment show`.
#[derive(Debug, Args)]
pub struct EnrollmentShow {
    #[command(flatten)]
    pub(crate) name: EnrollmentName,
    /// Show the keys too
    #[arg(long, visible_alias = "keys", value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, default_value = "false", default_missing_value = "true", hide_default_value = true)]
    pub(crate) show_keys: bool,
}

/// `dps enrollment delete`.
#[derive(Debug, Args)]
pub struct EnrollmentDelete {
    #[command(flatten)]
    pub(crate) name: EnrollmentName,
    /// Only while it has this etag
    #[arg(long, short, value_name = "ETAG")]
    pub(crate) etag: Option<String>,
}

/// `dps enrollment create` and `update`.
#[derive(Debug, Args)]
pub struct EnrollmentWrite {
    #[command(flatten)]
    pub(crate) name: EnrollmentName,
    /// Its id in the hub; the registration id when absent
    #[arg(long, visible_aliases = ["did", "device"], value_name = "ID")]
    pub(crate) device_id: Option<String>,
    /// Whatever is to be remembered of the device, as JSON
    #[arg(long, visible_aliases = ["info", "di"], value_name = "JSON")]
    pub(crate) device_information: Option<String>,
    #[command(flatten)]
    pub(crate) proof: Proof,
    /// The endorsement key of its TPM, base64
    #[arg(long, visible_alias = "ek", value_name = "KEY", conflicts_with_all = ["primary_key", "secondary_key", "certificate_path", "ca_name"])]
    pub(crate) endorsement_key: Option<String>,
    /// The storage root key of its TPM, base64
    #[arg(long, visible_alias = "srk", value_name = "KEY")]
    pub(crate) storage_root_key: Option<String>,
    #[command(flatten)]
    pub(crate) terms: TermsArguments,
    /// Only while it has this etag
    #[arg(long, short, value_name = "ETAG")]
    pub(crate) etag: Option<String>,
}

/// `dps enrollment-group create` and `update`.
#[derive(Debug, Args)]
pub struct GroupWrite {
    #[command(flatten)]
    pub(crate) name: EnrollmentName,
    #[command(flatten)]
    pub(crate) proof: Proof,
    #[command(flatten)]
    pub(crate) terms: TermsArguments,
    /// Only while it has this etag
    #[arg(long, short, value_name = "ETAG")]
    pub(crate) etag: Option<String>,
}

/// The arguments that name certificates: they do not go with keys.
const CERTIFICATES: [&str; 4] = [
    "certificate_path",
    "secondary_certificate_path",
    "ca_name",
    "secondary_ca_name",
];

/// What devices show as proof.
#[derive(Debug, Default, Args)]
pub(crate) struct Proof {
    /// The kind of proof; told by the other arguments when absent, and else symmetrickey
    #[arg(
        long,
        visible_alias = "at",
        value_name = "TYPE",
        value_enum,
        ignore_case = true
    )]
    pub(crate) attestation_type: Option<AttestationChoice>,
    /// The first key, base64; made by the service when absent
    #[arg(long, visible_alias = "pk", value_name = "KEY", conflicts_with_all = CERTIFICATES)]
    pub(crate) primary_key: Option<String>,
    /// The second key, base64; made by the service when absent
    #[arg(long, visible_alias = "sk", value_name = "KEY", conflicts_with_all = CERTIFICATES)]
    pub(crate) secondary_key: Option<String>,
    /// A file with the first certificate, PEM or DER: the device's own, or the one that signs those of a group
    #[arg(long, visible_alias = "cp", value_name = "FILE", conflicts_with_all = ["ca_name", "secondary_ca_name"])]
    pub(crate) certificate_path: Option<PathBuf>,
    /// A file with the second certificate
    #[arg(long, visible_alias = "scp", value_name = "FILE", conflicts_with_all = ["ca_name", "secondary_ca_name"])]
    pub(crate) secondary_certificate_path: Option<PathBuf>,
    /// The name of the first certificate of the service (`dps certificate list`)
    #[arg(long, visible_alias = "cn", value_name = "NAME")]
    pub(crate) ca_name: Option<String>,
    /// The name of the second certificate of the service
    #[arg(long, visible_alias = "scn", value_name = "NAME")]
    pub(crate) secondary_ca_name: Option<String>,
    /// Take the first certificate away
    #[arg(long, visible_alias = "rc")]
    pub(crate) remove_certificate: bool,
    /// Take the second certificate away
    #[arg(long, visible_alias = "rsc")]
    pub(crate) remove_secondary_certificate: bool,
}

/// The kind of proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AttestationChoice {
    /// Tokens signed with a key
    #[value(name = "symmetrickey")]
    SymmetricKey,
    /// A certificate
    X509,
    /// A TPM
    Tpm,
}

/// What devices get, and on what terms.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "What devices get")]
pub(crate) struct TermsArguments {
    /// Whether they may register at all
    #[arg(
        long,
        visible_alias = "ps",
        value_name = "STATUS",
        value_enum,
        ignore_case = true
    )]
    pub(crate) provisioning_status: Option<StatusArgument>,
    /// How their hub is chosen; as the service says when absent
    #[arg(
        long,
        visible_alias = "ap",
        value_name = "POLICY",
        value_enum,
        ignore_case = true
    )]
    pub(crate) allocation_policy: Option<Allocation>,
    /// Host names of the hubs to choose from; the one hub of the static policy
    #[arg(long, visible_alias = "ih", value_name = "HOSTS", num_args = 1.., value_delimiter = ',')]
    pub(crate) iot_hubs: Option<Vec<String>>,
    /// The address that the custom policy asks
    #[arg(long, visible_alias = "wh", value_name = "URL")]
    pub(crate) webhook_url: Option<String>,
    /// The version of the documents that the webhook is sent
    #[arg(long, visible_alias = "av", value_name = "VERSION")]
    pub(crate) api_version: Option<String>,
    /// What happens when they register again
    #[arg(
        long,
        visible_alias = "rp",
        value_name = "POLICY",
        value_enum,
        ignore_case = true
    )]
    pub(crate) reprovision_policy: Option<Reprovision>,
    /// Whether they become edge devices
    #[arg(long, visible_alias = "ee", value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub(crate) edge_enabled: Option<bool>,
    /// The tags of their first twin, as JSON
    #[arg(long, visible_aliases = ["its", "tags"], value_name = "JSON")]
    pub(crate) initial_twin_tags: Option<String>,
    /// The desired properties of their first twin, as JSON
    #[arg(long, visible_aliases = ["props", "itp"], value_name = "JSON")]
    pub(crate) initial_twin_properties: Option<String>,
    /// The credential policy by which they get certificates; an empty name takes it away
    #[arg(long, value_name = "NAME")]
    pub(crate) credential_policy: Option<String>,
}

impl TermsArguments {
    pub(crate) const fn is_empty(&self) -> bool {
        self.provisioning_status.is_none()
            && self.allocation_policy.is_none()
            && self.iot_hubs.is_none()
            && self.webhook_url.is_none()
            && self.api_version.is_none()
            && self.reprovision_policy.is_none()
            && self.edge_enabled.is_none()
            && self.initial_twin_tags.is_none()
            && self.initial_twin_properties.is_none()
            && self.credential_policy.is_none()
    }
}

/// How a hub is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Allocation {
    /// Evenly, by weights
    Hashed,
    /// The nearest one
    #[value(name = "geolatency")]
    GeoLatency,
    /// The one that is named
    Static,
    /// The one that a webhook names
    Custom,
    /// As the service says
    Service,
}

impl Allocation {
    pub(crate) const fn wire(self) -> Option<native::AllocationPolicy> {
        match self {
            Self::Hashed => Some(native::AllocationPolicy::Hashed),
            Self::GeoLatency => Some(native::AllocationPolicy::GeoLatency),
            Self::Static => Some(native::AllocationPolicy::Static),
            Self::Custom => Some(native::AllocationPolicy::Custom),
            Self::Service => None,
        }
    }
}

/// What happens to a device that registers again, in the words of `az iot dps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Reprovision {
    /// Its hub is chosen anew and its twin goes with it
    #[value(name = "reprovisionandmigratedata")]
    MigrateData,
    /// Its hub is chosen anew and its twin begins anew there
    #[value(name = "reprovisionandresetdata")]
    ResetData,
    /// It stays where it is
    Never,
}

impl Reprovision {
    pub(crate) const fn wire(self) -> native::ReprovisionPolicy {
        let (update_hub_assignment, migrate_device_data) = match self {
            Self::MigrateData => (true, true),
            Self::ResetData => (true, false),
            Self::Never => (false, false),
        };
        native::ReprovisionPolicy {
            update_hub_assignment,
            migrate_device_data,
        }
    }
}

/// Where a roll of all keys goes on.
#[derive(Debug, Args)]
pub(crate) struct RollThrough {
    /// Goes on with --all where it broke off: when it began. What it reached is not rolled again
    #[arg(long, value_name = "TIME", requires = "all", conflicts_with = "enrollment_id", value_parser = moment)]
    pub(crate) begun: Option<Moment>,
    /// After which id it goes on
    #[arg(long, value_name = "ID", requires = "begun")]
    pub(crate) after: Option<String>,
}

fn moment(text: &str) -> Result<Moment, String> {
    let moment = Timestamp::parse_rfc3339(text);
    moment.map(Moment).map_err(|error| error.to_string())
}

/// `dps enrollment regenerate-keys`.
#[derive(Debug, Args)]
pub struct EnrollmentRoll {
    /// The registration id
    #[arg(
        long,
        visible_alias = "eid",
        value_name = "ID",
        required_unless_present = "all"
    )]
    pub(crate) enrollment_id: Option<String>,
    /// All enrollments with keys
    #[arg(long, conflicts_with = "enrollment_id")]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) through: RollThrough,
    #[command(flatten)]
    pub(crate) roll: RollArgument,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// `dps enrollment-group regenerate-keys`.
#[derive(Debug, Args)]
pub struct GroupRoll {
    /// The group's id
    #[arg(long, visible_aliases = ["eid", "gid", "group-id"], value_name = "ID", required_unless_present = "all")]
    pub(crate) enrollment_id: Option<String>,
    /// All groups with keys
    #[arg(long, conflicts_with = "enrollment_id")]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) through: RollThrough,
    #[command(flatten)]
    pub(crate) roll: RollArgument,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// `dps enrollment-group compute-device-key`.
#[derive(Debug, Args)]
pub struct DeviceKey {
    /// The device's registration id, as the device spells it
    #[arg(long, visible_alias = "rid", value_name = "ID")]
    pub(crate) registration_id: String,
    /// The group's id
    #[arg(long, visible_aliases = ["eid", "gid", "group-id"], value_name = "ID", required_unless_present = "symmetric_key")]
    pub(crate) enrollment_id: Option<String>,
    /// The group's key, base64; no server is asked
    #[arg(
        long,
        visible_alias = "key",
        value_name = "KEY",
        conflicts_with = "enrollment_id"
    )]
    pub(crate) symmetric_key: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl EnrollmentCommand {
    pub(crate) const fn common(&self) -> &Common {
        match self {
            Self::Create(write) | Self::Update(write) => &write.name.common,
            Self::List(list) => &list.common,
            Self::Show(show) => &show.name.common,
            Self::Delete(delete) => &delete.name.common,
            Self::RegenerateKeys(roll) => &roll.common,
            Self::Registration(EnrollmentRegistration::Show(name)) => &name.common,
            Self::Registration(EnrollmentRegistration::Delete(delete)) => &delete.name.common,
        }
    }
}

impl GroupCommand {
    pub(crate) const fn common(&self) -> &Common {
        match self {
            Self::Create(write) | Self::Update(write) => &write.name.common,
            Self::List(list) => &list.common,
            Self::Show(show) => &show.name.common,
            Self::Delete(delete) => &delete.name.common,
            Self::RegenerateKeys(roll) => &roll.common,
            Self::ComputeDeviceKey(key) => &key.common,
            Self::Registration(command) => command.common(),
        }
    }
}
