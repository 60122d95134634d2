//! Databases of places in MaxMind's file format (MMDB), of any publisher.

use std::fmt::{self, Debug, Formatter};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use flow::Place;
use maxminddb::{LookupResult, MaxMindDbError, Reader};

use super::record::Record;

/// Networks that are read when a database is checked.
const NETWORKS_CHECKED: usize = 100_000;

/// Addresses across the whole address space, for each IP version, that are looked up in the check.
const ADDRESSES_CHECKED: u32 = 1_000;

/// A database, held in memory: a program may update its file in place.
pub struct Database {
    reader: Reader<Vec<u8>>,
}

/// Answer of a database for an address.
pub(super) struct Answer {
    /// Empty if the database does not have the address.
    pub(super) place: Place,
    /// Length of the longest prefix with this answer, in the IP version of the address. 0 if it is
    /// not known.
    pub(super) prefix_length: u8,
}

impl Database {
    /// Takes the octets of a file, and checks them: records in all parts of the file can be read,
    /// and at least one has a place.
    ///
    /// # Errors
    ///
    /// Reason why the database is refused, in a sentence.
    pub fn new(octets: Vec<u8>) -> Result<Self, String> {
        let reader = Reader::from_source(octets).map_err(damaged)?;
        let database = Self { reader };
        database.check_addresses().map_err(damaged)?;
        if database.has_places().map_err(damaged)? {
            return Ok(database);
        }
        let kind = database.kind();
        Err(format!("database of type {kind:?} has neither countries, cities, places nor AS"))
    }

    /// Type of the database, such as `GeoLite2-City`.
    pub fn kind(&self) -> &str {
        &self.reader.metadata().database_type
    }

    /// Time of its build, in seconds since 1970.
    pub fn build_epoch(&self) -> u64 {
        self.reader.metadata().build_epoch
    }

    pub(super) fn find(&self, address: IpAddr) -> Result<Answer, MaxMindDbError> {
        if address.is_ipv6() && self.reader.metadata().ip_version == 4 {
            return Ok(Answer { place: Place::default(), prefix_length: 0 });
        }
        let result = self.reader.lookup(address)?;
        let network = result.network()?;
        // A database without IPv4 addresses answers with an IPv6 network.
        let is_of_version = network.is_ipv6() == address.is_ipv6();
        let prefix_length = if is_of_version { network.prefix() } else { 0 };
        Ok(Answer { place: place(&result)?, prefix_length })
    }

    fn has_places(&self) -> Result<bool, MaxMindDbError> {
        let mut has_places = false;
        for network in self.reader.networks(Default::default())?.take(NETWORKS_CHECKED) {
            has_places |= !place(&network?)?.is_empty();
        }
        Ok(has_places)
    }

    fn check_addresses(&self) -> Result<(), MaxMindDbError> {
        // Multiples of the golden ratio are spread evenly.
        let spread = |n: u32| n.wrapping_mul(0x9e37_79b9);
        for n in (0..ADDRESSES_CHECKED).map(spread) {
            self.find(Ipv4Addr::from_bits(n).into())?;
            let global_unicast = 1 << 125 | u128::from(n >> 3) << 96;
            self.find(Ipv6Addr::from_bits(global_unicast).into())?;
        }
        Ok(())
    }
}

fn damaged(error: MaxMindDbError) -> String {
    format!("no intact MaxMind database: {error}")
}

fn place(result: &LookupResult<'_, Vec<u8>>) -> Result<Place, MaxMindDbError> {
    let record: Option<Record<'_>> = result.decode()?;
    Ok(record.map_or_else(Place::default, |record| record.place()))
}

impl Debug for Database {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Database").field(&self.kind()).finish()
    }
}
