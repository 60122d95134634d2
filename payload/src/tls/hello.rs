//! The body of a ClientHello (RFC 8446 section 4.1.2).

use super::fingerprint::{Ja3, Ja4};
use super::handshake::Carrier;
use crate::flaw::Flaw;
use crate::octets::Octets;
use crate::text::{Name, Text};

/// What a client says at the beginning of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientHello {
    /// The highest version that the client offers, as on the wire. 0 if the hello is cut.
    pub version: u16,
    /// The first host name, in lower case (RFC 6066 section 3). With an encrypted hello this is the
    /// outer one.
    pub server_name: Option<Name>,
    /// The first protocol that the client offers (RFC 7301). `None` also if it is longer than 64
    /// characters.
    pub protocol_offered: Option<Text<64>>,
    /// Whether it has an encrypted hello, or something that looks like one.
    pub has_encrypted_hello: bool,
    /// The fingerprint JA3. `None` if the hello is cut.
    pub ja3: Option<Ja3>,
    /// The fingerprint JA4. `None` also if one of its lists has more than 1,024 values.
    pub ja4: Option<Ja4>,
}

/// The lists of a ClientHello, as they are on the wire.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts<'a> {
    pub(super) carrier: Carrier,
    pub(super) legacy_version: u16,
    pub(super) ciphers: Octets<'a>,
    pub(super) extensions: Octets<'a>,
    pub(super) has_server_name: bool,
    pub(super) groups: Octets<'a>,
    pub(super) point_formats: Octets<'a>,
    pub(super) signatures: Octets<'a>,
    pub(super) versions: Octets<'a>,
    pub(super) protocol: &'a [u8],
}

/// Types of extensions (IANA, TLS ExtensionType Values).
pub(super) mod extension {
    pub(in crate::tls) const SERVER_NAME: u16 = 0;
    pub(in crate::tls) const GROUPS: u16 = 10;
    pub(in crate::tls) const POINT_FORMATS: u16 = 11;
    pub(in crate::tls) const SIGNATURES: u16 = 13;
    pub(in crate::tls) const PROTOCOLS: u16 = 16;
    pub(in crate::tls) const VERSIONS: u16 = 43;
    pub(in crate::tls) const ENCRYPTED_HELLO: u16 = 0xfe0d;
}

/// True for a value that says nothing (RFC 8701).
pub(super) fn is_grease(value: u16) -> bool {
    let [high, low] = value.to_be_bytes();
    high == low && low & 0xf == 0xa
}

impl ClientHello {
    /// Reads the body of a handshake message.
    pub(super) fn read(body: &[u8], carrier: Carrier) -> Result<Self, Flaw> {
        // The body is there as a whole: what goes beyond its end is wrong.
        Self::read_whole(body, carrier).map_err(Flaw::of_whole)
    }

    /// Reads the server name of a body that is cut: what depends on all of it is absent.
    ///
    /// # Errors
    ///
    /// [`Flaw::Incomplete`] if the name is not whole.
    pub(super) fn read_cut(body: &[u8]) -> Result<Self, Flaw> {
        let mut rest = before_extensions(body)?.rest;
        // What is there of them.
        rest.u16()?;
        loop {
            let (kind, content) = (rest.u16()?, rest.vector16()?);
            if kind == extension::SERVER_NAME {
                return Ok(Self {
                    version: 0,
                    server_name: Some(host_name(content).ok_or(Flaw::Incomplete)?),
                    protocol_offered: None,
                    has_encrypted_hello: false,
                    ja3: None,
                    ja4: None,
                });
            }
        }
    }

    fn read_whole(body: &[u8], carrier: Carrier) -> Result<Self, Flaw> {
        let Beginning { legacy_version, ciphers, mut rest } = before_extensions(body)?;
        let empty = Octets(&[]);
        let mut parts = Parts {
            carrier,
            legacy_version,
            ciphers,
            extensions: if rest.is_empty() { empty } else { rest.vector16()? },
            has_server_name: false,
            groups: empty,
            point_formats: empty,
            signatures: empty,
            versions: empty,
            protocol: &[],
        };
        Self::of(&mut parts)
    }

    fn of(parts: &mut Parts<'_>) -> Result<Self, Flaw> {
        let (mut server_name, mut has_encrypted_hello) = (None, false);
        let mut extensions = parts.extensions;
        while !extensions.is_empty() {
            let kind = extensions.u16()?;
            let mut content = extensions.vector16()?;
            match kind {
                extension::SERVER_NAME if !parts.has_server_name => {
                    parts.has_server_name = true;
                    server_name = host_name(content);
                }
                extension::GROUPS => parts.groups = content.vector16().unwrap_or(parts.groups),
                extension::POINT_FORMATS => {
                    parts.point_formats = content.vector8().unwrap_or(parts.point_formats);
                }
                extension::SIGNATURES => {
                    parts.signatures = content.vector16().unwrap_or(parts.signatures);
                }
                extension::VERSIONS => {
                    parts.versions = content.vector8().unwrap_or(parts.versions);
                }
                extension::PROTOCOLS if parts.protocol.is_empty() => {
                    let first = content.vector16().and_then(|mut list| list.vector8());
                    parts.protocol = first.map_or(&[], |protocol| protocol.0);
                }
                extension::ENCRYPTED_HELLO => has_encrypted_hello = true,
                _ => {}
            }
        }
        let version = parts.versions.numbers().filter(|version| !is_grease(*version)).max();
        Ok(Self {
            version: version.unwrap_or(parts.legacy_version),
            server_name,
            protocol_offered: Some(parts.protocol)
                .filter(|protocol| !protocol.is_empty())
                .and_then(Text::escaped),
            has_encrypted_hello,
            ja3: Some(Ja3::of(parts)),
            ja4: Ja4::of(parts, version),
        })
    }
}

/// What is before the extensions, and the rest.
struct Beginning<'a> {
    legacy_version: u16,
    ciphers: Octets<'a>,
    rest: Octets<'a>,
}

fn before_extensions(body: &[u8]) -> Result<Beginning<'_>, Flaw> {
    let mut rest = Octets(body);
    let legacy_version = rest.u16()?;
    if !matches!(legacy_version, 0x0300..=0x0304) {
        return Err(Flaw::Version);
    }
    // Random and session id.
    rest.take(32)?;
    rest.vector8()?;
    let ciphers = rest.vector16()?;
    // Compression methods.
    rest.vector8()?;
    Ok(Beginning { legacy_version, ciphers, rest })
}

/// The first name of type 0.
fn host_name(extension: Octets<'_>) -> Option<Name> {
    let mut extension = extension;
    let mut list = extension.vector16().ok()?;
    loop {
        let (kind, name) = (list.u8().ok()?, list.vector16().ok()?);
        if kind == 0 {
            return if name.0.len() <= 255 { Name::host(name.0) } else { None };
        }
    }
}
