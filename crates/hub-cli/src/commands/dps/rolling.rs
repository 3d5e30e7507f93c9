//! Keys of all enrollments of a kind.

use std::io::Write;

use hub_api::client::{Client, ClientError};
use hub_api::native::{KeyRollResult, KeyRollScope, KeyRollTarget};

use crate::arguments::{KeyChoice, OutputFormat, RollThrough};
use crate::failure::Failure;
use crate::render;

/// Rolls page by page. What breaks off tells how it goes on.
pub(super) async fn all(
    (of, key): (KeyRollScope, KeyChoice),
    through: &RollThrough,
    output: OutputFormat,
    client: &Client,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let slot = key.wire();
    let mut target = KeyRollTarget {
        slot,
        of,
        begun: through.begun,
        after: through.after.clone(),
    };
    let (mut rolled, mut skipped) = (0, 0);
    loop {
        let page = match client.roll_all_keys(&target).await {
            Ok(page) => page,
            // What the server does not understand is wrong in the command, which is no way on.
            Err(error) if is_wrong(&error) && rolled + skipped == 0 => return Err(error.into()),
            Err(error) => return Err(broken_off(error.into(), key, &target)),
        };
        rolled += page.rolled;
        skipped += page.skipped;
        let total = KeyRollResult {
            rolled,
            skipped,
            next: None,
            begun: page.begun,
        };
        let Some(next) = page.next else {
            return render::answer(output, &total, render::dps::rolled, out);
        };
        if target.begun.is_some() {
            // Nobody has to watch.
            let _ = writeln!(std::io::stderr(), "{}", render::dps::rolled(&total));
        }
        target.begun = Some(page.begun);
        target.after = Some(next);
    }
}

const fn is_wrong(error: &ClientError) -> bool {
    matches!(error, ClientError::Refused { status: 400, .. })
}

/// Before there is a beginning nothing was done, and the same command is the way on.
fn broken_off(failure: Failure, key: KeyChoice, target: &KeyRollTarget) -> Failure {
    let Some(begun) = target.begun else {
        return failure;
    };
    let noun = match target.of {
        KeyRollScope::Enrollments => "enrollment",
        KeyRollScope::EnrollmentGroups => "enrollment-group",
    };
    let key = key.as_str();
    let after = match target.after.as_deref() {
        None | Some("") => String::new(),
        Some(after) => format!(" --after {after}"),
    };
    failure.meaning(format!(
        "not all keys are rolled, and those that are stay so; go on with \
         `thingstead dps {noun} regenerate-keys --all --key-type {key} --begun {begun}{after}`"
    ))
}
