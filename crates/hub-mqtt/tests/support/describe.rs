//! One line of text per packet, for tables.

use hub_mqtt::{ConnAck, Connect, Delivery, Packet, Publish, Role, decode};

pub(crate) const LENGTH_MAX: usize = 1 << 20;

/// Describes every packet of `input`, which must end with one.
pub(crate) fn describe_all(mut input: &[u8], role: Role) -> Vec<String> {
    let mut lines = Vec::new();
    while !input.is_empty() {
        let (packet, size) = decode(input, LENGTH_MAX, role)
            .unwrap()
            .expect("a whole packet");
        lines.push(describe(&packet));
        input = &input[size..];
    }
    lines
}

pub(crate) fn describe(packet: &Packet<'_>) -> String {
    let name = packet.kind().name();
    match packet {
        Packet::Connect(connect) => format!("{name} {}", describe_connect(connect)),
        Packet::ConnAck(ConnAck::Accepted { session_present }) => {
            format!("{name} accepted session={session_present}")
        }
        Packet::ConnAck(ConnAck::Refused(refusal)) => format!("{name} refused {refusal:?}"),
        Packet::Publish(publish) => format!("{name} {}", describe_publish(publish)),
        Packet::PubAck(id)
        | Packet::PubRec(id)
        | Packet::PubRel(id)
        | Packet::PubComp(id)
        | Packet::UnsubAck(id) => format!("{name} {id}"),
        Packet::Subscribe(subscribe) => {
            let requests: Vec<_> = subscribe
                .requests()
                .map(|request| format!("{} qos{}", request.filter, request.qos as u8))
                .collect();
            format!("{name} {} {}", subscribe.id, requests.join(", "))
        }
        Packet::SubAck(suback) => {
            let codes: Vec<_> = suback
                .returns()
                .map(|answer| answer.code().to_string())
                .collect();
            format!("{name} {} {}", suback.id, codes.join(", "))
        }
        Packet::Unsubscribe(unsubscribe) => {
            format!(
                "{name} {} {}",
                unsubscribe.id,
                unsubscribe.filters().collect::<Vec<_>>().join(", ")
            )
        }
        Packet::PingReq | Packet::PingResp | Packet::Disconnect => name.to_owned(),
    }
}

fn describe_connect(connect: &Connect<'_>) -> String {
    let mut line = format!(
        "{:?} clean={} keep-alive={}",
        connect.client_id,
        connect.clean_session,
        connect.keep_alive.as_seconds()
    );
    if let Some(will) = connect.will {
        let (qos, payload) = (will.qos as u8, will.payload.escape_ascii());
        line += &format!(
            " will={}:{payload} qos{qos} retain={}",
            will.topic, will.retain
        );
    }
    if let Some(user_name) = connect.user_name {
        line += &format!(" user={user_name}");
    }
    if let Some(password) = connect.password {
        line += &format!(" password={}", password.escape_ascii());
    }
    line
}

fn describe_publish(publish: &Publish<'_>) -> String {
    let delivery = match publish.delivery {
        Delivery::AtMostOnce => "qos0".to_owned(),
        Delivery::AtLeastOnce { id, duplicate } => format!("qos1 id={id} duplicate={duplicate}"),
        Delivery::ExactlyOnce { id, duplicate } => format!("qos2 id={id} duplicate={duplicate}"),
    };
    format!(
        "{} {delivery} retain={} {}",
        publish.topic,
        publish.retain,
        publish.payload.escape_ascii()
    )
}
