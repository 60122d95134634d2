//! Databases as their publishers make them, and those that are of no use.

use std::sync::Arc;

use analysis::places::{Atlas, Database, Networks};
use flow::{Location, Place};
use serde_json::{Value, json};

use crate::support::mmdb;

fn read(kind: &str, record: &Value) -> Database {
    let networks = [("8.8.8.0/24".to_owned(), record.clone())];
    Database::new(mmdb::database(kind, 24, &networks)).expect("it says where networks are")
}

fn place_of(databases: Vec<Database>) -> Place {
    let databases = databases.into_iter().map(Arc::new).collect();
    let atlas = Atlas { databases, ..Atlas::default() };
    Place::clone(&atlas.place("8.8.8.8".parse().unwrap()).expect("it is known"))
}

fn text(text: &str) -> Option<Box<str>> {
    Some(text.into())
}

#[test]
fn ipinfo_lite() {
    let record = json!({
        "as_domain": "google.com", "as_name": "Google LLC", "asn": "AS15169",
        "continent": "North America", "continent_code": "NA",
        "country": "United States", "country_code": "US",
    });
    let expected = Place {
        continent_code: text("NA"),
        continent_name: text("North America"),
        country_code: text("US"),
        country_name: text("United States"),
        as_number: Some(15_169),
        as_organization: text("Google LLC"),
        ..Place::default()
    };
    assert_eq!(place_of(vec![read("ipinfo bundle_lite.mmdb", &record)]), expected);
}

#[test]
fn ipinfo_location_has_numbers_as_texts() {
    let record = json!({
        "city": "Mountain View", "country": "US", "lat": "37.38605", "lng": "-122.08385",
        "region": "California", "region_code": "CA", "timezone": "America/Los_Angeles",
    });
    let expected = Place {
        country_code: text("US"),
        region_code: text("US-CA"),
        region_name: text("California"),
        city_name: text("Mountain View"),
        location: Some(Location { latitude: 37_386_050, longitude: -122_083_850 }),
        ..Place::default()
    };
    assert_eq!(place_of(vec![read("ipinfo standard_location.mmdb", &record)]), expected);
}

#[test]
fn ipnetdb_prefix() {
    let record = json!({
        "as": 15_169, "as_cc": "US", "as_entity": "Google LLC", "as_name": "GOOGLE",
        "as_private": false, "prefix": "8.8.8.0/24", "prefix_origins": [15_169],
    });
    let expected = Place {
        country_code: text("US"),
        as_number: Some(15_169),
        as_organization: text("Google LLC"),
        ..Place::default()
    };
    assert_eq!(place_of(vec![read("ipnetdb_prefix", &record)]), expected);
}

#[test]
fn enterprise_and_lists_of_countries() {
    let record = json!({
        "traits": {"autonomous_system_number": 680, "autonomous_system_organization": "DFN"},
    });
    assert_eq!(place_of(vec![read("GeoIP2-Enterprise", &record)]).as_number, Some(680));
    let record = json!({"country_code": "DE"});
    let place = place_of(vec![read("geo-whois-asn-country", &record)]);
    assert_eq!(place.country_code, text("DE"));
}

#[test]
fn a_value_of_another_type_is_missing_and_the_rest_is_there() {
    let record = json!({
        "country": ["DE"], "country_code": 7, "city": {"names": ["Bonn"]}, "subdivisions": {},
        "location": "50,7", "asn": {"number": 1}, "as": 680, "continent": true, "traits": [1],
        "as_name": -1.5,
    });
    assert_eq!(
        place_of(vec![read("odd", &record)]),
        Place { as_number: Some(680), ..Place::default() }
    );
}

#[test]
fn the_first_file_with_a_value_counts() {
    let country = json!({"country": {"iso_code": "DE"}});
    let city = json!({
        "country": {"iso_code": "DE", "names": {"en": "Germany"}}, "city": {"names": {"en": "Bonn"}},
    });
    let system = json!({"autonomous_system_number": 1, "autonomous_system_organization": "One"});
    let other = json!({"asn": "AS2", "as_name": "Two", "country_code": "US", "city": "Boston"});
    let read = |record| read("test", record);
    let place = place_of(vec![read(&country), read(&city), read(&system), read(&other)]);
    let expected = Place {
        country_code: text("DE"),
        country_name: text("Germany"),
        city_name: text("Bonn"),
        as_number: Some(1),
        as_organization: text("One"),
        ..Place::default()
    };
    assert_eq!(place, expected);
}

#[test]
fn own_networks_count_before_databases() {
    let record = json!({
        "country": {"iso_code": "US", "names": {"en": "United States"}},
        "city": {"names": {"en": "Boston"}}, "asn": "AS15169", "as_name": "Google LLC",
    });
    let networks =
        b"8.8.0.0/16,wide,64512,FR\n8.8.8.0/25,ours,,DE,Bonn,50.7,7.1,office,hq\n10.0.0.0/8,lan";
    let atlas = Atlas {
        databases: vec![Arc::new(read("test", &record))],
        networks: Arc::new(Networks::new(networks).unwrap()),
    };
    let place = |address: &str| atlas.place(address.parse().unwrap());
    let expected = Place {
        country_code: text("DE"),
        city_name: text("Bonn"),
        location: Location::of_degrees(50.7, 7.1),
        as_number: Some(15_169),
        as_organization: text("Google LLC"),
        network_name: text("ours"),
        network_role: text("office"),
        site: text("hq"),
        prefix_length: Some(25),
        ..Place::default()
    };
    assert_eq!(place("8.8.8.8").as_deref(), Some(&expected));
    let wide = place("8.8.8.200").unwrap();
    let found = (wide.as_number, wide.country_code.as_deref(), wide.as_organization.as_deref());
    assert_eq!((found, wide.prefix_length), ((Some(64_512), Some("FR"), None), Some(16)));
    assert_eq!(place("10.1.2.3").unwrap().network_name, text("lan"));
    // The network of the embedded address is not one of IPv6.
    let mapped = place("2002:808:808::1").unwrap();
    assert_eq!((mapped.network_name.as_deref(), mapped.prefix_length), (Some("ours"), None));
    assert_eq!(place("11.0.0.1"), None);
}

#[test]
fn a_database_without_places_is_refused() {
    let record = json!({"is_anonymous": true, "traits": {"connection_type": "Dialup"}});
    let networks = [("8.8.8.0/24".to_owned(), record)];
    let problem = Database::new(mmdb::database("GeoIP2-Anonymous-IP", 28, &networks)).unwrap_err();
    assert!(problem.contains("\"GeoIP2-Anonymous-IP\" has neither countries, cities"), "{problem}");
    // AS numbers that are all 0 are none.
    let networks = [("8.8.8.0/24".to_owned(), json!({"autonomous_system_number": 0}))];
    assert!(Database::new(mmdb::database("Zero", 24, &networks)).is_err());
}

/// Whatever is in a file: it is refused, or what it says can be read.
#[test]
fn cut_and_damaged_databases_do_no_harm() {
    let record = json!({"country": {"iso_code": "DE", "names": {"en": "Germany"}}, "asn": "AS1"});
    let networks: Vec<_> =
        (0..40).map(|n| (format!("8.{n}.0.0/{}", 16 + n % 9), record.clone())).collect();
    let whole = mmdb::database("Test", 24, &networks);
    let addresses = ["8.1.0.1", "8.8.8.8", "1.1.1.1", "2a00::1"].map(|it| it.parse().unwrap());
    for length in 0..whole.len() {
        let cut = Database::new(whole[..length].to_vec());
        // The last value of the description may be cut unseen; what is in front of it may not.
        assert!(cut.is_err() || length + 8 > whole.len(), "{length} of {} octets", whole.len());
    }
    let mut random = crate::support::random::Random::new(3);
    let mut refused = 0;
    for _ in 0..2000 {
        let mut octets = whole.clone();
        for _ in 0..1 + random.next() % 4 {
            let at = usize::try_from(random.next() % octets.len() as u64).unwrap();
            octets[at] = random.next().to_be_bytes()[0];
        }
        match Database::new(octets) {
            Ok(database) => {
                let atlas = Atlas { databases: vec![Arc::new(database)], ..Atlas::default() };
                addresses.iter().for_each(|address| drop(atlas.place(*address)));
            }
            Err(problem) => {
                refused += 1;
                assert!(!problem.is_empty());
            }
        }
    }
    assert!(refused > 100, "{refused}");
}
