//! The bound on writes that wait for the store's committer.
//!
//! A back end is told to come again; a device's write waits, and with it the reading of its socket.

use hub_storage::Store;

use crate::{Error, ErrorKind};

/// Checks that the committer has room for one more write of a back end.
///
/// # Errors
/// `Unavailable` when too much waits already.
pub(crate) fn check_room(store: &dyn Store) -> Result<(), Error> {
    if store.backlog().is_full() {
        return Err(Error::new(
            ErrorKind::Unavailable,
            "too many writes wait for the disk, try again",
        ));
    }
    Ok(())
}

/// Waits until the committer has room for one more write of a device. It ends when the writes that wait end.
pub(crate) async fn wait_for_room(store: &dyn Store) {
    store.backlog().room().await;
}
