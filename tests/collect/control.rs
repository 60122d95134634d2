//! `flowprobe ctl` and a collector.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};

use serde_json::Value;

use crate::messages::{FIELDS, flow, ipfix, set, template};
use crate::sockets::{end, listen};
use crate::support::{self, ctl};

#[test]
fn a_collector_answers_at_its_socket() {
    let folder = support::scratch();
    let [socket, settings] = ["control", "flowprobe.toml"].map(|name| folder.path().join(name));
    let file = |text: &str| fs::write(&settings, text).expect("the folder is ours");
    file("");
    let [control, config] = [&socket, &settings].map(|path| path.to_str().expect("text"));
    let (mut probe, addresses) =
        listen(&["ipfix://127.0.0.1:0"], &["--control", control, "--config", config]);
    let exporter = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    let send = |message: &[u8]| exporter.send_to(message, addresses[0]).expect("it listens");
    send(&ipfix(0, &[set(2, &template(300, &FIELDS))]));
    send(&ipfix(0, &[set(300, &[flow(1), flow(2)].concat())]));
    probe.wait_until("the records are counted", |_| {
        let (status, said) = ctl(&socket, &["stats"]);
        assert_eq!(status, Some(0), "{said}");
        let totals: Value = serde_json::from_str(&said).expect("a line of JSON");
        totals["collected"]["records"] == 2
    });
    probe.wait_until("the records are sent", |_| {
        ctl(&socket, &["outputs"]).1.contains("sends, 2 records sent, 0 lost")
    });
    for command in [&["flows"][..], &["expire", "--all"]] {
        let (status, said) = ctl(&socket, command);
        assert!(status == Some(1) && said.contains("no table of flows"), "{command:?}: {said}");
    }
    file("allow = [\"192.0.2.0/24\"\n");
    let (status, said) = ctl(&socket, &["reload"]);
    assert!(status == Some(1) && said.contains("all stay as they were"), "{said}");
    file("# nothing\n");
    let (status, said) = ctl(&socket, &["reload"]);
    assert_eq!(status, Some(0), "{said}");
    let run = end(probe, 2, 0);
    assert_eq!(run.count("collected.records"), 2);
}
