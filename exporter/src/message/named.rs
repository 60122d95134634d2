//! Records with names in IPFIX: further elements behind those of plain records.
//!
//! Each protocol of names has its own template. It is sent in the message of its first record, so
//! that only templates in use are announced.

use std::str::FromStr;

use element::Element as E;
use element::{Element, Flow, PutOctets, count16};
use flow::Facts;

use super::template::FlowTemplate;

/// Whose elements names are exported as. Those of HTTP are always IANA's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Namespace {
    Ntop,
    Cert,
    Cesnet,
}

impl FromStr for Namespace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "ntop" => Ok(Self::Ntop),
            "cert" => Ok(Self::Cert),
            "cesnet" => Ok(Self::Cesnet),
            _ => Err(format!("{text} is none of ntop, cert, cesnet")),
        }
    }
}

/// The protocol of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Dns = 1,
    Tls = 2,
    Http = 3,
    Quic = 4,
}

impl Kind {
    pub(super) fn of(facts: &Facts) -> Option<Self> {
        Some(match facts.protocol()? {
            "dns" => Self::Dns,
            "tls" => Self::Tls,
            "http" => Self::Http,
            "quic" => Self::Quic,
            _ => return None,
        })
    }
}

/// The template of records with names: a plain one with further elements.
#[derive(Clone, Copy, Debug)]
pub(super) struct NamedTemplate {
    pub(super) id: u16,
    plain: &'static FlowTemplate,
    further: &'static [Element],
}

impl NamedTemplate {
    /// The ids of templates without further blocks begin here.
    const PLAIN: u16 = 300;

    pub(super) fn new(plain: &'static FlowTemplate, namespace: Namespace, kind: Kind) -> Self {
        // Plain records have ids of their own.
        let before = if plain.id < Self::PLAIN { plain.id - 256 + Self::PLAIN } else { plain.id };
        let id = before + 32 * kind as u16 + 200 * namespace as u16;
        Self { id, plain, further: elements(namespace, kind) }
    }

    /// Appends the Template Record.
    pub(super) fn put_template(&self, out: &mut Vec<u8>) {
        out.put16(self.id);
        out.put16(count16(self.plain.elements.len() + self.further.len()));
        let elements = self.plain.elements.iter().chain(self.further);
        elements.for_each(|element| element.put_specifier(out));
    }

    /// Appends a Data Record.
    pub(super) fn put_record(&self, flow: &Flow<'_>, out: &mut Vec<u8>) {
        self.plain.put_record(flow, out);
        self.further.iter().for_each(|element| element.put_of_flow(flow, out));
    }
}

/// The elements of names.
const fn elements(namespace: Namespace, kind: Kind) -> &'static [Element] {
    match (kind, namespace) {
        (Kind::Dns, Namespace::Ntop) => &[
            E::NtopDnsQueryId,
            E::NtopDnsQueryType,
            E::NtopDnsRetCode,
            E::NtopDnsNumAnswers,
            E::ApplicationName,
            E::NtopDnsQuery,
        ],
        (Kind::Dns, Namespace::Cert) => &[
            E::CertAppLabel,
            E::CertDnsId,
            E::CertDnsType,
            E::CertDnsResponseCode,
            E::ApplicationName,
            E::CertDnsName,
        ],
        (Kind::Dns, Namespace::Cesnet) => &[
            E::CesnetDnsId,
            E::CesnetDnsType,
            E::CesnetDnsClass,
            E::CesnetDnsRcode,
            E::CesnetDnsAnswers,
            E::ApplicationName,
            E::CesnetDnsName,
        ],
        (Kind::Tls | Kind::Quic, Namespace::Ntop) => {
            &[E::ApplicationName, E::TlsServerName, E::NtopJa3, E::NtopJa4]
        }
        (Kind::Tls | Kind::Quic, Namespace::Cert) => {
            &[E::CertAppLabel, E::ApplicationName, E::CertServerName]
        }
        (Kind::Tls, Namespace::Cesnet) => {
            &[E::FlowmonJa3, E::ApplicationName, E::CesnetTlsServerName, E::CesnetJa4]
        }
        (Kind::Quic, Namespace::Cesnet) => &[
            E::FlowmonJa3,
            E::CesnetQuicVersion,
            E::ApplicationName,
            E::CesnetQuicServerName,
            E::CesnetJa4,
        ],
        (Kind::Http, Namespace::Cert) => &[
            E::CertAppLabel,
            E::HttpStatusCode,
            E::ApplicationName,
            E::HttpRequestMethod,
            E::HttpRequestHost,
            E::HttpRequestTarget,
            E::HttpUserAgent,
        ],
        (Kind::Http, Namespace::Ntop | Namespace::Cesnet) => &[
            E::HttpStatusCode,
            E::ApplicationName,
            E::HttpRequestMethod,
            E::HttpRequestHost,
            E::HttpRequestTarget,
            E::HttpUserAgent,
        ],
    }
}
