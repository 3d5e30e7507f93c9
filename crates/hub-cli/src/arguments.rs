//! What can be typed.

mod certificate;
mod common;
mod device;
mod dps;
mod events;
mod feedback;
mod file;
mod hub;
mod message;
mod method;
mod module;
mod routing;
mod twin;

use clap::Subcommand;

pub(crate) use certificate::{CertificateCommand, CertificateUpload};
pub(crate) use common::{
    AuthMethod, Common, KeyArguments, KeyChoice, OutputFormat, RollArgument, StatusArgument,
};
pub(crate) use device::{DeviceCommand, DeviceCreate, DeviceRenewKey, DeviceUpdate};
pub(crate) use dps::{
    AddressRangeCommand, AllocationCommand, AllocationPreview, AttestationChoice,
    ConnectionStringCommand, CredentialPolicyCommand, DpsCommand, EnrollmentCommand,
    EnrollmentRoll, EnrollmentWrite, GroupCommand, GroupRoll, GroupWrite, IssuerCommand,
    KeysCommand, LatencyCommand, LatencyMeasure, LinkedHubCommand, LinkedHubCreate,
    LinkedHubUpdate, ListFile, PolicyCommand, PolicyCreate, PolicyRenewKey, PolicyUpdate, Proof,
    RegistrationCommand, RegistrationFilter, RegistrationList, Right, RollThrough, ServiceUpdate,
    SlotChoice, TermsArguments,
};
pub(crate) use events::{EventsCommand, EventsWatch};
pub(crate) use feedback::{FeedbackCommand, FeedbackWatch};
pub(crate) use file::{FileCommand, FileList};
pub(crate) use hub::{HubCommand, HubCreate, HubUpdate, QueueArguments};
pub(crate) use message::{AckArgument, MessageCommand, MessageReceive, MessageSend, MessageSettle};
pub(crate) use method::{MethodCommand, MethodInvoke};
pub(crate) use module::{ModuleCommand, ModuleCreate, ModuleRenewKey, ModuleUpdate};
pub(crate) use routing::{
    EnrichmentCommand, EnrichmentWrite, RouteCommand, RouteCreate, RouteFallback, RouteTest,
    RouteUpdate,
};
pub(crate) use twin::{TwinCommand, TwinWrite};

/// The commands of the hub, to be flattened into a program's own.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Hubs, and what a client needs to reach one
    #[command(subcommand)]
    Hub(HubCommand),
    /// Devices
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Modules of devices
    #[command(subcommand)]
    Module(ModuleCommand),
    /// Twins: tags, desired and reported properties
    #[command(subcommand)]
    Twin(TwinCommand),
    /// Direct methods
    #[command(subcommand)]
    Method(MethodCommand),
    /// Messages from the cloud to a device
    #[command(subcommand, name = "c2d")]
    Message(MessageCommand),
    /// What became of messages for devices, and finished uploads
    #[command(subcommand)]
    Feedback(FeedbackCommand),
    /// What devices send, and what happened to them
    #[command(subcommand)]
    Events(EventsCommand),
    /// Files that devices uploaded
    #[command(subcommand)]
    File(FileCommand),
    /// Where messages and events go
    #[command(subcommand)]
    Route(RouteCommand),
    /// The provisioning service: devices register there and are told their hub
    #[command(subcommand)]
    Dps(Box<DpsCommand>),
    /// Keys and certificates of all kinds
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Properties that are stamped on messages
    #[command(subcommand)]
    Enrichment(EnrichmentCommand),
}
