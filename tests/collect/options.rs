//! `?options=1`: a document for each options record.

use serde_json::{Value, json};

use crate::messages::{be16, be32, ipfix, netflow9, options_template, set, template};
use crate::names::{fields, numbered, options, text};
use crate::program;
use crate::support::{self, Run};

/// Collects into documents with options, into documents without, and into IPFIX.
fn collected(datagrams: &[Vec<u8>]) -> (Run, Vec<Value>) {
    let folder = support::scratch();
    let file = support::write(&folder, "datagrams.pcap", &program::capture(datagrams));
    let [plain, ipfix] = ["plain.json", "flows.ipfix"].map(|name| folder.path().join(name));
    let outputs = [
        "json:-?options=1".to_owned(),
        format!("json:{}", plain.display()),
        format!("ipfix-file:{}", ipfix.display()),
    ];
    let mut arguments = vec!["collect", "-r", file.to_str().unwrap()];
    outputs.iter().for_each(|output| arguments.extend(["-o", output]));
    let run = support::run(&arguments);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let plain = support::documents(&std::fs::read(plain).unwrap());
    (run, plain)
}

#[test]
fn each_options_record_is_a_document_where_it_is_wanted() {
    let flows = ipfix(1, &[set(2, &template(300, &fields())), set(300, &numbered())]);
    let (run, plain) = collected(&[options(7), flows]);
    let documents = run.documents();
    let is_options = |document: &&Value| document["netflow"]["type"] == "netflow_options";
    let told: Vec<_> = documents.iter().filter(is_options).collect();
    let values = |name: &str| -> Vec<&Value> {
        told.iter().map(|document| &document["netflow"][name]).collect()
    };
    assert_eq!(
        values("scope"),
        [
            &json!({"ingress_interface": 3}),
            &json!({"ingress_interface": 4}),
            &json!({"application_id": 0x0d00_01c5}),
            &json!({"ingress_vrfid": 5}),
            &json!({"ingress_vrfid": 6}),
            &json!({"observation_domain_id": 7}),
        ]
    );
    assert_eq!(
        values("options"),
        [
            &json!({"interface_name": "Gi0/1", "interface_description": "to Paris"}),
            &json!({"interface_description": "uplink \"A\""}),
            &json!({"application_name": "YouTube", "application_description": "videos"}),
            &json!({"vr_fname": "red"}),
            &json!({"vr_fname": "blue"}),
            &json!({"observation_domain_name": "edge-1"}),
        ]
    );
    let at = |path: &str| told[0].pointer(path).cloned().unwrap_or_default();
    for (path, expected) in [
        ("/@timestamp", "2024-05-06T07:08:09.000Z"),
        ("/event/created", "2024-05-06T07:09:00.000Z"),
        ("/event/action", "netflow_options"),
        ("/agent/name", "192.0.2.1"),
        ("/observer/ip", "192.0.2.1"),
        ("/netflow/exporter/address", "192.0.2.1:40000"),
        ("/flowprobe/protocol", "ipfix"),
    ] {
        assert_eq!(at(path), expected, "{path}");
    }
    assert_eq!((told.len(), run.count("collected.options")), (6, 6));
    // Flows are as they are without options.
    let flows: Vec<_> = documents.iter().filter(|it| !is_options(it)).collect();
    assert_eq!(flows, plain.iter().collect::<Vec<_>>());
    assert_eq!(flows.len(), 1);
    for (output, left) in [(0, 0), (1, 6), (2, 6)] {
        let count = run.count(&format!("outputs.{output}.events.not_exportable"));
        assert_eq!(count, left, "{output}: {}", run.stderr);
    }
}

#[test]
fn netflow9_has_scopes_of_its_own() {
    let record = be16(&[400, 8, 12, 1, 4, 2, 4, 34, 4, 41, 4, 999, 4]);
    let data = be32(&[9, 3, 100, 77, 5]);
    let (run, _) = collected(&[netflow9(0, &[set(1, &record), set(400, &data)])]);
    let [document] = &run.documents()[..] else { panic!("{}", run.stderr) };
    assert_eq!(document["netflow"]["scope"], json!({"system": 9, "interface": 3}));
    let options = json!({"sampling_interval": 100, "exported_message_total_count": 77});
    assert_eq!(document["netflow"]["options"], options);
    assert_eq!(document["netflow"]["exporter"]["uptime_millis"], 1_000_000);
}

#[test]
fn cut_records_and_long_names_do_no_harm() {
    let record = options_template(400, 1, &[(149, 4), (300, u16::MAX)]);
    let long = [be32(&[7]), vec![255, 1, 44], text("x", 300)].concat();
    for length in [5, 6, 7, 306] {
        let (run, _) = collected(&[ipfix(0, &[set(3, &record), set(400, &long[..length])])]);
        assert_eq!(run.documents().len(), 0, "{length}: {}", run.stderr);
    }
    let (run, _) = collected(&[ipfix(0, &[set(3, &record), set(400, &long)])]);
    assert_eq!(run.documents()[0]["netflow"]["options"]["observation_domain_name"], "x");
}

#[test]
fn options_need_exporters() {
    let run = support::run(["-r", "a.pcap", "-o", "json:-?options=1"]);
    let expected = "output json:-: options=1 needs the command collect";
    assert!(run.status == 2 && run.stderr.contains(expected), "{}", run.stderr);
}
