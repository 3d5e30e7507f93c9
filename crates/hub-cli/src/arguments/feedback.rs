//! `feedback …`.

use clap::{Args, Subcommand};

use super::Common;

/// Commands on what back ends are told.
#[derive(Debug, Subcommand)]
pub enum FeedbackCommand {
    /// Show what became of messages whose senders asked, and take it out of the queue
    Watch(FeedbackWatch),
}

/// `feedback watch`.
#[derive(Debug, Args)]
pub struct FeedbackWatch {
    /// Show finished uploads instead
    #[arg(long)]
    pub(crate) files: bool,
    /// End after so many records or a few more: whole batches are shown
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max: Option<u64>,
    /// End when there is nothing left instead of waiting for more
    #[arg(long)]
    pub(crate) no_follow: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}
