//! Records with names in IPFIX: further elements behind those of plain records.
//!
//! Each protocol of names has its own template. It is sent in the message of its first record, so
//! that only templates in use are announced.

use std::str::FromStr;

use element::Element as E;
use element::{Element, Flow, PutOctets, count16};
use flow::NameProtocol;

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

    pub(super) fn new(
        plain: &'static FlowTemplate,
        namespace: Namespace,
        protocol: NameProtocol,
    ) -> Self {
        // Plain records have ids of their own.
        let before = if plain.id < Self::PLAIN { plain.id - 256 + Self::PLAIN } else { plain.id };
        let of_protocol = match protocol {
            NameProtocol::Dns => 32,
            NameProtocol::Tls => 64,
            NameProtocol::Http => 96,
            NameProtocol::Quic => 128,
        };
        let id = before + of_protocol + 200 * namespace as u16;
        Self { id, plain, further: elements(namespace, protocol) }
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

/// The elements of names. Those of variable length come last.
const fn elements(namespace: Namespace, protocol: NameProtocol) -> &'static [Element] {
    match protocol {
        NameProtocol::Dns => of_dns(namespace),
        NameProtocol::Tls => of_tls(namespace),
        NameProtocol::Quic => of_quic(namespace),
        NameProtocol::Http => of_http(namespace),
    }
}

const fn of_dns(namespace: Namespace) -> &'static [Element] {
    match namespace {
        Namespace::Ntop => &[
            E::NtopDnsQueryId,
            E::NtopDnsQueryType,
            E::NtopDnsRetCode,
            E::NtopDnsNumAnswers,
            E::NtopDnsTtlAnswer,
            E::ApplicationName,
            E::NtopDnsQuery,
            E::NtopDnsResponse,
        ],
        Namespace::Cert => &[
            E::CertAppLabel,
            E::CertDnsId,
            E::CertDnsType,
            E::CertDnsResponseCode,
            E::CertDnsTtl,
            E::ApplicationName,
            E::CertDnsName,
        ],
        Namespace::Cesnet => &[
            E::CesnetDnsId,
            E::CesnetDnsType,
            E::CesnetDnsClass,
            E::CesnetDnsRcode,
            E::CesnetDnsAnswers,
            E::CesnetDnsTtl,
            E::ApplicationName,
            E::CesnetDnsName,
            E::CesnetDnsData,
        ],
    }
}

const fn of_tls(namespace: Namespace) -> &'static [Element] {
    match namespace {
        Namespace::Ntop => &[
            E::NtopTlsVersion,
            E::NtopTlsCipher,
            E::ApplicationName,
            E::TlsServerName,
            E::NtopJa3,
            E::NtopJa4,
        ],
        Namespace::Cert => &[
            E::CertAppLabel,
            E::CertClientVersion,
            E::CertServerCipher,
            E::ApplicationName,
            E::CertServerName,
        ],
        Namespace::Cesnet => &[
            E::FlowmonJa3,
            E::FlowmonTlsVersion,
            E::ApplicationName,
            E::CesnetTlsServerName,
            E::CesnetJa4,
            E::FlowmonTlsAlpn,
        ],
    }
}

/// What a server of QUIC chooses is not read.
const fn of_quic(namespace: Namespace) -> &'static [Element] {
    match namespace {
        Namespace::Ntop => &[E::ApplicationName, E::TlsServerName, E::NtopJa3, E::NtopJa4],
        Namespace::Cert => &[E::CertAppLabel, E::ApplicationName, E::CertServerName],
        Namespace::Cesnet => &[
            E::FlowmonJa3,
            E::CesnetQuicVersion,
            E::ApplicationName,
            E::CesnetQuicServerName,
            E::CesnetJa4,
        ],
    }
}

const fn of_http(namespace: Namespace) -> &'static [Element] {
    match namespace {
        Namespace::Cert => &[
            E::CertAppLabel,
            E::HttpStatusCode,
            E::ApplicationName,
            E::HttpRequestMethod,
            E::HttpRequestHost,
            E::HttpRequestTarget,
            E::HttpUserAgent,
        ],
        Namespace::Ntop | Namespace::Cesnet => &[
            E::HttpStatusCode,
            E::ApplicationName,
            E::HttpRequestMethod,
            E::HttpRequestHost,
            E::HttpRequestTarget,
            E::HttpUserAgent,
        ],
    }
}
