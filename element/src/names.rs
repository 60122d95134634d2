//! Values of elements for names in payload.

use flow::number::port;
use flow::{DnsResponse, Facts, NameProtocol};

use crate::source::Flow;

/// Octets of the longest text that has its length in one octet (RFC 7011 section 7).
const TEXT_MAX: usize = 254;

/// A text. One that is absent or too long is empty: a part of a name is another name.
pub(crate) fn text(text: Option<&str>) -> &str {
    text.filter(|text| text.len() <= TEXT_MAX).unwrap_or_default()
}

/// The server name of TLS. Empty if it is not known.
pub(crate) fn server_name<'a>(flow: &Flow<'a>) -> &'a str {
    text(flow.details.and_then(|details| details.server_name.as_deref()))
}

/// The code of the DNS answer; 255 if none was seen, or for a larger one.
pub(crate) fn response_code(flow: &Flow<'_>) -> u8 {
    let code = response(flow).and_then(|response| u8::try_from(response.code.number).ok());
    code.unwrap_or(u8::MAX)
}

/// Records of the DNS answer.
pub(crate) fn answers_count(flow: &Flow<'_>) -> u16 {
    response(flow).map_or(0, |response| response.answers_count)
}

/// Seconds to live of the first record of the DNS answer that has such a type. 0 without one, and
/// if records are not asked for.
pub(crate) fn first_ttl(flow: &Flow<'_>, is_type: impl Fn(&str) -> bool) -> u32 {
    let mut answers = response(flow).into_iter().flat_map(|response| &response.answers);
    answers.find(|answer| is_type(&answer.kind)).map_or(0, |answer| answer.ttl)
}

/// Addresses and names of the DNS answer, with spaces between them.
pub(crate) fn answers<'a>(flow: &Flow<'a>) -> &'a str {
    let texts = response(flow).map_or("", |response| &*response.texts);
    // A part of a name is another name.
    match texts.get(..=TEXT_MAX) {
        Some(cut) => cut.rsplit_once(' ').map_or("", |(whole, _)| whole),
        None => texts,
    }
}

/// The first of them.
pub(crate) fn first_answer<'a>(flow: &Flow<'a>) -> &'a str {
    let texts = response(flow).map_or("", |response| &*response.texts);
    text(texts.split(' ').next())
}

fn response<'a>(flow: &Flow<'a>) -> Option<&'a DnsResponse> {
    flow.dns()?.response.as_ref()
}

/// The name of the protocol of the names. Empty if there are none.
pub(crate) fn application(flow: &Flow<'_>) -> &'static str {
    flow.facts().and_then(Facts::protocol).map_or("", NameProtocol::name)
}

/// The port of the protocol, as YAF labels applications; 0 if there are no names.
pub(crate) fn app_label(flow: &Flow<'_>) -> u16 {
    match flow.facts().and_then(Facts::protocol) {
        Some(NameProtocol::Dns) => port::DNS,
        Some(NameProtocol::Http) => port::HTTP,
        Some(NameProtocol::Tls | NameProtocol::Quic) => port::HTTPS,
        None => 0,
    }
}

/// The version of QUIC as on the wire; 0 if it is not known.
pub(crate) fn quic_version(flow: &Flow<'_>) -> u32 {
    let version = flow.facts().and_then(|facts| facts.quic_version.as_ref());
    version.map_or(0, |version| version.number)
}

/// The octets of JA3. Zeros if it is not known.
pub(crate) fn ja3(flow: &Flow<'_>) -> [u8; 16] {
    let digits = flow.tls().and_then(|tls| tls.ja3.as_deref());
    let number = digits.and_then(|digits| u128::from_str_radix(digits, 16).ok());
    number.unwrap_or(0).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_needs_a_longer_length_is_empty() {
        let (longest, longer) = ("a".repeat(254), "a".repeat(255));
        assert_eq!(text(Some(&longest)), longest);
        assert_eq!((text(Some(&longer)), text(None)), ("", ""));
    }
}
