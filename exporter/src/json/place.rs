//! Places in documents: `geo` and `as` of ECS for source and destination, and the operator's
//! network, for which ECS has no field.

use flow::{Location, Place};

use super::member::{put_comma, put_number, put_string, put_text};

/// Appends `geo` and `as` to an open object that already has members.
pub(super) fn put_place(place: &Place, out: &mut Vec<u8>) {
    if place.has_geography() {
        put_geography(place, out);
    }
    if let Some(number) = place.as_number {
        put_number(out, br#","as":{"number":"#, number);
        if let Some(organization) = &place.as_organization {
            put_string(out, br#","organization":{"name":"#, organization);
            out.push(b'}');
        }
        out.push(b'}');
    }
}

/// Appends the operator's network, if there is one, as an object to an open object.
pub(super) fn put_network(label: &[u8], place: Option<&Place>, out: &mut Vec<u8>) {
    let Some(place) = place else { return };
    let texts = [("name", &place.network_name), ("role", &place.network_role)];
    if texts.iter().all(|(_, text)| text.is_none()) {
        return;
    }
    put_comma(out);
    put_text(out, label, br#"{"network":{"#);
    put_texts(&texts, out);
    out.extend_from_slice(b"}}");
}

fn put_geography(place: &Place, out: &mut Vec<u8>) {
    out.extend_from_slice(br#","geo":{"#);
    let texts = [
        ("continent_code", &place.continent_code),
        ("continent_name", &place.continent_name),
        ("country_iso_code", &place.country_code),
        ("country_name", &place.country_name),
        ("region_iso_code", &place.region_code),
        ("region_name", &place.region_name),
        ("city_name", &place.city_name),
        ("name", &place.site),
    ];
    put_texts(&texts, out);
    if let Some(Location { latitude, longitude }) = place.location {
        put_comma(out);
        out.extend_from_slice(br#""location":{"lat":"#);
        put_degrees(latitude, out);
        out.extend_from_slice(br#","lon":"#);
        put_degrees(longitude, out);
        out.push(b'}');
    }
    out.push(b'}');
}

/// Appends the texts that are known to an open object.
fn put_texts(texts: &[(&str, &Option<Box<str>>)], out: &mut Vec<u8>) {
    for (name, text) in texts {
        if let Some(text) = text {
            put_comma(out);
            put_string(out, b"", name);
            put_string(out, b":", text);
        }
    }
}

/// Appends millionths of a degree as degrees, without trailing zeros.
fn put_degrees(millionths: i32, out: &mut Vec<u8>) {
    let size = millionths.unsigned_abs();
    let (whole, mut rest) = (size / 1_000_000, size % 1_000_000);
    put_number(out, if millionths < 0 { b"-" } else { b"" }, whole);
    let mut unit = 100_000;
    if rest > 0 {
        out.push(b'.');
    }
    while rest > 0 {
        put_number(out, b"", rest / unit);
        (rest, unit) = (rest % unit, unit / 10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degrees_are_decimal() {
        for (millionths, expected) in [
            (0, "0"),
            (1, "0.000001"),
            (-1, "-0.000001"),
            (50_110_900, "50.1109"),
            (-8_000_000, "-8"),
            (179_999_999, "179.999999"),
        ] {
            let mut out = Vec::new();
            put_degrees(millionths, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
