//! The ServerHello: what a server chose of what its client offered (RFC 8446 section 4.1.3).

use core::fmt;

use super::hello::extension;
use crate::flaw::Flaw;
use crate::octets::Octets;
use crate::text::Text;

/// What a server says at the beginning of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerHello {
    /// The version, as on the wire.
    pub version: u16,
    /// The cipher suite.
    pub cipher: Cipher,
    /// The protocol (RFC 7301). `None` also if it is longer than 64 characters.
    pub protocol: Option<Text<64>>,
}

/// A cipher suite (IANA, TLS Cipher Suites).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cipher(pub u16);

/// Handshake type.
const SERVER_HELLO: u8 = 2;

/// True if a segment, which begins with a TLS record, begins with a ServerHello.
pub(crate) fn begins_with_server_hello(segment: &[u8]) -> bool {
    segment.get(5) == Some(&SERVER_HELLO)
}

impl ServerHello {
    /// Reads the ServerHello at the beginning of a segment, if it is whole in its first record.
    ///
    /// # Errors
    ///
    /// [`Flaw::Incomplete`] if it goes on behind these octets.
    pub fn read(segment: &[u8]) -> Result<Self, Flaw> {
        let mut rest = Octets(segment);
        // Type and version of the record.
        rest.take(3)?;
        let length = usize::from(rest.u16()?);
        let mut record = Octets(rest.0.get(..length).unwrap_or(rest.0));
        if record.u8()? != SERVER_HELLO {
            return Err(Flaw::Other);
        }
        let length = usize::try_from(record.u24()?).or(Err(Flaw::TooLong))?;
        let body = record.take(length)?;
        // The body is there as a whole: what goes beyond its end is wrong.
        Self::read_whole(Octets(body)).map_err(Flaw::of_whole)
    }

    fn read_whole(mut body: Octets<'_>) -> Result<Self, Flaw> {
        let mut version = body.u16()?;
        if !matches!(version, 0x0300..=0x0304) {
            return Err(Flaw::Version);
        }
        // Random and session id.
        body.take(32)?;
        body.vector8()?;
        let cipher = Cipher(body.u16()?);
        // The compression method.
        body.u8()?;
        let mut extensions = if body.is_empty() { body } else { body.vector16()? };
        let mut protocol = None;
        while !extensions.is_empty() {
            let kind = extensions.u16()?;
            let mut content = extensions.vector16()?;
            match kind {
                extension::VERSIONS => version = content.u16()?,
                extension::PROTOCOLS => protocol = Text::escaped(content.vector16()?.vector8()?.0),
                _ => {}
            }
        }
        Ok(Self { version, cipher, protocol })
    }
}

impl fmt::Display for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match name(self.0) {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#06x}", self.0),
        }
    }
}

/// The names of those that servers choose.
fn name(cipher: u16) -> Option<&'static str> {
    Some(match cipher {
        0x0004 => "TLS_RSA_WITH_RC4_128_MD5",
        0x0005 => "TLS_RSA_WITH_RC4_128_SHA",
        0x000a => "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
        0x0016 => "TLS_DHE_RSA_WITH_3DES_EDE_CBC_SHA",
        0x002f => "TLS_RSA_WITH_AES_128_CBC_SHA",
        0x0032 => "TLS_DHE_DSS_WITH_AES_128_CBC_SHA",
        0x0033 => "TLS_DHE_RSA_WITH_AES_128_CBC_SHA",
        0x0035 => "TLS_RSA_WITH_AES_256_CBC_SHA",
        0x0038 => "TLS_DHE_DSS_WITH_AES_256_CBC_SHA",
        0x0039 => "TLS_DHE_RSA_WITH_AES_256_CBC_SHA",
        0x003c => "TLS_RSA_WITH_AES_128_CBC_SHA256",
        0x003d => "TLS_RSA_WITH_AES_256_CBC_SHA256",
        0x0041 => "TLS_RSA_WITH_CAMELLIA_128_CBC_SHA",
        0x0045 => "TLS_DHE_RSA_WITH_CAMELLIA_128_CBC_SHA",
        0x0067 => "TLS_DHE_RSA_WITH_AES_128_CBC_SHA256",
        0x006b => "TLS_DHE_RSA_WITH_AES_256_CBC_SHA256",
        0x0084 => "TLS_RSA_WITH_CAMELLIA_256_CBC_SHA",
        0x0088 => "TLS_DHE_RSA_WITH_CAMELLIA_256_CBC_SHA",
        0x009c => "TLS_RSA_WITH_AES_128_GCM_SHA256",
        0x009d => "TLS_RSA_WITH_AES_256_GCM_SHA384",
        0x009e => "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256",
        0x009f => "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384",
        0x1301 => "TLS_AES_128_GCM_SHA256",
        0x1302 => "TLS_AES_256_GCM_SHA384",
        0x1303 => "TLS_CHACHA20_POLY1305_SHA256",
        0x1304 => "TLS_AES_128_CCM_SHA256",
        0x1305 => "TLS_AES_128_CCM_8_SHA256",
        0xc007 => "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
        0xc009 => "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
        0xc00a => "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
        0xc011 => "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
        0xc012 => "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
        0xc013 => "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
        0xc014 => "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
        0xc023 => "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
        0xc024 => "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384",
        0xc027 => "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
        0xc028 => "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384",
        0xc02b => "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        0xc02c => "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        0xc02f => "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        0xc030 => "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        0xcca8 => "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        0xcca9 => "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        0xccaa => "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(version: [u8; 2], cipher: [u8; 2], extensions: &[u8]) -> Vec<u8> {
        let mut body = version.to_vec();
        body.extend([7; 32]);
        body.extend([1, 9]);
        body.extend(cipher);
        body.push(0);
        if !extensions.is_empty() {
            body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
            body.extend(extensions);
        }
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        let record = u16::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[22, 3, 3][..], &record, &[2, 0], &length, &body].concat()
    }

    fn said(segment: &[u8]) -> (u16, String, Option<String>) {
        let hello = ServerHello::read(segment).unwrap();
        (hello.version, hello.cipher.to_string(), hello.protocol.map(|it| it.to_string()))
    }

    #[test]
    fn version_cipher_and_protocol_are_those_that_the_server_chose() {
        let twelve = hello([3, 3], [0xc0, 0x2f], &[0, 16, 0, 5, 0, 3, 2, b'h', b'2']);
        let name = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256".to_owned();
        assert_eq!(said(&twelve), (0x0303, name, Some("h2".to_owned())));
        let thirteen = hello([3, 3], [0x13, 1], &[0, 43, 0, 2, 3, 4]);
        assert_eq!(said(&thirteen), (0x0304, "TLS_AES_128_GCM_SHA256".to_owned(), None));
        // Other records behind it, and a suite without a name.
        let mut old = hello([3, 1], [0, 0x1b], &[]);
        old.extend([22, 3, 1, 0, 9]);
        assert_eq!(said(&old), (0x0301, "0x001b".to_owned(), None));
    }

    #[test]
    fn every_cut_is_incomplete() {
        let whole = hello([3, 3], [0x13, 1], &[0, 43, 0, 2, 3, 4]);
        for length in 0..whole.len() {
            assert_eq!(ServerHello::read(&whole[..length]), Err(Flaw::Incomplete), "{length}");
        }
        let beyond = hello([3, 3], [0x13, 1], &[0, 43, 0, 3, 3, 4]);
        assert_eq!(ServerHello::read(&beyond), Err(Flaw::Malformed));
        assert_eq!(ServerHello::read(&hello([3, 9], [0, 1], &[])), Err(Flaw::Version));
    }
}
