use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn parse(line: &str) -> Result<Args, String> {
    Line::try_parse_from(std::iter::once("sim").chain(line.split_whitespace()))
        .map(|line| line.args)
        .map_err(|error| error.to_string())
}

#[test]
fn defaults_are_ten_devices_with_one_acknowledged_message_a_second() {
    let args = parse("--data-dir D").unwrap();
    assert_eq!(
        (args.devices, args.rate, args.qos),
        (10, 1.0, QoS::AtLeastOnce)
    );
    assert_eq!(
        (args.size, args.twin_interval),
        (128, Duration::from_secs(60))
    );
    assert_eq!((args.duration, args.cleanup), (None, false));
    assert_eq!(args.prefix, "sim-");
}

#[test]
fn everything_can_be_set() {
    let line = "--data-dir D -n 500 -r 0.2 --duration 1.5 --prefix x --qos 0 --size 1024 --twin-interval 0 --drop-rate 0.5 --cleanup -o json";
    let args = parse(line).unwrap();
    assert_eq!(args.duration, Some(Duration::from_millis(1_500)));
    assert_eq!((args.devices, args.rate, args.drop_rate), (500, 0.2, 0.5));
    assert_eq!(
        (args.qos, args.output, args.cleanup),
        (QoS::AtMostOnce, Output::Json, true)
    );
}

#[test]
fn what_cannot_be_is_refused() {
    for line in [
        "",
        "--data-dir D --devices 0",
        "--data-dir D --rate -1",
        "--data-dir D --rate many",
        "--data-dir D --qos 2",
        "--data-dir D --size 99",
        "--data-dir D --size 300000",
        "--data-dir D --drop-rate 2",
        "--data-dir D --duration -1",
        "--data-dir D --connection-string HostName=h",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}
