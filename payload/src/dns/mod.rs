//! DNS messages (RFC 1035): header, first question, first answers.

mod name;
mod number;
#[cfg(test)]
mod tests;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use flow::{DnsAnswer, DnsData};

use crate::flaw::Flaw;
use crate::octets::Octets;
use crate::text::Name;
use name::read_name;

pub use number::{Class, Kind, Opcode, ResponseCode};

/// Records that are looked at behind the question.
const RECORDS_MAX: usize = 16;

const HEADER_OCTETS: usize = 12;

/// A message. Its records are read when they are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Identification: an answer has that of its question.
    pub id: u16,
    flags: Flags,
    /// The first question. `None` if the message has none.
    pub question: Option<Question>,
    /// Number of records in the answer section, as the header says.
    pub answers_count: u16,
    records_count: u32,
    /// False if the message goes on behind these octets.
    is_whole: bool,
    whole: &'a [u8],
    /// Behind the questions.
    records_at: usize,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name in presentation form, in lower case, without the final dot; `.` for the root.
    pub name: Name,
    /// Type of the records.
    pub kind: Kind,
    /// Class of the records.
    pub class: Class,
}

/// The flags of a header, with the kind of query and the response code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u16);

/// A record of the answer section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The owner.
    pub name: Name,
    /// Type of the record.
    pub kind: Kind,
    /// Class of the record.
    pub class: Class,
    /// Time to live, in seconds.
    pub ttl: u32,
    /// The content.
    pub data: Data,
}

/// Content of a record. That of other types, such as TXT, is never read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "it is looked at and dropped, one at a time")]
pub enum Data {
    /// A and AAAA.
    Address(IpAddr),
    /// CNAME, NS and PTR; the target of MX and SRV.
    Name(Name),
    /// Another type.
    Unread,
}

impl<'a> Message<'a> {
    /// Reads a message as it is in a UDP datagram.
    ///
    /// # Errors
    ///
    /// Header or questions are incomplete or malformed (RFC 1035 section 4.1).
    pub fn read(whole: &'a [u8]) -> Result<Self, Flaw> {
        let mut header = Octets(whole);
        let (id, flags) = (header.u16()?, Flags(header.u16()?));
        let questions = header.u16()?;
        let answers_count = header.u16()?;
        let records_count =
            u32::from(answers_count) + u32::from(header.u16()?) + u32::from(header.u16()?);
        let mut at = HEADER_OCTETS;
        let mut question = None;
        if questions > 0 {
            let (name, behind) = read_name(whole, at)?;
            let mut rest = octets_from(whole, behind)?;
            let (kind, class) = (Kind(rest.u16()?), Class(rest.u16()?));
            question = Some(Question { name, kind, class });
            at = behind + 4;
        }
        // More questions than one are not answered by anybody; no record is looked for behind them.
        let records_count = if questions > 1 { 0 } else { records_count };
        let (is_whole, records_at) = (true, at);
        Ok(Self { id, flags, question, answers_count, records_count, is_whole, whole, records_at })
    }

    /// Reads the first message of a TCP segment that begins with its length (RFC 7766 section 8).
    /// If the message is longer than the segment, its header and question are read.
    ///
    /// # Errors
    ///
    /// As [`Self::read`]; [`Flaw::Malformed`] if the question goes on behind the message's own end.
    pub fn read_framed(segment: &'a [u8]) -> Result<Self, Flaw> {
        let mut rest = Octets(segment);
        let length = usize::from(rest.u16()?);
        if length < HEADER_OCTETS {
            return Err(Flaw::Malformed);
        }
        match rest.0.get(..length) {
            Some(message) => Self::read(message).map_err(Flaw::of_whole),
            None => Ok(Self { records_count: 0, is_whole: false, ..Self::read(rest.0)? }),
        }
    }

    /// Whether all records are there that are looked at.
    pub fn has_all_records(&self) -> bool {
        let count = usize::try_from(self.records_count).unwrap_or(RECORDS_MAX);
        self.is_whole && self.records().count() == count.min(RECORDS_MAX)
    }

    /// True for a response.
    pub fn is_response(&self) -> bool {
        self.flags.0 & 0x8000 != 0
    }

    /// The kind of query.
    pub fn opcode(&self) -> Opcode {
        let [high, _] = self.flags.0.to_be_bytes();
        Opcode(high >> 3 & 0xf)
    }

    /// The flags.
    pub fn flags(&self) -> Flags {
        self.flags
    }

    /// The response code. It has the upper bits of EDNS if the OPT record is one of the first 16
    /// records (RFC 6891 section 6.1.3).
    pub fn response_code(&self) -> ResponseCode {
        const OPT: u16 = 41;
        let mut records = self.records();
        let extended = records.find(|record| record.kind.0 == OPT).map_or(0, |record| {
            let [upper, ..] = record.ttl.to_be_bytes();
            u16::from(upper) << 4
        });
        ResponseCode(extended | self.flags.0 & 0xf)
    }

    /// The first 16 answers, up to one that is incomplete or malformed.
    pub fn answers(&self) -> impl Iterator<Item = Answer> {
        self.records().take(self.answers_count.into()).map_while(|record| {
            let Record { at, kind, class, ttl, data_at, data } = record;
            let (name, _) = read_name(self.whole, at).ok()?;
            let data = self.data(kind, data_at, data).ok()?;
            Some(Answer { name, kind, class, ttl, data })
        })
    }

    /// Those of the answers whose content is read, in little memory.
    pub fn told(&self) -> impl Iterator<Item = DnsAnswer> {
        self.answers().filter_map(|Answer { name, kind, class, ttl, data }| {
            let data = match data {
                Data::Address(address) => DnsData::Address(address),
                Data::Name(name) => DnsData::Name(Some(name.as_str().into())),
                Data::Unread => return None,
            };
            let (kind, class) = (kind.to_string().into(), class.to_string().into());
            Some(DnsAnswer { name: Some(name.as_str().into()), kind, class, ttl, data })
        })
    }

    fn data(&self, kind: Kind, at: usize, octets: &[u8]) -> Result<Data, Flaw> {
        let end = at + octets.len();
        // A name that goes on behind its record is made of other records.
        let name = |at: usize| match read_name(self.whole, at)? {
            (name, behind) if behind <= end => Ok(Data::Name(name)),
            _ => Err(Flaw::Malformed),
        };
        match kind.0 {
            1 => <[u8; 4]>::try_from(octets)
                .map(|address| Data::Address(Ipv4Addr::from(address).into()))
                .or(Err(Flaw::Malformed)),
            28 => <[u8; 16]>::try_from(octets)
                .map(|address| Data::Address(Ipv6Addr::from(address).into()))
                .or(Err(Flaw::Malformed)),
            // NS, CNAME, PTR.
            2 | 5 | 12 => name(at),
            // MX: behind the preference.
            15 => name(at + 2),
            // SRV: behind priority, weight and port.
            33 => name(at + 6),
            _ => Ok(Data::Unread),
        }
    }

    fn records(&self) -> impl Iterator<Item = Record<'a>> {
        let (whole, mut at) = (self.whole, self.records_at);
        let count = usize::try_from(self.records_count).unwrap_or(RECORDS_MAX);
        (0..count.min(RECORDS_MAX)).map_while(move |_| {
            let record = Record::read(whole, at).ok()?;
            at = record.data_at + record.data.len();
            Some(record)
        })
    }
}

/// A record of any section.
#[derive(Clone, Copy, Debug)]
struct Record<'a> {
    at: usize,
    kind: Kind,
    class: Class,
    ttl: u32,
    data_at: usize,
    data: &'a [u8],
}

impl<'a> Record<'a> {
    fn read(whole: &'a [u8], at: usize) -> Result<Self, Flaw> {
        let (_, behind) = read_name(whole, at)?;
        let mut rest = octets_from(whole, behind)?;
        let (kind, class, ttl) = (Kind(rest.u16()?), Class(rest.u16()?), rest.u32()?);
        let data = rest.vector16()?.0;
        Ok(Self { at, kind, class, ttl, data_at: behind + 10, data })
    }
}

impl Flags {
    /// The names of those that are set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let named = [(10, "AA"), (9, "TC"), (8, "RD"), (7, "RA"), (5, "AD"), (4, "CD")];
        named.into_iter().filter(move |(bit, _)| self.0 >> bit & 1 == 1).map(|(_, name)| name)
    }
}

fn octets_from(whole: &[u8], at: usize) -> Result<Octets<'_>, Flaw> {
    whole.get(at..).map(Octets).ok_or(Flaw::Incomplete)
}
