//! What the commands do: one call or two of the client, then the answer.

pub(crate) mod certificate;
mod device;
pub(crate) mod dps;
mod events;
mod feedback;
mod file;
mod hub;
mod identity;
mod message;
mod method;
mod module;
mod renewal;
mod routing;
mod twin;

use std::io::Write;

use crate::arguments::{
    Command, DeviceCommand, EventsCommand, FeedbackCommand, HubCommand, MessageCommand,
    MethodCommand, ModuleCommand, TwinCommand,
};
use crate::connect::{Connected, Variables, connect, explain};
use crate::failure::Failure;
use crate::offline::Offline;

/// Does a command and writes its answer to `out`.
pub(crate) async fn execute(
    command: Command,
    offline: &dyn Offline,
    variables: Variables<'_>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if let Command::Hub(command) = command {
        return hub::execute(command, offline, variables, out).await;
    }
    if let Command::Dps(command) = command {
        return dps::execute(*command, variables, out).await;
    }
    if let Command::Keys(command) = command {
        return dps::keys(command, variables, out).await;
    }
    let common = common(&command).clone();
    let connected = connect(&common, variables).await?;
    let result = on_hub(command, &connected, out).await;
    result.map_err(|failure| explain(failure, &common, variables))
}

pub(crate) async fn on_hub(
    command: Command,
    connected: &Connected,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match command {
        Command::Hub(_) => unreachable!("commands on hubs find their hub themselves"),
        Command::Dps(command) => dps::on_service(*command, &connected.client, out).await,
        Command::Keys(command) => dps::on_keys(command, &connected.client, out).await,
        Command::Device(command) => device::execute(command, connected, out).await,
        Command::Module(command) => module::execute(command, connected, out).await,
        Command::Twin(command) => twin::execute(command, connected, out).await,
        Command::Method(MethodCommand::Invoke(invoke)) => {
            method::invoke(invoke, connected, out).await
        }
        Command::Message(command) => message::execute(command, connected, out).await,
        Command::Feedback(FeedbackCommand::Watch(watch)) => {
            feedback::watch(watch, connected, out).await
        }
        Command::Events(EventsCommand::Watch(watch)) => events::watch(watch, connected, out).await,
        Command::File(command) => file::execute(command, connected, out).await,
        Command::Route(command) => routing::route(command, connected, out).await,
        Command::Enrichment(command) => routing::enrichment(command, connected, out).await,
    }
}

fn common(command: &Command) -> &crate::arguments::Common {
    match command {
        Command::Hub(
            HubCommand::Show { common, .. }
            | HubCommand::List(common)
            | HubCommand::Statistics(common),
        ) => common,
        Command::Hub(HubCommand::Certificate(command)) => command.common(),
        Command::Hub(HubCommand::Create(create)) => &create.common,
        Command::Hub(HubCommand::Update(update)) => &update.common,
        Command::Device(DeviceCommand::Create(create)) => &create.common,
        Command::Device(DeviceCommand::List(list)) => &list.common,
        Command::Device(DeviceCommand::Show(show)) => &show.common,
        Command::Device(DeviceCommand::Update(update)) => &update.common,
        Command::Device(DeviceCommand::Delete(delete)) => &delete.common,
        Command::Device(DeviceCommand::RenewKey(renew)) => &renew.common,
        Command::Module(ModuleCommand::Create(create)) => &create.common,
        Command::Module(ModuleCommand::List(list)) => &list.common,
        Command::Module(ModuleCommand::Show(show)) => &show.common,
        Command::Module(ModuleCommand::Update(update)) => &update.common,
        Command::Module(ModuleCommand::Delete(delete)) => &delete.common,
        Command::Module(ModuleCommand::RenewKey(renew)) => &renew.common,
        Command::Twin(TwinCommand::Show(show)) => &show.common,
        Command::Twin(TwinCommand::Update(write) | TwinCommand::Replace(write)) => &write.common,
        Command::Method(MethodCommand::Invoke(invoke)) => &invoke.common,
        Command::Message(MessageCommand::Send(send)) => &send.common,
        Command::Message(MessageCommand::Purge(purge)) => &purge.common,
        Command::Message(MessageCommand::Receive(receive)) => &receive.common,
        Command::Message(
            MessageCommand::Complete(message)
            | MessageCommand::Reject(message)
            | MessageCommand::Abandon(message),
        ) => &message.common,
        Command::Feedback(FeedbackCommand::Watch(watch)) => &watch.common,
        Command::Events(EventsCommand::Watch(watch)) => &watch.common,
        Command::File(command) => command.common(),
        Command::Dps(command) => command.common(),
        Command::Keys(command) => command.common(),
        Command::Route(command) => command.common(),
        Command::Enrichment(command) => command.common(),
    }
}
