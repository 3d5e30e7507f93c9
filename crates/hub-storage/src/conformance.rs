//! The laws of the ports, which every backend keeps.
//!
//! A backend says in [`Backend`] how it is opened and opened again, and gets one test for each law:
//!
//! ```text
//! hub_storage::conformance_tests!(async || Embedded::new());
//! ```
//!
//! Each test has a backend of its own. What the contract leaves open (which numbers identities get,
//! how large a group is, when a log bucket ends) no law looks at.

mod fixtures;
pub(crate) mod generator;
pub(crate) mod text;
pub(crate) mod values;

pub mod blobs;
pub mod facts;
pub mod hubs;
pub mod identities;
pub mod logs;
pub mod messages;
pub mod order;
pub mod preconditions;
pub mod provisioning;
pub mod random;
pub mod random_log;
pub mod reads;
pub mod service_bound;
pub mod twins;
pub mod units;
pub mod uploads;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::{MessageLogs, Store};

/// Longer than any law takes on a slow disk; whoever waits so long waits forever.
const LAW_TIME_MAX: Duration = Duration::from_secs(300);

/// A backend with storage of its own, empty at first.
pub trait Backend: Sized + Send + 'static {
    /// The store.
    fn store(&self) -> Arc<dyn Store>;

    /// The message logs.
    fn logs(&self) -> Arc<dyn MessageLogs>;

    /// Ends the backend and begins again with what it keeps, as a new process would. The caller has dropped
    /// everything it got from it, and everything it submitted was acknowledged.
    fn reopen(self) -> impl Future<Output = Self> + Send;
}

/// Runs one law on a backend of its own.
///
/// # Panics
/// When the law is broken.
pub fn run<B: Backend>(make: impl AsyncFnOnce() -> B, law: impl AsyncFnOnce(B)) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_time()
        .build()
        .expect("a runtime of four threads starts");
    let ended = runtime.block_on(async {
        let backend = make().await;
        tokio::time::timeout(LAW_TIME_MAX, Box::pin(law(backend))).await
    });
    assert!(
        ended.is_ok(),
        "the backend did not answer within {LAW_TIME_MAX:?}"
    );
}

/// One test for each law, over the backends that `$make`, an async closure or function, gives.
#[macro_export]
macro_rules! conformance_tests {
    ($make:expr) => {
        $crate::law_tests! { ($make)
            units {
                a_unit_keeps_all_its_writes_and_facts
                a_unit_of_facts_alone_is_kept
                a_write_sees_the_earlier_writes_of_its_unit
                a_unit_whose_last_write_fails_leaves_nothing
                a_failing_unit_among_good_ones_leaves_nothing_and_the_others_are_kept
                the_same_op_id_gives_the_first_result_and_changes_nothing
                the_same_op_id_behind_its_first_unit_gives_the_same_result
                an_op_id_whose_unit_failed_may_be_tried_again
                op_ids_are_remembered_over_a_reopening
                the_backlog_is_empty_when_everything_is_acknowledged
            }
            preconditions {
                a_hub_is_created_unless_its_number_or_name_is_taken
                a_hub_is_replaced_only_on_its_revision
                an_identity_is_created_unless_it_exists
                an_identity_needs_its_hub
                a_module_needs_its_device
                a_device_has_at_most_fifty_modules
                the_registry_part_is_replaced_only_on_its_etag
                an_identity_is_deleted_only_on_its_etag_or_any
                the_back_end_part_is_replaced_only_on_its_counter
                the_reported_part_is_replaced_only_on_its_version
                a_model_id_is_set_only_on_an_identity_that_exists
                a_message_is_queued_up_to_the_depth_limit
                a_message_is_queued_up_to_the_byte_limit
                a_message_is_settled_once
                a_message_is_abandoned_only_while_it_is_queued
                a_queue_is_purged_only_while_its_identity_exists
                subscriptions_are_replaced_only_while_the_identity_exists
                activity_is_flushed_for_those_who_exist
            }
            order {
                units_take_effect_in_the_order_of_submission
                facts_are_gapless_in_commit_order_under_concurrency
                chained_decisions_all_hold
                a_failed_decision_fails_those_built_on_it
                concurrent_writers_of_one_twin_lose_no_update
                a_reader_sees_what_was_acknowledged_before
                the_fact_head_tells_every_commit
            }
            hubs {
                every_field_of_a_hub_is_kept
                hubs_are_listed_by_number
                hubs_do_not_see_each_other
                a_replaced_hub_keeps_its_devices
            }
            identities {
                every_field_of_an_identity_is_kept
                ids_differ_by_case
                a_deleted_device_takes_everything_with_it
                a_deleted_module_leaves_its_device
                an_identity_created_again_is_new
                an_ordinal_is_never_used_again
                a_write_to_a_deleted_identity_conflicts
                statistics_follow_every_change
                a_reopening_keeps_everything
            }
            twins {
                a_part_written_as_it_is_guards_the_other_part
                every_kind_of_twin_content_is_kept
                a_part_of_a_twin_leaves_the_other_parts
            }
            messages {
                every_field_of_a_message_is_kept
                messages_are_read_in_order_and_in_pages
                an_abandoned_message_keeps_its_place
                a_settled_message_makes_room
                a_purged_queue_is_empty
                message_numbers_grow_even_over_a_reopening
                a_message_is_reached_only_through_its_identity
                expired_messages_are_found_in_every_hub
            }
            service_bound {
                each_outcome_is_told_to_who_asked_for_it
                feedback_is_given_once_and_kept_over_a_reopening
                a_message_that_is_abandoned_too_often_is_dead
                a_purge_tells_every_sender_who_asked
                a_failing_unit_gives_no_feedback
                feedback_goes_with_its_identity_and_notifications_stay
                every_field_of_a_service_bound_record_is_kept
                service_bound_records_are_removed_once
                an_abandoned_record_keeps_its_place_until_it_is_dropped
                a_full_queue_loses_its_oldest_records
                queues_of_hubs_and_kinds_are_apart
                record_numbers_are_never_given_again
                the_service_bound_head_tells_every_append
            }
            provisioning {
                every_field_of_an_enrollment_is_kept
                every_field_of_a_registration_is_kept
                every_field_of_the_service_is_kept
                the_service_is_replaced_only_on_its_revision
                an_enrollment_is_written_only_on_its_etag
                an_enrollment_group_is_written_only_on_its_etag
                a_registration_is_written_only_on_its_etag
                ids_of_provisioning_compare_without_case
                a_deleted_enrollment_takes_its_own_registration
                a_deleted_group_leaves_its_registrations
                a_device_and_its_registration_are_kept_together_or_not_at_all
                a_check_sees_the_earlier_writes_of_its_unit
                enrollments_are_read_by_key_and_in_pages
                registrations_are_read_by_filter_key_and_in_pages
                registrations_are_found_by_their_device
                registrations_are_counted_by_their_progress
                refusals_of_one_id_are_one
                the_least_recent_refusals_go
            }
            uploads {
                an_upload_is_kept_until_it_is_finished_once
                open_uploads_are_bounded_by_identity
                expired_uploads_are_found
                a_deleted_device_takes_its_uploads
            }
            facts {
                every_kind_of_fact_is_kept
                changes_are_read_in_pages
                trimmed_facts_are_gone_and_numbers_go_on
                a_checkpoint_is_kept_with_its_unit
                numbers_go_on_when_all_facts_are_gone_and_the_store_is_reopened
            }
            reads {
                what_does_not_exist_is_not_found
                devices_are_read_in_byte_order_and_in_pages
                modules_are_read_in_byte_order
                many_devices_are_read_whole
            }
            logs {
                sequences_are_gapless_under_concurrency
                appends_of_one_submitter_keep_their_order
                enqueued_time_never_goes_back
                every_field_of_a_record_is_kept
                reading_begins_where_it_is_told
                reading_begins_inside_a_batch
                pages_are_bounded_and_never_empty_before_the_end
                partitions_are_apart
                a_reader_that_follows_sees_everything_once
                the_head_tells_every_group
                an_empty_partition_says_so
                a_partition_that_does_not_exist_is_an_error
                the_same_log_is_opened_each_time
                another_partition_count_is_refused
                logs_of_two_hubs_are_apart
                a_deleted_log_begins_again
                a_reopening_keeps_records_and_goes_on
                old_buckets_are_trimmed_and_numbers_go_on
                too_many_bytes_are_trimmed_oldest_first
                numbers_go_on_when_everything_was_trimmed
            }
            random {
                a_store_does_what_the_model_does
                another_store_does_what_the_model_does
            }
            random_log {
                a_log_does_what_the_model_does
            }
        }
    };
}

/// Makes the tests of [`conformance_tests`].
#[doc(hidden)]
#[macro_export]
macro_rules! law_tests {
    (($make:expr) $($module:ident { $($law:ident)* })*) => {
        $(mod $module {
            use super::*;
            $(#[test]
            fn $law() {
                $crate::conformance::run($make, $crate::conformance::$module::$law);
            })*
        })*
    };
}
