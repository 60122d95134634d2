//! NetFlow v5: a header and records of one fixed form, which is described as a template.

use flow::{ExportProtocol, Timestamp};

use crate::message::{Header, Malformed, TemplateRecord, u32_at};
use crate::template::Template;

/// Octets of a record.
const RECORD: usize = 48;

/// paddingOctets.
const PADDING: u16 = 210;

/// Number and length of the element of each field.
const FIELDS: [(u16, u16); 20] = [
    (8, 4),       // srcaddr
    (12, 4),      // dstaddr
    (15, 4),      // nexthop
    (10, 2),      // input
    (14, 2),      // output
    (2, 4),       // dPkts
    (1, 4),       // dOctets
    (22, 4),      // First
    (21, 4),      // Last
    (7, 2),       // srcport
    (11, 2),      // dstport
    (PADDING, 1), // pad1
    (6, 1),       // tcp_flags
    (4, 1),       // prot
    (5, 1),       // tos
    (16, 2),      // src_as
    (17, 2),      // dst_as
    (9, 1),       // src_mask
    (13, 1),      // dst_mask
    (PADDING, 2), // pad2
];

/// The template of all records.
pub(crate) fn template() -> Template {
    let specifiers: Vec<u8> = FIELDS
        .iter()
        .flat_map(|(number, length)| [number.to_be_bytes(), length.to_be_bytes()].concat())
        .collect();
    let record = TemplateRecord::of_netflow5(&specifiers);
    Template::new(&record, ExportProtocol::Netflow5, |_padding| {}).expect("it is a template")
}

/// Reads a datagram: its header, the number of records, and the records. The upper two bits of the
/// sampling field are a mode.
///
/// ```text
/// | Version (5)       | Count             |   Cisco, NetFlow Export Datagram Formats
/// | SysUptime, milliseconds               |
/// | unix_secs                             |
/// | unix_nsecs                            |
/// | flow_sequence                         |
/// | engine_type | engine_id | sampling    |
/// ```
pub(crate) fn read(octets: &[u8]) -> Result<(Header, u16, &[u8]), Malformed> {
    let (header, rest) = octets.split_first_chunk::<24>().ok_or(Malformed)?;
    let count = u16::from_be_bytes([header[2], header[3]]);
    let (records, rest) = rest.split_at_checked(usize::from(count) * RECORD).ok_or(Malformed)?;
    if count == 0 || rest.iter().any(|octet| *octet != 0) {
        return Err(Malformed);
    }
    let seconds = u64::from(u32_at(header, 8));
    let nanos = u64::from(u32_at(header, 12)).min(999_999_999);
    let header = Header {
        protocol: ExportProtocol::Netflow5,
        export_time: Timestamp::from_millis(seconds * 1000 + nanos / 1_000_000),
        uptime_ms: Some(u32_at(header, 4)),
        sequence: u32_at(header, 16),
        domain: u16::from_be_bytes([header[20], header[21]]).into(),
        sampling_interval: (u16::from_be_bytes([header[22], header[23]]) & 0x3fff).into(),
    };
    Ok((header, count, records))
}
