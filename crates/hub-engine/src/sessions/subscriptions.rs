//! What a session wants to be told, as bits.

use hub_storage::store::Subscriptions;

/// Something a device can subscribe to. The numbers are part of the disk format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscription {
    /// Cloud-to-device messages.
    Messages = 0,
    /// Direct methods.
    Methods = 1,
    /// Answers to twin requests.
    TwinAnswers = 2,
    /// Changes of desired properties.
    Desired = 3,
    /// Routed inputs of a module.
    Inputs = 4,
    /// Everything addressed to a module: inputs and cloud-to-device messages.
    ModuleAll = 5,
    /// Answers to requests for certificates.
    Certificates = 6,
}

/// How often something is delivered at least and at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Once or not at all.
    AtMostOnce,
    /// Once or more often, until acknowledged.
    AtLeastOnce,
}

/// A set of subscriptions, each with its delivery: two bits each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionSet(u32);

impl SubscriptionSet {
    /// How `subscription` is delivered; `None` when it is not in the set.
    pub const fn delivery(self, subscription: Subscription) -> Option<Delivery> {
        let bits = (self.0 >> (2 * subscription as u32)) & 0b11;
        match bits {
            0 => None,
            1 => Some(Delivery::AtMostOnce),
            _ => Some(Delivery::AtLeastOnce),
        }
    }

    /// True when `subscription` is in the set.
    pub const fn has(self, subscription: Subscription) -> bool {
        self.delivery(subscription).is_some()
    }

    /// How cloud-to-device messages are delivered, whichever filter asked for them.
    pub const fn messages(self) -> Option<Delivery> {
        match self.delivery(Subscription::Messages) {
            None => self.delivery(Subscription::ModuleAll),
            some => some,
        }
    }

    /// The set with `subscription` at `delivery`.
    #[must_use]
    pub const fn with(self, subscription: Subscription, delivery: Delivery) -> Self {
        let bits = match delivery {
            Delivery::AtMostOnce => 0b01,
            Delivery::AtLeastOnce => 0b11,
        };
        Self(self.without(subscription).0 | (bits << (2 * subscription as u32)))
    }

    /// The set without `subscription`.
    #[must_use]
    pub const fn without(self, subscription: Subscription) -> Self {
        Self(self.0 & !(0b11 << (2 * subscription as u32)))
    }
}

impl From<Subscriptions> for SubscriptionSet {
    fn from(stored: Subscriptions) -> Self {
        Self(stored.0)
    }
}

impl From<SubscriptionSet> for Subscriptions {
    fn from(set: SubscriptionSet) -> Self {
        Self(set.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_each_subscription_with_its_delivery() {
        let set = SubscriptionSet::default()
            .with(Subscription::Messages, Delivery::AtLeastOnce)
            .with(Subscription::Methods, Delivery::AtMostOnce);
        assert_eq!(set.messages(), Some(Delivery::AtLeastOnce));
        assert_eq!(
            set.delivery(Subscription::Methods),
            Some(Delivery::AtMostOnce)
        );
        assert!(!set.has(Subscription::Desired));
        let lowered = set.with(Subscription::Messages, Delivery::AtMostOnce);
        assert_eq!(lowered.messages(), Some(Delivery::AtMostOnce));
        assert_eq!(lowered.without(Subscription::Messages).messages(), None);
        assert_eq!(SubscriptionSet::from(Subscriptions::from(set)), set);
    }
}
