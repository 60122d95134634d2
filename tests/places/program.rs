//! The settings `--geo` and `--networks` of the program.

use std::fs;

use serde_json::{Value, json};

use crate::reload::one_system;
use crate::support::capture::{Captured, pcap_as};
use crate::support::packet::{ipv4, ipv6, udp};
use crate::support::{self, Run, mmdb};

/// Raw IP.
const LINK_TYPE: u32 = 101;

const NETWORKS: &str = "\
cidr,name,asn,country,lat,lon,role,site
10.0.0.0/8,Campus,64512,DE,50.7,-7.125,office,bonn
2001:db8::/32,Campus 6,4200000000,,,,,
";

fn capture() -> Vec<u8> {
    let datagram = udp(4000, 53, 10);
    let packets = [
        ipv4([10, 1, 2, 3], [8, 8, 8, 8], 17, &datagram),
        ipv4([8, 8, 8, 8], [10, 1, 2, 3], 17, &datagram),
        ipv4([192, 0, 2, 1], [224, 0, 0, 5], 17, &datagram),
        ipv6("2001:db8::1", "2a00:1450::1", 17, &datagram),
    ];
    let packets = packets.map(|packet| Captured::at(1_767_225_600_000, packet));
    pcap_as(support::capture::Order::Little, false, LINK_TYPE, &packets)
}

fn city() -> Vec<u8> {
    let record = |code: &str, name: &str| {
        json!({
            "city": {"names": {"en": "M\u{fc}nster \"1\""}},
            "continent": {"code": "EU", "names": {"en": "Europe"}},
            "country": {"iso_code": code, "names": {"en": name}},
            "location": {"latitude": 51.9625, "longitude": 7.6256},
            "subdivisions": [{"iso_code": "NW", "names": {"en": "North Rhine-Westphalia"}}],
        })
    };
    let networks = [
        ("8.0.0.0/8".to_owned(), record("DE", "Germany")),
        ("2a00::/12".to_owned(), record("DE", "Germany")),
        // Nobody asks for it: it is for documentation.
        ("192.0.2.0/24".to_owned(), record("FR", "France")),
    ];
    mmdb::database("GeoLite2-City", 28, &networks)
}

struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let files = Self { folder: support::scratch() };
        files.write("packets.pcap", &capture());
        files.write("city.mmdb", &city());
        files.write("as.mmdb", &one_system(15_169));
        files.write("networks.csv", NETWORKS.as_bytes());
        files
    }

    fn write(&self, name: &str, octets: &[u8]) {
        support::write(&self.folder, name, octets);
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Replays the capture; `@` in an argument is the folder.
    fn run(&self, arguments: &[&str]) -> Run {
        let folder = format!("{}/", self.folder.path().display());
        let capture = self.path("packets.pcap");
        let given = arguments.iter().map(|argument| argument.replace('@', &folder));
        support::run(["-r".to_owned(), capture].into_iter().chain(given))
    }
}

const ALL: [&str; 6] = ["--geo", "@city.mmdb", "--geo", "@as.mmdb", "--networks", "@networks.csv"];

fn document<'a>(documents: &'a [Value], source: &str) -> &'a Value {
    documents.iter().find(|it| it["source"]["ip"] == source).expect("there is such a flow")
}

#[test]
fn documents_have_the_places_of_both_sides() {
    let files = Files::new();
    let run = files.run(&[&ALL[..], &["-o", "json:-"]].concat());
    assert_eq!(run.status, 0, "{}", run.stderr);
    let documents = run.documents();
    let campus = json!({
        "country_iso_code": "DE", "name": "bonn", "location": {"lat": 50.7, "lon": -7.125},
    });
    let muenster = json!({
        "city_name": "M\u{fc}nster \"1\"",
        "continent_code": "EU",
        "continent_name": "Europe",
        "country_iso_code": "DE",
        "country_name": "Germany",
        "location": {"lat": 51.9625, "lon": 7.6256},
        "region_iso_code": "DE-NW",
        "region_name": "North Rhine-Westphalia",
    });
    let [google, ours] = [15_169, 64_512].map(|number| json!({"number": number}));
    for (source, one, other) in
        [("10.1.2.3", "source", "destination"), ("8.8.8.8", "destination", "source")]
    {
        let document = document(&documents, source);
        assert_eq!((&document[one]["geo"], &document[one]["as"]), (&campus, &ours));
        assert_eq!((&document[other]["geo"], &document[other]["as"]), (&muenster, &google));
        let network = json!({one: {"network": {"name": "Campus", "role": "office"}}});
        assert_eq!(document["flowprobe"], network);
        let netflow = &document["netflow"];
        assert_eq!(netflow[format!("bgp_{one}_as_number")], 64_512);
        assert_eq!(netflow[format!("bgp_{other}_as_number")], 15_169);
        assert_eq!(netflow[format!("{one}_ipv4_prefix_length")], 8);
        assert_eq!(netflow[format!("{other}_ipv4_prefix_length")], Value::Null);
    }
    let six = document(&documents, "2001:db8::1");
    assert_eq!(six["source"]["as"], json!({"number": 4_200_000_000_u32}));
    assert_eq!(six["netflow"]["source_ipv6_prefix_length"], 32);
    assert_eq!(six["destination"]["geo"], muenster);
    // Documentation and multicast are nowhere.
    let special = document(&documents, "192.0.2.1");
    for side in ["source", "destination"] {
        assert_eq!((&special[side]["geo"], &special[side]["as"]), (&Value::Null, &Value::Null));
    }
    assert_eq!(special["flowprobe"], Value::Null);
    let mapped = exporter::index_template();
    let mapped = &mapped["template"]["mappings"]["properties"];
    for document in &documents {
        assert_mapped("", document, mapped);
    }
}

#[test]
fn an_output_may_leave_places_out() {
    let files = Files::new();
    let run = files.run(&[&ALL[..], &["-o", "json:-?geo=off", "-o", "json:@on.json"]].concat());
    assert_eq!(run.status, 0, "{}", run.stderr);
    let with = fs::read_to_string(files.path("on.json")).unwrap();
    assert!(with.contains(r#""geo":{"#));
    let without = |line| {
        let mut document: Value = serde_json::from_str(line).unwrap();
        for side in ["source", "destination"] {
            let side = document[side].as_object_mut().unwrap();
            side.remove("geo");
            side.remove("as");
        }
        document
    };
    assert_eq!(run.documents(), with.lines().map(without).collect::<Vec<_>>());
}

/// Each field has a type in the index template; a point is one field.
fn assert_mapped(name: &str, value: &Value, mapped: &Value) {
    if let (Value::Object(members), None) = (value, mapped.get("type").and_then(Value::as_str)) {
        let properties = if name.is_empty() { mapped } else { &mapped["properties"] };
        for (key, value) in members {
            assert_mapped(&format!("{name}.{key}"), value, &properties[key]);
        }
        return;
    }
    let kind = mapped["type"].as_str().unwrap_or_else(|| panic!("{name} is not mapped"));
    assert_eq!(kind == "geo_point", value.is_object(), "{name}");
}

#[test]
fn statistics_name_each_file_and_count_lookups() {
    let files = Files::new();
    let run = files.run(&[&ALL[..], &["-o", "json:-"]].concat());
    let places = &run.stats["places"];
    assert_eq!((&places["lookups"], &places["found"]), (&json!(8), &json!(6)), "{places}");
    assert_eq!((&places["cached"], &places["errors"]), (&json!(2), &json!(0)), "{places}");
    assert_eq!((&places["reloads"], &places["reload_failures"]), (&json!(0), &json!(0)));
    let [city, system, networks] = &places["files"].as_array().unwrap()[..] else {
        panic!("three files: {places}")
    };
    assert_eq!(city["file"], files.path("city.mmdb"));
    assert_eq!(city["database_type"], "GeoLite2-City");
    assert_eq!(city["build_epoch"], mmdb::BUILD_EPOCH);
    assert_eq!(system["database_type"], "GeoLite2-ASN");
    assert_eq!(networks["networks"], 2);
    for file in [city, system, networks] {
        let output =
            std::process::Command::new("sha256sum").arg(file["file"].as_str().unwrap()).output();
        let output = String::from_utf8(output.expect("sha256sum runs").stdout).unwrap();
        assert_eq!(output.split(' ').next(), file["sha256"].as_str());
    }
    assert_eq!(files.run(&["-o", "json:-"]).stats["places"], Value::Null);
}

#[test]
fn what_leaves_does_not_depend_on_the_number_of_workers() {
    let files = Files::new();
    let documents = |workers| {
        let run = files.run(&[&ALL[..], &["-o", "json:-", "--workers", workers]].concat());
        let mut documents = run.documents();
        documents.iter_mut().for_each(|document| document["event"]["sequence"] = Value::Null);
        documents.sort_by_key(ToString::to_string);
        documents
    };
    assert_eq!(documents("1"), documents("2"));
    assert_eq!(documents("1"), documents("4"));
}

#[test]
fn an_address_that_is_no_field_of_the_key_has_no_place() {
    let files = Files::new();
    files.write("networks.csv", b"0.0.0.0/0,all\n::/0,all\n");
    let run = files.run(&["--networks", "@networks.csv", "--flow-key", "dst", "-o", "json:-"]);
    for document in run.documents() {
        assert_eq!(document["flowprobe"], json!({"destination": {"network": {"name": "all"}}}));
    }
}

#[test]
fn files_of_no_use_are_refused_before_anything_is_written() {
    let files = Files::new();
    let city = city();
    files.write("cut.mmdb", &city[..city.len() - 60]);
    files.write("garbage.mmdb", &[0xa5; 5000]);
    files.write("empty", b"");
    let proxies = [("8.0.0.0/8".to_owned(), json!({"is_anonymous": true}))];
    files.write("proxies.mmdb", &mmdb::database("GeoIP2-Anonymous-IP", 24, &proxies));
    files.write("wrong.csv", b"cidr,asn\n10.0.0.0/8,AS1\n10.0.0.0/40,AS2\n11.0.0.0/8,x\n");
    files.write("flows.json", b"of an earlier run\n");
    for (arguments, expected) in [
        (["--geo", "@cut.mmdb"], "cut.mmdb: no intact MaxMind database"),
        (["--geo", "@garbage.mmdb"], "garbage.mmdb: no intact MaxMind database"),
        (["--geo", "@empty"], "empty: no intact MaxMind database"),
        (["--geo", "@networks.csv"], "networks.csv: no intact MaxMind database"),
        (["--geo", "@proxies.mmdb"], "\"GeoIP2-Anonymous-IP\" has neither countries"),
        (["--geo", "@none.mmdb"], "none.mmdb: "),
        (["--geo", "@"], ": "),
        (["--networks", "@empty"], "empty: there is no network in it"),
        (["--networks", "@city.mmdb"], "city.mmdb: line 1: "),
        (["--networks", "@wrong.csv"], "wrong.csv: line 3: \"10.0.0.0/40\": "),
        (["--networks", "@wrong.csv"], "wrong.csv: line 4: asn \"x\": "),
    ] {
        let run = files.run(&[&arguments[..], &["-o", "json:@flows.json"]].concat());
        assert_eq!(run.status, 1, "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(expected), "{arguments:?}: {}", run.stderr);
        assert_eq!(fs::read(files.path("flows.json")).unwrap(), b"of an earlier run\n");
    }
    let run = files.run(&["--geo", "@city.mmdb", "-o", "json:@city.mmdb"]);
    assert_eq!(run.status, 2, "{}", run.stderr);
    assert_eq!(fs::read(files.path("city.mmdb")).unwrap(), city, "a file that is read stays");
}
