use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn plan(line: &str) -> Result<Plan, clap::Error> {
    let line = std::iter::once("bench").chain(line.split_whitespace());
    Ok(Plan::of(&Line::try_parse_from(line)?.args))
}

#[test]
fn without_arguments_everything_is_measured_thrice() {
    let plan = plan("").unwrap();
    assert_eq!((plan.rounds, plan.duration), (3, Duration::from_secs(3)));
    assert_eq!((plan.workloads.len(), plan.connections_max()), (24, 64));
    assert_eq!(plan.session_counts, [2_000, 10_000]);
    assert!(plan.has(Part::Idle) && plan.has(Part::Publish) && plan.registered.is_none());
}

#[test]
fn quick_is_shorter_and_can_be_changed() {
    let plan = plan("--quick --rounds 2 --seconds 0.5 --only method --only twin").unwrap();
    assert_eq!(
        (plan.rounds, plan.duration),
        (2, Duration::from_millis(500))
    );
    assert_eq!((plan.workloads.len(), plan.session_counts.len()), (6, 1));
    assert!(plan.has(Part::Twin) && !plan.has(Part::Publish));
    assert_eq!(plan.publishes().count(), 0);
}

#[test]
fn a_part_picks_its_workloads() {
    let names = |line: &str| -> Vec<String> {
        let plan = plan(line).unwrap();
        plan.publishes().map(Workload::name).collect()
    };
    assert_eq!(
        names("--quick --only amqp"),
        [
            "AMQP · 64 × 32 · 100 B · TLS 1.3",
            "AMQP · 4 × 128 · 100 B · TLS 1.3"
        ]
    );
    assert_eq!(names("--only publish").len(), 16);
    assert!(names("--only handshake --only read-back").is_empty());
    let plan = plan("").unwrap();
    let read: Vec<_> = plan.read_backs().map(Workload::name).collect();
    assert_eq!(
        read,
        [
            "QoS 1 · 64 × 32 · 100 B · TLS 1.3",
            "QoS 1 · 64 × 32 · 1024 B · TLS 1.3",
            "AMQP · 64 × 32 · 100 B · TLS 1.3",
            "AMQP · 64 × 32 · 1024 B · TLS 1.3"
        ]
    );
}

#[test]
fn what_cannot_be_measured_is_refused() {
    for line in [
        "--rounds 0",
        "--seconds x",
        "--only everything",
        "--registered many",
    ] {
        assert!(plan(line).is_err(), "{line}");
    }
}
