//! Every network of a database, against mmdblookup.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use analysis::places::{Atlas, Atlases, Database, PlaceStage};
use flow::{Batch, FlowKey, IpVersion, KeyFields, Location, Place, Stage};
use serde_json::{Value, json};

use crate::support::random::Random;
use crate::support::{self, mmdb};

/// Networks all over the Internet, some within others, as MaxMind's City and ASN have them.
fn networks() -> Vec<(String, Value)> {
    let mut random = Random::new(17);
    let mut networks = Vec::new();
    for n in 0..260_u32 {
        let length = 8 + n % 25;
        let bits = (random.next() as u32) & (u32::MAX << (32 - length));
        networks.push((format!("{}/{length}", Ipv4Addr::from_bits(bits)), record(n)));
    }
    for n in 260..400_u32 {
        let length = 16 + n % 49;
        let bits = u128::from(random.next()) << 64 >> 3 | 1 << 125;
        let bits = bits & (u128::MAX << (128 - length));
        networks.push((format!("{}/{length}", Ipv6Addr::from_bits(bits)), record(n)));
    }
    networks
}

fn record(n: u32) -> Value {
    let mut record = json!({
        "continent": {"code": "EU", "geoname_id": 6_255_148, "names": {"de": "Europa", "en": "Europe"}},
        "country": {"iso_code": "DE", "is_in_european_union": true, "names": {"en": "Germany"}},
        "registered_country": {"iso_code": "US", "names": {"en": "United States"}},
        "autonomous_system_number": 1 + n * 10_000_019,
        "autonomous_system_organization": format!("Organization {}", n % 7),
    });
    if n.is_multiple_of(2) {
        record["city"] = json!({"names": {"de": "Köln", "en": format!("City {}", n % 11)}});
        record["subdivisions"] = json!([
            {"iso_code": format!("R{}", n % 5), "names": {"en": "Region"}},
            {"iso_code": "XX", "names": {"en": "District"}},
        ]);
        record["location"] = json!({
            "accuracy_radius": 20,
            "latitude": f64::from(n) / 5.0 - 30.0625,
            "longitude": -f64::from(n) / 3.0,
            "time_zone": "Europe/Berlin",
        });
    }
    record
}

/// What mmdblookup says of an address; null if there is no record.
fn asked(file: &Path, address: IpAddr) -> Value {
    let mut mmdblookup = Command::new("mmdblookup");
    let output = mmdblookup.arg("--file").arg(file).arg("--ip").arg(address.to_string()).output();
    let output = output.expect("mmdblookup runs");
    let text = String::from_utf8(output.stdout).expect("its text");
    if !output.status.success() {
        let problem = String::from_utf8_lossy(&output.stderr).into_owned() + &text;
        assert!(problem.contains("Could not find an entry"), "{address}: {problem}");
        return Value::Null;
    }
    let mut tokens = tokens(&text);
    tokens.reverse();
    parse(&mut tokens)
}

/// Brackets, and texts and numbers without their types.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(key) = line.strip_suffix(':') {
            tokens.push(key);
        } else {
            tokens.push(line.rsplit_once(" <").map_or(line, |(value, _)| value));
        }
    }
    tokens
}

/// The value at the end of the reversed tokens.
fn parse(tokens: &mut Vec<&str>) -> Value {
    match tokens.pop().expect("a value") {
        "{" => {
            let mut object = json!({});
            while tokens.last() != Some(&"}") {
                let key: String = serde_json::from_str(tokens.pop().unwrap()).expect("a key");
                object[key] = parse(tokens);
            }
            tokens.pop();
            object
        }
        "[" => {
            let mut values = Vec::new();
            while tokens.last() != Some(&"]") {
                values.push(parse(tokens));
            }
            tokens.pop();
            Value::Array(values)
        }
        scalar => serde_json::from_str(scalar).unwrap_or_else(|_| panic!("a scalar: {scalar}")),
    }
}

/// The place that a record is about.
fn expected(record: &Value) -> Option<Place> {
    if record.is_null() {
        return None;
    }
    let text = |pointer| record.pointer(pointer).and_then(Value::as_str).map(Into::into);
    let degrees = |pointer| record.pointer(pointer).and_then(Value::as_f64);
    let region = record.pointer("/subdivisions/0/iso_code").and_then(Value::as_str);
    Some(Place {
        continent_code: text("/continent/code"),
        continent_name: text("/continent/names/en"),
        country_code: text("/country/iso_code"),
        country_name: text("/country/names/en"),
        region_code: region.map(|region| format!("DE-{region}").into()),
        region_name: text("/subdivisions/0/names/en"),
        city_name: text("/city/names/en"),
        location: degrees("/location/latitude")
            .zip(degrees("/location/longitude"))
            .and_then(|(latitude, longitude)| Location::of_degrees(latitude, longitude)),
        as_number: record["autonomous_system_number"].as_u64().map(|it| it.try_into().unwrap()),
        as_organization: text("/autonomous_system_organization"),
        ..Place::default()
    })
}

/// The first and the last address of a network.
fn ends(cidr: &str) -> [IpAddr; 2] {
    let (address, length) = cidr.split_once('/').unwrap();
    let length: u32 = length.parse().unwrap();
    match address.parse().unwrap() {
        IpAddr::V4(v4) => {
            let last = v4.to_bits() | u32::MAX.checked_shr(length).unwrap_or(0);
            [v4.into(), Ipv4Addr::from_bits(last).into()]
        }
        IpAddr::V6(v6) => {
            let last = v6.to_bits() | u128::MAX >> length;
            [v6.into(), Ipv6Addr::from_bits(last).into()]
        }
    }
}

/// The place that the stage gives a record's source. Its cache has seen other addresses.
fn staged(stage: &mut PlaceStage, address: IpAddr) -> Option<Arc<Place>> {
    let (ip_version, octets) = match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&[a, b, c, d]);
            (IpVersion::V4, octets)
        }
        IpAddr::V6(v6) => (IpVersion::V6, v6.octets()),
    };
    let key = FlowKey {
        ip_version,
        source: octets,
        destination: [0; 16],
        source_port: 0,
        destination_port: 0,
        protocol: 6,
        type_of_service: 0,
        interface: 0,
    };
    let mut batch = Batch::from(vec![crate::reload::record(key)]);
    stage.batch(&mut batch);
    let details = batch.details_of(&batch.records[0]);
    details.and_then(|details| details.source.clone())
}

#[test]
fn every_network_has_what_mmdblookup_says() {
    if !support::has_tool("mmdblookup") {
        return support::skip("mmdblookup (mmdb-bin) is not installed");
    }
    let networks = networks();
    let folder = support::scratch();
    let (mut known, mut unknown) = (0, 0);
    for bits in [24, 28, 32] {
        let octets = mmdb::database("GeoLite2-Test", bits, &networks);
        let file = support::write(&folder, &format!("{bits}.mmdb"), &octets);
        let database = Arc::new(Database::new(octets).expect("the database is sound"));
        let atlas = || Atlas { databases: vec![Arc::clone(&database)], ..Atlas::default() };
        let mut stage = PlaceStage::new(Atlases::new(atlas()), KeyFields::SEVEN);
        // All networks once; with other sizes of a tree, some.
        let step = if bits == 28 { 1 } else { 13 };
        for (cidr, _) in networks.iter().step_by(step) {
            for address in ends(cidr) {
                let is_special =
                    analysis::networks::purpose(address) != analysis::networks::Purpose::Global;
                let place = if is_special { None } else { expected(&asked(&file, address)) };
                assert_eq!(atlas().place(address).as_deref(), place.as_ref(), "{address}");
                for _ in 0..2 {
                    let staged = staged(&mut stage, address);
                    assert_eq!(staged.as_deref(), place.as_ref(), "{address} by the cache");
                }
                known += usize::from(place.is_some());
                unknown += usize::from(place.is_none());
            }
        }
    }
    assert!(known > 600 && unknown > 10, "{known} {unknown}");
}

/// The answer for an address must not be that of a neighbour in the cache.
#[test]
fn the_cache_is_never_coarser_than_the_tree() {
    let network =
        |cidr: &str, country: &str| (cidr.to_owned(), json!({"country": {"iso_code": country}}));
    let networks = [
        network("8.0.0.0/8", "AA"),
        network("8.1.1.64/26", "BB"),
        network("8.1.1.65/32", "CC"),
        network("2a00::/16", "DD"),
        network("2a00:1:1:8000::/49", "EE"),
        network("2a00:1:1:ffff::/64", "FF"),
    ];
    let database = Database::new(mmdb::database("Test", 24, &networks)).unwrap();
    let atlas = Atlas { databases: vec![Arc::new(database)], ..Atlas::default() };
    let atlases = Atlases::new(atlas);
    let mut stage = PlaceStage::new(Arc::clone(&atlases), KeyFields::SEVEN);
    for _ in 0..2 {
        for (address, country) in [
            ("8.1.0.1", "AA"),
            ("8.1.1.1", "AA"),
            ("8.1.1.64", "BB"),
            ("8.1.1.65", "CC"),
            ("8.1.1.66", "BB"),
            ("8.1.1.128", "AA"),
            ("8.1.0.2", "AA"),
            ("2a00:1:1::1", "DD"),
            ("2a00:1:1:8000::1", "EE"),
            ("2a00:1:1:ffff::1", "FF"),
            ("2a00:1:2::1", "DD"),
            ("2a00:1:2:ffff::1", "DD"),
            ("::ffff:8.1.1.65", "CC"),
            ("64:ff9b::8.1.1.66", "BB"),
            ("2002:801:141::1", "CC"),
        ] {
            let place = staged(&mut stage, address.parse().unwrap()).expect(address);
            assert_eq!(place.country_code.as_deref(), Some(country), "{address}");
        }
    }
    let counts = atlases.counts();
    // Of 15 sources 8.1.0.2 and 2a00:1:2:ffff::1 are in blocks that were found before. The
    // destinations are 0.0.0.0 and ::.
    assert_eq!((counts.lookups, counts.found, counts.errors), (60, 30, 0));
    assert_eq!(counts.cached, 60 - 13 - 2);
}
