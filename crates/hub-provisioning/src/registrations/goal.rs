//! Where a registration leads: to the hub the device has, to one of a ranked list, or first to the webhook.

use hub_domain::HostName;
use hub_domain::provisioning::{
    AllocationPolicy, AllocationWebhook, Assignment, Registration, RegistrationRequest,
    ReprovisionPolicy, Substatus,
};

use super::Room;
use crate::Error;
use crate::allocation::{Choice, Situation};
use crate::attestation::Attested;
use crate::hubs::Bring;

/// Where a registration leads.
pub(super) enum Goal {
    /// The device stays where it is.
    Stay(Assignment),
    /// The first of these that can be reached.
    Ranked(Vec<HostName>),
    /// What the webhook says.
    Ask(AllocationWebhook),
}

impl Room {
    /// The name of a device in its hub: the one it has, where it stays there whatever its enrollment says by now, or where
    /// only its spelling changed.
    pub(super) fn keep_name(
        &self,
        attested: &mut Attested,
        request: &RegistrationRequest,
        existing: Option<&Registration>,
    ) {
        attested.keep_name(existing);
        if let Some(assignment) = self.kept_assignment(policy(attested, request), existing) {
            attested.device = assignment.device.clone();
        }
    }

    /// The assignment that a device keeps whatever the allocation says: the one it has, when the policy is to stay and its
    /// hub can still be reached.
    pub(super) fn kept_assignment<'a>(
        &self,
        policy: ReprovisionPolicy,
        existing: Option<&'a Registration>,
    ) -> Option<&'a Assignment> {
        let assignment = existing?.assignment.as_ref()?;
        let is_linked = self.hubs.reach_place(&assignment.place()).is_some();
        (!policy.update_hub_assignment && is_linked).then_some(assignment)
    }

    /// Decides by enrollment, request and what the device has. Asks nobody.
    ///
    /// # Errors
    /// No hub is to be had.
    pub(super) fn goal(
        &self,
        attested: &Attested,
        request: &RegistrationRequest,
        id: &hub_domain::provisioning::RegistrationId,
        existing: Option<&Registration>,
    ) -> Result<Goal, Error> {
        if let Some(assignment) = self.kept_assignment(policy(attested, request), existing) {
            return Ok(Goal::Stay(assignment.clone()));
        }
        let service = self.service.current();
        let hubs = self.service.candidates();
        let situation = Situation {
            id,
            terms: &attested.terms,
            settings: &service.settings,
            hubs: &hubs,
            address: request.address,
            payload: request.payload.as_ref(),
        };
        if situation.policy() == AllocationPolicy::Custom {
            let webhook = attested.terms.webhook.clone().ok_or_else(|| {
                crate::allocation::no_hub("the custom policy has no webhook to ask")
            })?;
            return Ok(Goal::Ask(webhook));
        }
        let Choice { ranked, .. } = situation.choose()?;
        Ok(Goal::Ranked(
            ranked.into_iter().map(|one| one.host).collect(),
        ))
    }
}

/// What happens to a device that registers again.
pub(super) fn policy(attested: &Attested, request: &RegistrationRequest) -> ReprovisionPolicy {
    attested.terms.reprovision.unwrap_or({
        if request.stays_without_policy {
            ReprovisionPolicy {
                update_hub_assignment: false,
                migrate_device_data: false,
            }
        } else {
            ReprovisionPolicy::default()
        }
    })
}

/// How the new assignment came to be.
pub(super) fn substatus(
    attested: &Attested,
    request: &RegistrationRequest,
    former: Option<&Assignment>,
    moves: Option<Bring>,
) -> Substatus {
    let policy = policy(attested, request);
    match (former, moves) {
        (None, None) => Substatus::InitialAssignment,
        (Some(former), None) => {
            if policy.update_hub_assignment {
                former.substatus
            } else {
                Substatus::ReprovisionedToInitialAssignment
            }
        }
        (_, Some(Bring::Former)) => Substatus::DeviceDataMigrated,
        (_, Some(Bring::Also | Bring::OnlyToNew)) => Substatus::DeviceDataReset,
    }
}
