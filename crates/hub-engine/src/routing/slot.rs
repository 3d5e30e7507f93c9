//! Where sessions find the present plan of their hub.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::Plan;

/// The present plan of a hub. One look at a flag tells whether telemetry has to be looked at.
pub(crate) struct Slot {
    whole: AtomicBool,
    plan: RwLock<Arc<Plan>>,
    counts: Counts,
}

/// What became of messages that the log did not get, since the start.
#[derive(Default)]
struct Counts {
    orphaned: AtomicU64,
    too_large: AtomicU64,
    lost: AtomicU64,
}

/// Messages and events that the log did not get, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoutingCounts {
    /// Messages that no route took.
    pub orphaned: u64,
    /// Messages that enrichments made too large.
    pub too_large: u64,
    /// Connection state events that came faster than they could be routed.
    pub lost: u64,
}

impl Slot {
    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            whole: AtomicBool::new(plan.takes_telemetry_whole()),
            plan: RwLock::new(Arc::new(plan)),
            counts: Counts::default(),
        }
    }

    /// True when all telemetry goes to the log as it is.
    pub(crate) fn takes_telemetry_whole(&self) -> bool {
        self.whole.load(Ordering::Acquire)
    }

    pub(crate) fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.plan.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set(&self, plan: Plan) {
        let whole = plan.takes_telemetry_whole();
        *self.plan.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(plan);
        self.whole.store(whole, Ordering::Release);
    }

    pub(crate) fn count_orphaned(&self) {
        self.counts.orphaned.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_too_large(&self) {
        self.counts.too_large.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a lost event; the first one is worth a warning.
    pub(crate) fn count_lost(&self) -> u64 {
        self.counts.lost.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn counts(&self) -> RoutingCounts {
        RoutingCounts {
            orphaned: self.counts.orphaned.load(Ordering::Relaxed),
            too_large: self.counts.too_large.load(Ordering::Relaxed),
            lost: self.counts.lost.load(Ordering::Relaxed),
        }
    }
}
