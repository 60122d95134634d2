//! Templates that outlive a collector, so that another can read data at once.

use std::net::IpAddr;
use std::sync::Arc;

use flow::{ExportProtocol, Timestamp};

/// A template of an exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTemplate {
    /// The address of the exporter.
    pub address: IpAddr,
    /// NetFlow v9 or IPFIX.
    pub protocol: ExportProtocol,
    /// Its Observation Domain.
    pub domain: u32,
    /// 256 or more.
    pub id: u16,
    /// Scope fields of an Options Template.
    pub scope: Option<u16>,
    /// The Field Specifiers, as they were sent.
    pub specifiers: Arc<[u8]>,
    /// When it was last sent.
    pub sent: Timestamp,
}

impl StoredTemplate {
    /// A line of text: the values, separated by spaces. The specifiers are in hexadecimal.
    pub fn line(&self) -> String {
        let Self { address, protocol, domain, id, specifiers, .. } = self;
        let scope = self.scope.map_or_else(|| "-".to_owned(), |scope| scope.to_string());
        let (protocol, sent) = (protocol.name(), self.sent.as_millis());
        let octets: String = specifiers.iter().map(|octet| format!("{octet:02x}")).collect();
        format!("{address} {protocol} {domain} {id} {scope} {sent} {octets}")
    }

    /// Reads such a line. `None` if it is none.
    pub fn of_line(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let mut word = || words.next();
        let address = word()?.parse().ok()?;
        let name = word()?;
        let with_templates = [ExportProtocol::Netflow9, ExportProtocol::Ipfix];
        let protocol = with_templates.into_iter().find(|protocol| protocol.name() == name)?;
        let domain = word()?.parse().ok()?;
        let id = word()?.parse().ok().filter(|id| *id >= 256)?;
        let scope = match word()? {
            "-" => None,
            scope => Some(scope.parse().ok()?),
        };
        let sent = Timestamp::from_millis(word()?.parse().ok()?);
        let octets = word()?.as_bytes();
        let octet = |digits: &[u8]| {
            let digits = str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 16).ok()
        };
        let specifiers: Option<Arc<[u8]>> = octets.chunks(2).map(octet).collect();
        let specifiers = specifiers.filter(|_| octets.len().is_multiple_of(8))?;
        let stored = Self { address, protocol, domain, id, scope, specifiers, sent };
        words.next().is_none().then_some(stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_were_written() {
        let stored = StoredTemplate {
            address: "2001:db8::1".parse().unwrap(),
            protocol: ExportProtocol::Ipfix,
            domain: 7,
            id: 300,
            scope: None,
            specifiers: [0, 8, 0, 4].into(),
            sent: Timestamp::from_millis(1_714_979_289_000),
        };
        let line = "2001:db8::1 ipfix 7 300 - 1714979289000 00080004";
        assert_eq!(stored.line(), line);
        assert_eq!(StoredTemplate::of_line(line), Some(stored.clone()));
        let options = StoredTemplate { scope: Some(1), ..stored };
        assert_eq!(StoredTemplate::of_line(&options.line()), Some(options));
        for wrong in [
            "",
            "x ipfix 7 300 - 1 00080004",
            "::1 netflow5 7 300 - 1 00080004",
            "::1 ipfix 7 255 - 1 00080004",
            "::1 ipfix 7 300 - 1 0008000",
            "::1 ipfix 7 300 - 1 000800",
            "::1 ipfix 7 300 - 1 0008000g",
            "::1 ipfix 7 300 - 1 00080004 more",
        ] {
            assert_eq!(StoredTemplate::of_line(wrong), None, "{wrong}");
        }
    }
}
