//! The laws of message logs.

mod append;
mod fixtures;
mod life;
mod read;

pub use append::{
    appends_of_one_submitter_keep_their_order, enqueued_time_never_goes_back,
    every_field_of_a_record_is_kept, sequences_are_gapless_under_concurrency,
    the_head_tells_every_group,
};
pub use life::{
    a_deleted_log_begins_again, a_reopening_keeps_records_and_goes_on,
    another_partition_count_is_refused, logs_of_two_hubs_are_apart,
    numbers_go_on_when_everything_was_trimmed, old_buckets_are_trimmed_and_numbers_go_on,
    the_same_log_is_opened_each_time, too_many_bytes_are_trimmed_oldest_first,
};
pub use read::{
    a_partition_that_does_not_exist_is_an_error, a_reader_that_follows_sees_everything_once,
    an_empty_partition_says_so, pages_are_bounded_and_never_empty_before_the_end,
    partitions_are_apart, reading_begins_inside_a_batch, reading_begins_where_it_is_told,
};
