//! Scripts as capture files, through the program; its documents are the records.

use std::net::IpAddr;

use flow::{FlowDirection, FlowEndReason, FlowKey, IpVersion, KeyField, ObservationPoint};
use serde_json::Value;

use crate::check::Way;
use crate::record::Record;
use crate::script::{Packet, Script, Settings};
use crate::support::capture::{Captured, pcap, pcapng};
use crate::support::{self, Run};

/// A form of capture file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Classic pcap, of one interface that has number 0. It says no directions.
    Pcap,
    /// pcapng, of interfaces that are numbered from 1.
    Pcapng,
}

impl Form {
    /// The script as it comes out of such a file.
    pub fn of(self, mut script: Script) -> Script {
        if self == Self::Pcap {
            script.packets.iter_mut().for_each(|packet| packet.point = ObservationPoint::default());
        }
        script
    }

    fn file(self, packets: &[Packet]) -> Vec<u8> {
        let captured: Vec<Captured> = packets.iter().enumerate().map(captured).collect();
        match self {
            Self::Pcap => pcap(&captured),
            Self::Pcapng => {
                let at_its_point = |(packet, captured): (&Packet, Captured)| Captured {
                    interface: packet.point.interface - 1,
                    outbound: packet.point.direction == FlowDirection::Egress,
                    ..captured
                };
                let captured: Vec<_> = packets.iter().zip(captured).map(at_its_point).collect();
                pcapng(2, &captured)
            }
        }
    }
}

/// Times in the file are finer than milliseconds.
fn captured((index, packet): (usize, &Packet)) -> Captured {
    let (data, wire_length) = packet.frame();
    let micros = index as u64 * 337 % 1000;
    let nanos = u64::try_from(packet.time).unwrap() * 1_000_000 + micros * 1000;
    Captured { nanos, wire_length, data, interface: 0, outbound: false }
}

/// Runs a script through the program. Its limit is that of all tables together.
pub fn run(script: &Script, form: Form, way: Way) -> Run {
    let folder = support::scratch();
    let path = support::write(&folder, "script", &form.file(&script.packets));
    let Settings { idle_ms, active_ms, ref key, sampling, .. } = script.settings;
    let key: Vec<&str> = key.iter().map(|field| field.name()).collect();
    let words = [
        "-r".to_owned(),
        path.to_str().unwrap().to_owned(),
        "--output=json:-".to_owned(),
        format!("--idle-timeout={idle_ms}ms"),
        format!("--active-timeout={active_ms}ms"),
        format!("--flow-key={}", key.join(",")),
        format!("--sample=1:{sampling}"),
        format!("--max-flows={}", way.flows_max * u32::try_from(way.workers).unwrap()),
        format!("--workers={}", way.workers),
        format!("--burst={}", way.burst),
    ];
    let own = script.settings.idle_ms_of.iter();
    let own = own.map(|(protocol, ms)| format!("--protocol-timeout={protocol}={ms}ms"));
    let run = support::run(words.into_iter().chain(own));
    assert_eq!(run.status, 0, "{}", run.stderr);
    run.assert_conservation();
    run
}

/// The records of the documents.
pub fn records(settings: &Settings, run: &Run) -> Vec<Record> {
    run.documents().iter().map(|document| record(settings, &document["netflow"])).collect()
}

fn record(settings: &Settings, document: &Value) -> Record {
    let number = |name: &str| {
        let value = &document[name];
        value.as_u64().unwrap_or_else(|| panic!("{name} is {value} in {document}"))
    };
    let small = |name: &str| u8::try_from(number(name)).unwrap();
    let of_key = |field: KeyField, name: &str| {
        if settings.key.contains(&field) {
            return number(name);
        }
        assert!(document.get(name).is_none(), "{name} is not in the key but in {document}");
        0
    };
    let version = number("ip_version");
    let address = |field: KeyField, side: &str| {
        let name = format!("{side}_ipv{version}_address");
        let value = document.get(&name).map(|value| value.as_str().unwrap().parse().unwrap());
        assert_eq!(value.is_some(), settings.key.contains(&field), "{name} in {document}");
        value.map_or([0; 16], octets)
    };
    let (direction, interface) = match number("flow_direction") {
        0 => (FlowDirection::Ingress, "ingress_interface"),
        _ => (FlowDirection::Egress, "egress_interface"),
    };
    let key = FlowKey {
        ip_version: if version == 6 { IpVersion::V6 } else { IpVersion::V4 },
        source: address(KeyField::Source, "source"),
        destination: address(KeyField::Destination, "destination"),
        source_port: of_key(KeyField::SourcePort, "source_transport_port").try_into().unwrap(),
        destination_port: of_key(KeyField::DestinationPort, "destination_transport_port")
            .try_into()
            .unwrap(),
        protocol: of_key(KeyField::Protocol, "protocol_identifier").try_into().unwrap(),
        type_of_service: of_key(KeyField::TypeOfService, "ip_class_of_service").try_into().unwrap(),
        interface: of_key(KeyField::Interface, interface).try_into().unwrap(),
    };
    let reason = small("flow_end_reason");
    Record {
        key,
        vlan_id: document.get("vlan_id").map_or(0, |_| number("vlan_id")).try_into().unwrap(),
        direction,
        first: millis(document["flow_start_milliseconds"].as_str().unwrap()),
        last: millis(document["flow_end_milliseconds"].as_str().unwrap()),
        packets: number("packet_delta_count"),
        octets: number("octet_delta_count"),
        tcp_control_bits: small("tcp_control_bits"),
        minimum_ttl: small("minimum_ttl"),
        maximum_ttl: small("maximum_ttl"),
        reason: FlowEndReason::ALL.into_iter().find(|one| one.number() == reason).unwrap(),
    }
}

fn octets(address: IpAddr) -> [u8; 16] {
    let mut octets = [0; 16];
    match address {
        IpAddr::V4(v4) => octets[..4].copy_from_slice(&v4.octets()),
        IpAddr::V6(v6) => octets = v6.octets(),
    }
    octets
}

/// The milliseconds since the epoch of a time such as `2024-05-06T07:08:09.123Z`.
fn millis(text: &str) -> i64 {
    let part = |from: usize, to: usize| text[from..to].parse::<i64>().unwrap();
    assert!(text.len() == 24 && text.ends_with('Z'), "{text}");
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let year = part(0, 4);
    let february = if is_leap(year) { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let years: i64 = (1970..year).map(|year| if is_leap(year) { 366 } else { 365 }).sum();
    let month = usize::try_from(part(5, 7)).unwrap();
    let days = years + months[..month - 1].iter().sum::<i64>() + part(8, 10) - 1;
    let seconds = ((days * 24 + part(11, 13)) * 60 + part(14, 16)) * 60 + part(17, 19);
    seconds * 1000 + part(20, 23)
}

#[test]
fn times_of_documents_are_read() {
    assert_eq!(millis("1970-01-01T00:00:00.007Z"), 7);
    // date -u -d 2024-03-01T12:34:56 +%s
    assert_eq!(millis("2024-03-01T12:34:56.789Z"), 1_709_296_496_789);
}
