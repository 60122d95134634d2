//! The operator's own networks, from a file of comma-separated values.
//!
//! ```text
//! cidr,name,asn,country,city,lat,lon,role,site
//! 10.1.0.0/16,Berlin office,64512,DE,Berlin,52.52,13.405,office,berlin-1
//! ```
//!
//! A first line with names of columns defines the columns, in any order. Without it the columns are
//! those above, and the last ones may be missing.

use std::collections::BTreeMap;
use std::net::IpAddr;

use csv::{ByteRecord, ReaderBuilder, StringRecord, Trim};
use flow::{Location, Place};
use ipnet::IpNet;

use super::map::NetworkMap;
use crate::networks::network;

/// The columns, in the order of a file that does not name them.
const COLUMNS: [&str; 9] = ["cidr", "name", "asn", "country", "city", "lat", "lon", "role", "site"];

/// The most networks of a file.
const NETWORKS_MAX: usize = 1_000_000;

/// Most mistakes that are reported.
const MISTAKES_MAX: usize = 10;

/// Networks and their places.
#[derive(Debug, Default)]
pub struct Networks {
    places: Vec<Place>,
    /// Of each network the index of its place.
    indexes: NetworkMap<usize>,
}

impl Networks {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// The mistakes, each with its line number.
    pub fn new(octets: &[u8]) -> Result<Self, Vec<String>> {
        let mut table = Table::default();
        let mut lines = Lines { octets, counted: 0, line: 1 };
        let mut reader = ReaderBuilder::new();
        reader.has_headers(false).flexible(true).trim(Trim::All).comment(Some(b'#'));
        for record in reader.from_reader(octets).into_byte_records() {
            match record {
                Ok(record) => {
                    let position = record.position().map_or(0, csv::Position::byte);
                    table.line(lines.number(position), record);
                }
                Err(error) => table.mistakes.push(error.to_string()),
            }
            if table.rows.len() > NETWORKS_MAX {
                table.mistakes.push(format!("there are more than {NETWORKS_MAX} networks"));
                break;
            }
        }
        if table.rows.is_empty() && table.mistakes.is_empty() {
            table.mistakes.push("there is no network in it".to_owned());
        }
        let more = table.mistakes.len().saturating_sub(MISTAKES_MAX);
        if more > 0 {
            table.mistakes.truncate(MISTAKES_MAX);
            let mistakes = if more == 1 { "mistake" } else { "mistakes" };
            table.mistakes.push(format!("and {more} more {mistakes}"));
        }
        if table.mistakes.is_empty() { Ok(table.networks()) } else { Err(table.mistakes) }
    }

    /// Number of networks.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// True if there are no networks.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The place of the longest prefix that contains the address.
    pub(super) fn find(&self, address: IpAddr) -> Option<&Place> {
        self.indexes.get(address).map(|index| &self.places[index])
    }

    /// True if all addresses of this block have the same place, or all have none.
    pub(super) fn is_uniform(&self, block: IpNet) -> bool {
        self.indexes.is_uniform(block)
    }
}

/// Counts the lines of a file. The position of the reader is before the empty lines and comments
/// that it skips.
struct Lines<'a> {
    octets: &'a [u8],
    /// Octets counted so far, and the line after them.
    counted: usize,
    line: usize,
}

impl Lines<'_> {
    /// The line of the record that begins at or after this octet. Positions have to increase.
    fn number(&mut self, position: u64) -> usize {
        let position = usize::try_from(position).unwrap_or(usize::MAX).min(self.octets.len());
        self.line += self.octets[self.counted..position].iter().filter(|it| **it == b'\n').count();
        self.counted = position;
        let skipped = self.octets[position..].split(|it| *it == b'\n');
        let is_skipped = |line: &&[u8]| matches!(line, [] | [b'\r'] | [b'#', ..]);
        self.line + skipped.take_while(is_skipped).count()
    }
}

/// State of reading a file.
#[derive(Debug, Default)]
struct Table {
    /// The columns; `None` before the first line.
    columns: Option<Vec<&'static str>>,
    /// The line and the place of each network.
    rows: BTreeMap<IpNet, (usize, Place)>,
    mistakes: Vec<String>,
}

impl Table {
    fn line(&mut self, line: usize, record: ByteRecord) {
        let result = match StringRecord::from_byte_record(record) {
            Err(_) => Err("the text is not UTF-8".to_owned()),
            Ok(record) if self.columns.is_none() => match names(&record) {
                Ok(Some(columns)) => {
                    self.columns = Some(columns);
                    Ok(())
                }
                Ok(None) => {
                    self.columns = Some(COLUMNS.to_vec());
                    self.row(line, &record)
                }
                Err(problem) => {
                    self.columns = Some(COLUMNS.to_vec());
                    Err(problem)
                }
            },
            Ok(record) => self.row(line, &record),
        };
        if let Err(problem) = result {
            self.mistakes.push(format!("line {line}: {problem}"));
        }
    }

    fn row(&mut self, line: usize, record: &StringRecord) -> Result<(), String> {
        let columns = self.columns.as_deref().unwrap_or(&COLUMNS);
        if record.len() > columns.len() {
            let (fields, columns) = (record.len(), columns.len());
            return Err(format!("{fields} fields, and there are {columns} columns"));
        }
        let field = |name: &str| {
            let index = columns.iter().position(|column| *column == name)?;
            record.get(index).filter(|text| !text.is_empty())
        };
        let cidr = field("cidr").ok_or("a network is needed in column cidr")?;
        let network = network(cidr).map_err(|needed| format!("{cidr:?}: {needed}"))?;
        let place = place(&field, network)?;
        if let Some((before, _)) = self.rows.get(&network) {
            return Err(format!("{network} is on line {before} already"));
        }
        self.rows.insert(network, (line, place));
        Ok(())
    }

    fn networks(self) -> Networks {
        let indexes = self.rows.keys().copied().zip(0..).collect();
        let places = self.rows.into_values().map(|(_, place)| place).collect();
        Networks { places, indexes }
    }
}

/// The columns that the first line names, if it names any.
fn names(record: &StringRecord) -> Result<Option<Vec<&'static str>>, String> {
    if !record.iter().any(|name| name.eq_ignore_ascii_case("cidr")) {
        return Ok(None);
    }
    let mut columns = Vec::new();
    for name in record {
        let column = COLUMNS.into_iter().find(|column| name.eq_ignore_ascii_case(column));
        let column = column.ok_or_else(|| {
            format!("there is no column {name:?}; the columns are {}", COLUMNS.join(", "))
        })?;
        if columns.contains(&column) {
            return Err(format!("column {column} is given twice"));
        }
        columns.push(column);
    }
    Ok(Some(columns))
}

fn place<'a>(field: &impl Fn(&str) -> Option<&'a str>, network: IpNet) -> Result<Place, String> {
    let text = |name| field(name).map(Into::into);
    let degrees = |name, most: f64| match field(name).map(|text| (text, text.parse::<f64>())) {
        None => Ok(None),
        Some((_, Ok(degrees))) if (-most..=most).contains(&degrees) => Ok(Some(degrees)),
        Some((text, _)) => {
            Err(format!("{name} {text:?}: a number from -{most} to {most} is needed"))
        }
    };
    let location = match (degrees("lat", 90.0)?, degrees("lon", 180.0)?) {
        (Some(latitude), Some(longitude)) => Location::of_degrees(latitude, longitude),
        (None, None) => None,
        (Some(_), None) => return Err("lat needs a lon".to_owned()),
        (None, Some(_)) => return Err("lon needs a lat".to_owned()),
    };
    let as_number = match field("asn") {
        None => None,
        Some(text) => {
            Some(super::as_number(text).filter(|number| *number != 0).ok_or_else(|| {
                format!("asn {text:?}: a number from 1 to {} is needed, such as 64512", u32::MAX)
            })?)
        }
    };
    let country = field("country").map(str::to_ascii_uppercase);
    if let Some(code) = &country
        && !(code.len() == 2 && code.bytes().all(|letter| letter.is_ascii_uppercase()))
    {
        return Err(format!("country {code:?}: a code of two letters is needed, such as DE"));
    }
    Ok(Place {
        country_code: country.map(Into::into),
        city_name: text("city"),
        location,
        as_number,
        network_name: text("name"),
        network_role: text("role"),
        site: text("site"),
        prefix_length: Some(network.prefix_len()),
        ..Place::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(networks: &Networks, address: &str) -> Option<String> {
        let place = networks.find(address.parse().unwrap());
        place.and_then(|place| place.network_name.as_deref().map(str::to_owned))
    }

    #[test]
    fn the_longest_prefix_counts_in_any_order_of_lines() {
        let lines = [
            "0.0.0.0/0,all",
            "10.0.0.0/8,ten",
            "10.1.0.0/16,one",
            "10.1.2.0/24,two",
            "10.1.2.3/32,three",
            "10.255.255.255/32,last of ten",
            "255.255.255.255/32,last",
            "2001:db8::/32,six",
            "2001:db8:1::/48,site",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128,last of all",
        ];
        let forth = lines.join("\n");
        let mut back = lines;
        back.reverse();
        for text in [forth, back.join("\n")] {
            let networks = Networks::new(text.as_bytes()).unwrap();
            for (address, expected) in [
                ("9.255.255.255", "all"),
                ("10.0.0.0", "ten"),
                ("10.1.0.0", "one"),
                ("10.1.1.255", "one"),
                ("10.1.2.2", "two"),
                ("10.1.2.3", "three"),
                ("10.1.2.4", "two"),
                ("10.1.3.0", "one"),
                ("10.2.0.0", "ten"),
                ("10.255.255.254", "ten"),
                ("10.255.255.255", "last of ten"),
                ("11.0.0.0", "all"),
                ("255.255.255.254", "all"),
                ("255.255.255.255", "last"),
                ("2001:db8::1", "six"),
                ("2001:db8:1:ffff::", "site"),
                ("2001:db8:2::", "six"),
                ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "last of all"),
            ] {
                assert_eq!(name(&networks, address).as_deref(), Some(expected), "{address}");
            }
            assert_eq!(name(&networks, "2001:db9::"), None);
            assert_eq!(name(&networks, "::"), None);
        }
    }

    #[test]
    fn columns_are_named_or_in_the_usual_order() {
        let named = "# ours\nSITE, cidr ,lon,lat\n\nhq,10.0.0.0/8,13.4,52.5\n";
        let networks = Networks::new(named.as_bytes()).unwrap();
        let place = networks.find("10.0.0.1".parse().unwrap()).unwrap();
        assert_eq!(place.site.as_deref(), Some("hq"));
        assert_eq!(place.location, Location::of_degrees(52.5, 13.4));
        assert_eq!((place.prefix_length, place.as_number), (Some(8), None));
        let usual = "10.0.0.0/8,\"Bonn, old\",AS64512,de,Bonn,50.7,7.1,office,hq\n";
        let networks = Networks::new(usual.as_bytes()).unwrap();
        let place = networks.find("10.0.0.1".parse().unwrap()).unwrap();
        assert_eq!(place.network_name.as_deref(), Some("Bonn, old"));
        assert_eq!((place.as_number, place.country_code.as_deref()), (Some(64_512), Some("DE")));
        assert_eq!(place.network_role.as_deref(), Some("office"));
    }

    #[test]
    fn mistakes_are_said_with_their_lines() {
        for (text, expected) in [
            ("10.0.0.0/8\n10.0.0.0/8\n", "line 2: 10.0.0.0/8 is on line 1 already"),
            ("\n10.0.0.1/8", "line 2: \"10.0.0.1/8\": 10.0.0.0/8 is needed"),
            ("10.0.0.0/33", "line 1: \"10.0.0.0/33\": a network or an address is needed"),
            ("office,10.0.0.0/8", "line 1: \"office\": a network or"),
            ("cidr,nam", "line 1: there is no column \"nam\"; the columns are cidr, name"),
            ("cidr,asn,asn", "line 1: column asn is given twice"),
            ("cidr,name\n10.0.0.0/8,a,b", "line 2: 3 fields, and there are 2 columns"),
            ("name,cidr\na", "line 2: a network is needed in column cidr"),
            ("10.0.0.0/8,,0", "line 1: asn \"0\": a number from 1 to 4294967295"),
            ("10.0.0.0/8,,4294967296", "line 1: asn \"4294967296\""),
            ("10.0.0.0/8,,,Germany", "line 1: country \"GERMANY\": a code of two letters"),
            ("10.0.0.0/8,,,,,91,0", "line 1: lat \"91\": a number from -90 to 90"),
            ("10.0.0.0/8,,,,,1", "line 1: lat needs a lon"),
            ("10.0.0.0/8,,,,,1,NaN", "line 1: lon \"NaN\""),
            ("10.0.0.0/8,\"a\nb\"\nx", "line 3: \"x\": a network or"),
            ("# nothing\n", "there is no network in it"),
            ("", "there is no network in it"),
        ] {
            let mistakes = Networks::new(text.as_bytes()).unwrap_err();
            assert!(mistakes[0].starts_with(expected), "{text:?}: {mistakes:?}");
            assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        }
        let mistakes = Networks::new(b"10.0.0.0/8\n1.0.0.0/8,\xff\n2.0.0.0/8\nx").unwrap_err();
        assert_eq!(mistakes[0], "line 2: the text is not UTF-8");
        assert!(mistakes[1].starts_with("line 4: "), "{mistakes:?}");
        let many = "x\n".repeat(1000);
        let mistakes = Networks::new(many.as_bytes()).unwrap_err();
        assert_eq!(mistakes.len(), MISTAKES_MAX + 1);
        assert_eq!(mistakes[MISTAKES_MAX], "and 990 more mistakes");
    }
}
