//! The provisioning service, for the administrator and for holders of its policies.

pub(super) mod allocation;
pub(super) mod authorities;
pub(super) mod credentials;
pub(super) mod enrollments;
pub(super) mod expiry;
pub(super) mod groups;
pub(super) mod linked_hubs;
pub(super) mod places;
pub(super) mod policies;
pub(super) mod registrations;
pub(super) mod rolling;
pub(super) mod service;
mod wire;

use hub_api::native::Page;
use hub_domain::provisioning::ServicePermission;
use hub_provisioning::{Caller, Context, Provisioning};

use super::{Failure, Scope};

/// A request to the service. Each of its operations checks what the caller may.
struct Administration<'a> {
    service: &'a Provisioning,
    ctx: Context,
}

impl<'a> Administration<'a> {
    /// # Errors
    /// When neither the administrator asks nor a policy of the service.
    fn of(scope: &'a Scope) -> Result<Self, Failure> {
        let caller = match &scope.back_end {
            Some(caller) => caller.clone(),
            None => {
                scope.ctx.caller.require_admin()?;
                Caller::Admin
            }
        };
        Ok(Self {
            service: scope.app.provisioning(),
            ctx: Context {
                caller,
                request_id: scope.ctx.request_id.clone(),
                now: scope.ctx.now,
            },
        })
    }
}

impl Administration<'_> {
    /// Whether the caller has a right of which something depends that it need not have.
    fn may(&self, permission: ServicePermission) -> bool {
        self.ctx.require(permission).is_ok()
    }
}

/// The page of items that are all at hand, in the order of their names.
fn page_of<T>(
    items: Vec<T>,
    name: impl Fn(&T) -> &str,
    (after, max): (Option<String>, usize),
) -> Page<T> {
    let after = after.map(|after| after.to_ascii_lowercase());
    let mut items = items;
    items.sort_by_key(|item| name(item).to_ascii_lowercase());
    items.retain(|item| {
        after
            .as_ref()
            .is_none_or(|after| name(item).to_ascii_lowercase() > *after)
    });
    let more = items.len() > max;
    items.truncate(max);
    let next = items
        .last()
        .filter(|_| more)
        .map(|item| name(item).to_owned());
    Page { items, next }
}

/// The page of items that were read up to `max` of.
fn full_page<T>(items: Vec<T>, name: impl Fn(&T) -> &str, max: usize) -> Page<T> {
    let next = items
        .last()
        .filter(|_| items.len() >= max)
        .map(|item| name(item).to_ascii_lowercase());
    Page { items, next }
}
