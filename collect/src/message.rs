//! The form of messages of NetFlow v9 and IPFIX: header, sets, Template Records. All of it is
//! checked before any of it is used.

use element::VARIABLE_LENGTH;
use flow::{ExportProtocol, Timestamp};

use crate::store::StoredTemplate;

/// The message contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The header of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) protocol: ExportProtocol,
    pub(crate) export_time: Timestamp,
    /// IPFIX has none.
    pub(crate) uptime_ms: Option<u32>,
    pub(crate) sequence: u32,
    pub(crate) domain: u32,
    /// NetFlow v5: the sampling interval; 0 if it is not known.
    pub(crate) sampling_interval: u32,
}

/// A message whose form is right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) header: Header,
    sets: &'a [u8],
}

/// A set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Set<'a> {
    pub(crate) kind: SetKind,
    pub(crate) content: &'a [u8],
}

/// The kind of a set, by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SetKind {
    Templates,
    OptionsTemplates,
    /// Records of the template with this id.
    Data(u16),
    Unknown,
}

/// A Template Record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TemplateRecord<'a> {
    pub(crate) id: u16,
    /// Scope fields of an Options Template Record.
    pub(crate) scope: Option<u16>,
    /// The Field Specifiers.
    pub(crate) specifiers: &'a [u8],
    protocol: ExportProtocol,
}

/// A Field Specifier.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Specifier {
    pub(crate) number: u16,
    pub(crate) enterprise: Option<u32>,
    pub(crate) length: u16,
}

const SET_HEADER: usize = 4;

/// Ids of Data Sets begin here.
const DATA_SETS: u16 = 256;

impl<'a> Message<'a> {
    /// Reads a message of NetFlow v9 and checks its form. The count in its header is not reliable:
    /// some exporters count sets, others records.
    ///
    /// ```text
    /// | Version (9)       | Count             |   RFC 3954 section 5.1
    /// | sysUpTime                             |
    /// | UNIX Secs                             |
    /// | Sequence Number                       |
    /// | Source ID                             |
    /// ```
    pub(crate) fn netflow9(octets: &'a [u8]) -> Result<Self, Malformed> {
        let (header, sets) = octets.split_first_chunk::<20>().ok_or(Malformed)?;
        let header = Header {
            protocol: ExportProtocol::Netflow9,
            export_time: Timestamp::from_millis(u64::from(u32_at(header, 8)) * 1000),
            uptime_ms: Some(u32_at(header, 4)),
            sequence: u32_at(header, 12),
            domain: u32_at(header, 16),
            sampling_interval: 0,
        };
        Self { header, sets }.checked()
    }

    /// Reads a message of IPFIX and checks its form.
    ///
    /// ```text
    /// | Version (10)      | Length            |   RFC 7011 section 3.1
    /// | Export Time                           |
    /// | Sequence Number                       |
    /// | Observation Domain ID                 |
    /// ```
    pub(crate) fn ipfix(octets: &'a [u8]) -> Result<Self, Malformed> {
        let &[_, _, high, low, ..] = octets else { return Err(Malformed) };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (message, rest) = octets.split_at_checked(length).ok_or(Malformed)?;
        let (header, sets) = message.split_first_chunk::<16>().ok_or(Malformed)?;
        if !is_zero(rest) {
            return Err(Malformed);
        }
        let header = Header {
            protocol: ExportProtocol::Ipfix,
            export_time: Timestamp::from_millis(u64::from(u32_at(header, 4)) * 1000),
            uptime_ms: None,
            sequence: u32_at(header, 8),
            domain: u32_at(header, 12),
            sampling_interval: 0,
        };
        Self { header, sets }.checked()
    }

    /// The sets.
    pub(crate) fn sets(&self) -> impl Iterator<Item = Set<'a>> {
        let protocol = self.header.protocol;
        let mut rest = self.sets;
        std::iter::from_fn(move || {
            let (set, behind) = next_set(rest, protocol).ok()??;
            rest = behind;
            Some(set)
        })
    }

    fn checked(self) -> Result<Self, Malformed> {
        let protocol = self.header.protocol;
        let mut rest = self.sets;
        while let Some((set, behind)) = next_set(rest, protocol)? {
            rest = behind;
            if matches!(set.kind, SetKind::Templates | SetKind::OptionsTemplates) {
                let mut records = set.content;
                while let Some((_, behind)) = next_template(records, set.kind, protocol)? {
                    records = behind;
                }
            }
        }
        Ok(self)
    }
}

impl<'a> Set<'a> {
    /// The Template Records of a set of templates.
    pub(crate) fn templates(
        self,
        protocol: ExportProtocol,
    ) -> impl Iterator<Item = TemplateRecord<'a>> {
        let mut rest = self.content;
        std::iter::from_fn(move || {
            let (record, behind) = next_template(rest, self.kind, protocol).ok()??;
            rest = behind;
            Some(record)
        })
    }
}

impl<'a> TemplateRecord<'a> {
    /// The fields of NetFlow v5 as a Template Record.
    pub(crate) fn of_netflow5(specifiers: &'a [u8]) -> Self {
        Self { id: DATA_SETS, scope: None, specifiers, protocol: ExportProtocol::Netflow5 }
    }

    /// One of options, with these Field Specifiers.
    pub(crate) fn of_options(
        specifiers: &'a [u8],
        scope: Option<u16>,
        protocol: ExportProtocol,
    ) -> Self {
        Self { id: DATA_SETS, scope, specifiers, protocol }
    }

    /// One that was stored.
    pub(crate) fn of_store(stored: &'a StoredTemplate) -> Self {
        let StoredTemplate { id, scope, ref specifiers, protocol, .. } = *stored;
        Self { id, scope, specifiers, protocol }
    }

    /// Its Field Specifiers.
    pub(crate) fn fields(&self) -> impl Iterator<Item = Specifier> {
        let mut rest = self.specifiers;
        std::iter::from_fn(move || {
            let (specifier, behind) = next_specifier(rest, self.protocol)?;
            rest = behind;
            Some(specifier)
        })
    }
}

/// The next set, and the octets behind it. `None` at the end; some exporters send zero octets
/// there.
///
/// ```text
/// | Set ID            | Length            |   RFC 7011 section 3.3.2
/// ```
fn next_set(
    octets: &[u8],
    protocol: ExportProtocol,
) -> Result<Option<(Set<'_>, &[u8])>, Malformed> {
    let Some((&[a, b, c, d], _)) = octets.split_first_chunk::<SET_HEADER>() else {
        return if is_zero(octets) { Ok(None) } else { Err(Malformed) };
    };
    let (id, length) = (u16::from_be_bytes([a, b]), usize::from(u16::from_be_bytes([c, d])));
    if length == 0 && is_zero(octets) {
        return Ok(None);
    }
    let (set, behind) = octets.split_at_checked(length).ok_or(Malformed)?;
    let content = set.get(SET_HEADER..).ok_or(Malformed)?;
    let kind = match (protocol, id) {
        (_, DATA_SETS..) => SetKind::Data(id),
        (ExportProtocol::Netflow9, 0) | (ExportProtocol::Ipfix, 2) => SetKind::Templates,
        (ExportProtocol::Netflow9, 1) | (ExportProtocol::Ipfix, 3) => SetKind::OptionsTemplates,
        _ => SetKind::Unknown,
    };
    Ok(Some((Set { kind, content }, behind)))
}

/// The next Template Record of a set, and the octets behind it. `None` at the end or at padding.
///
/// ```text
/// | Template ID       | Field Count       |   RFC 7011 section 3.4.1
///
/// | Template ID       | Field Count       |   options, RFC 7011 section 3.4.2.2: no scope count
/// | Scope Field Count |                       if the field count is 0, which is a withdrawal
///
/// | Template ID       | Scope octets      |   options of NetFlow v9, RFC 3954 section 6.1
/// | Option octets     |
/// ```
fn next_template(
    octets: &[u8],
    kind: SetKind,
    protocol: ExportProtocol,
) -> Result<Option<(TemplateRecord<'_>, &[u8])>, Malformed> {
    let Some((&[a, b, c, d], mut behind)) = octets.split_first_chunk::<4>() else {
        return Ok(None);
    };
    if is_zero(octets) {
        return Ok(None);
    }
    let (id, mut fields) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let mut scope = None;
    if kind == SetKind::OptionsTemplates {
        scope = Some(0);
        if protocol == ExportProtocol::Netflow9 {
            let (&[high, low], rest) = behind.split_first_chunk::<2>().ok_or(Malformed)?;
            let options = u16::from_be_bytes([high, low]);
            if fields % 4 != 0 || options % 4 != 0 {
                return Err(Malformed);
            }
            scope = Some(fields / 4);
            fields = fields / 4 + options / 4;
            behind = rest;
        } else if fields > 0 {
            let (&[high, low], rest) = behind.split_first_chunk::<2>().ok_or(Malformed)?;
            scope = Some(u16::from_be_bytes([high, low]));
            behind = rest;
        }
    }
    let specifiers = behind;
    for _ in 0..fields {
        (_, behind) = next_specifier(behind, protocol).ok_or(Malformed)?;
    }
    let specifiers = &specifiers[..specifiers.len() - behind.len()];
    Ok(Some((TemplateRecord { id, scope, specifiers, protocol }, behind)))
}

/// ```text
/// |E| Number          | Length            |   RFC 7011 section 3.2; NetFlow v9 has no E
/// | Enterprise Number, if E = 1           |
/// ```
fn next_specifier(octets: &[u8], protocol: ExportProtocol) -> Option<(Specifier, &[u8])> {
    let (&[a, b, c, d], rest) = octets.split_first_chunk::<4>()?;
    let (number, length) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    if protocol != ExportProtocol::Ipfix {
        // There is no variable length: the largest one is refused as too long.
        let length = length.min(VARIABLE_LENGTH - 1);
        return Some((Specifier { number, enterprise: None, length }, rest));
    }
    if number & ENTERPRISE == 0 {
        return Some((Specifier { number, enterprise: None, length }, rest));
    }
    let (enterprise, rest) = rest.split_first_chunk::<4>()?;
    let enterprise = Some(u32::from_be_bytes(*enterprise));
    Some((Specifier { number: number & !ENTERPRISE, enterprise, length }, rest))
}

const ENTERPRISE: u16 = 1 << 15;

fn is_zero(octets: &[u8]) -> bool {
    octets.iter().all(|octet| *octet == 0)
}

/// # Panics
///
/// The header is shorter. All callers give a constant.
pub(crate) fn u32_at<const N: usize>(header: &[u8; N], at: usize) -> u32 {
    u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}
