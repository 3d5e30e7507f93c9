//! Where would this device go, and why.

use std::net::IpAddr;

use hub_domain::HostName;
use hub_domain::provisioning::{
    AllocationPolicy, Assignment, EnrollmentGroupId, Origin, RegistrationId, Terms,
};
use serde_json::Value;

use super::Room;
use crate::Error;
use crate::allocation::{Choice, Situation};
use crate::hubs::Reach;

/// What is asked.
#[derive(Clone, Debug)]
pub struct PreviewRequest {
    /// Which device.
    pub id: RegistrationId,
    /// The group it would register by, when it has no enrollment of its own.
    pub group: Option<EnrollmentGroupId>,
    /// The payload it would send.
    pub payload: Option<Value>,
    /// Where it would call from.
    pub address: Option<IpAddr>,
}

/// The answer.
#[derive(Clone, Debug)]
pub struct Preview {
    /// The enrollment that decides.
    pub origin: Origin,
    /// False when that is disabled.
    pub enabled: bool,
    /// The policy that decides.
    pub policy: AllocationPolicy,
    /// True when the policy is the service's own, false when it is the enrollment's.
    pub policy_of_service: bool,
    /// The hub that the device has.
    pub assignment: Option<Assignment>,
    /// True when the device stays there whatever the policy says.
    pub stays: bool,
    /// The hubs, best first. None for a device that stays, and with the custom policy, which asks its webhook.
    pub choice: Option<Choice>,
    /// The hub of another installation that has the device, where its twin comes along from: while that does not answer the
    /// device waits for it, and goes to no other.
    pub waits_for: Option<HostName>,
    /// Why there is none.
    pub failure: Option<String>,
}

/// Whether devices can be assigned to a linked hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkCheck {
    /// The hub.
    pub host: HostName,
    /// Why not; none when they can.
    pub failure: Option<String>,
}

impl Room {
    pub(super) async fn check_link(&self, host: HostName) -> Result<LinkCheck, Error> {
        let reach = self.hubs.reach(&host);
        let reach = reach.ok_or_else(|| Error::not_found("linked hub", &host))?;
        let tried = self.hubs.probe(&reach).await;
        let failure = tried
            .err()
            .map(|error| error.into_error().message().to_owned());
        Ok(LinkCheck { host, failure })
    }

    pub(super) async fn preview(&self, request: PreviewRequest) -> Result<Preview, Error> {
        let (origin, terms) = self.enrolled(&request).await?;
        let existing = self.parts.store.registration(&request.id).await?;
        let existing = existing.map(|existing| self.named(existing));
        let kept = self.kept_assignment(terms.reprovision.unwrap_or_default(), existing.as_ref());
        let stays = kept.is_some();
        let service = self.service.current();
        let hubs = self.service.candidates();
        let situation = Situation {
            id: &request.id,
            terms: &terms,
            settings: &service.settings,
            hubs: &hubs,
            address: request.address,
            payload: request.payload.as_ref(),
        };
        let policy = situation.policy();
        let (choice, failure) = if stays {
            (None, None)
        } else if policy == AllocationPolicy::Custom {
            (
                None,
                Some("the webhook decides, it was not asked".to_owned()),
            )
        } else {
            match situation.choose() {
                Ok(choice) => (Some(choice), None),
                Err(error) => (None, Some(error.message().to_owned())),
            }
        };
        let assignment = existing.and_then(|existing| existing.assignment);
        let waits_for = assignment
            .as_ref()
            .filter(|former| !stays && !former.taken_over && self.brings_twin(&terms, former))
            .map(|former| former.hub.clone());
        Ok(Preview {
            origin,
            enabled: terms.status == hub_domain::Status::Enabled,
            policy,
            policy_of_service: terms.allocation.is_none(),
            assignment,
            stays,
            choice,
            waits_for,
            failure,
        })
    }

    /// Whether a device that moves needs the answer of its former hub.
    fn brings_twin(&self, terms: &Terms, former: &Assignment) -> bool {
        let reach = self.hubs.reach_place(&former.place());
        terms.reprovision.unwrap_or_default().migrate_device_data
            && matches!(reach, Some(Reach::Remote(_)))
    }

    async fn enrolled(&self, request: &PreviewRequest) -> Result<(Origin, Terms), Error> {
        if let Some(own) = self.parts.store.enrollment(&request.id).await? {
            return Ok((Origin::Individual, own.terms));
        }
        match &request.group {
            Some(group) => {
                let group = self.groups.find(group)?;
                Ok((Origin::Group(group.id.clone()), group.terms.clone()))
            }
            None => Err(Error::not_found("enrollment", &request.id)),
        }
    }
}
