//! Values of elements for names in payload.

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
    let response = flow.dns().and_then(|dns| dns.response.as_ref());
    let code = response.and_then(|response| u8::try_from(response.code.number).ok());
    code.unwrap_or(u8::MAX)
}

/// Records of the DNS answer.
pub(crate) fn answers_count(flow: &Flow<'_>) -> u16 {
    let response = flow.dns().and_then(|dns| dns.response.as_ref());
    response.map_or(0, |response| response.answers_count)
}

/// The port of the protocol, as YAF labels applications.
pub(crate) fn app_label(flow: &Flow<'_>) -> u16 {
    match flow.facts().and_then(flow::Facts::protocol) {
        Some("dns") => 53,
        Some("http") => 80,
        Some("tls" | "quic") => 443,
        _ => 0,
    }
}

/// The version of QUIC as on the wire; 0 if it is not known.
pub(crate) fn quic_version(flow: &Flow<'_>) -> u32 {
    const DRAFT: u32 = 0xff00_0000;
    match flow.facts().and_then(|facts| facts.quic_version.as_deref()) {
        Some("1") => 1,
        Some("2") => 0x6b33_43cf,
        Some(other) => {
            let draft = other.strip_prefix("draft-").and_then(|number| number.parse::<u8>().ok());
            let reserved = || u32::from_str_radix(other.strip_prefix("0x")?, 16).ok();
            draft.map(|number| DRAFT | u32::from(number)).or_else(reserved).unwrap_or(0)
        }
        None => 0,
    }
}

/// The octets of JA3. Zeros if it is not known.
pub(crate) fn ja3(flow: &Flow<'_>) -> [u8; 16] {
    let digits = flow.tls().map(|tls| &*tls.ja3);
    let number = digits.and_then(|digits| u128::from_str_radix(digits, 16).ok());
    number.unwrap_or(0).to_be_bytes()
}
