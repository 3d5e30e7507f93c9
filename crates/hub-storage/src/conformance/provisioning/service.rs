//! The provisioning service itself.

use hub_domain::Revision;
use hub_domain::provisioning::ProvisioningService;

use super::super::Backend;
use super::super::fixtures::{commit, refuse, reopen};
use super::super::generator::Generator;
use super::super::text::describe_service;
use super::super::values::Values;
use super::VALUES;
use crate::store::Op;
use crate::{Conflict, Store};

fn replace(next: &ProvisioningService, expected: Option<Revision>) -> Op {
    Op::ReplaceProvisioningService {
        next: Box::new(next.clone()),
        expected,
    }
}

async fn read(store: &dyn Store) -> Option<String> {
    let read = store.provisioning_service().await;
    let read = read.expect("the service can be read");
    read.as_ref().map(describe_service)
}

/// Nothing of the service is lost, nor the order of what it has.
pub async fn every_field_of_the_service_is_kept<B: Backend>(backend: B) {
    let mut store = backend.store();
    let mut backend = backend;
    let mut generator = Generator::new(13);
    let mut before = None;
    assert_eq!(read(&*store).await, None);
    for n in 0..VALUES {
        let next = Values(&mut generator).service();
        commit(&*store, replace(&next, before)).await;
        before = Some(next.revision);
        assert_eq!(read(&*store).await, Some(describe_service(&next)));
        if n % 40 == 0 {
            (backend, store) = reopen(backend, store).await;
            assert_eq!(read(&*store).await, Some(describe_service(&next)));
        }
    }
}

/// The service is created once, and changed only on its revision.
pub async fn the_service_is_replaced_only_on_its_revision<B: Backend>(backend: B) {
    let store = &*backend.store();
    let mut service = Values(&mut Generator::new(14)).service();
    service.revision = Revision(1);
    let on_none = replace(&service, Some(Revision(1)));
    refuse(store, on_none, Conflict::NotFound, "there is none").await;
    commit(store, replace(&service, None)).await;
    let again = replace(&service, None);
    refuse(store, again, Conflict::AlreadyExists, "it exists").await;
    service.revision = Revision(2);
    commit(store, replace(&service, Some(Revision(1)))).await;
    let stale = replace(&service, Some(Revision(1)));
    refuse(store, stale, Conflict::VersionMismatch, "it changed").await;
}
