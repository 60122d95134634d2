//! IPFIX over TCP, plain and under TLS.

use super::tls::{CA, CERT, FINGERPRINT, KEY, tls};
use super::udp::IPFIX_PORT;
use super::{NAMES, ODID, Opened, Output, Request, SOURCE, Setting, TargetForm, WAIT};
use crate::tls::TlsSettings;
use crate::transport::{Host, StreamSettings, StreamTransport, Transport};

pub(super) const IPFIX_TCP: Output = Output {
    scheme: "ipfix+tcp",
    meaning: "IPFIX over TCP (RFC 7011 section 10.4)",
    settings: &[&ODID, &NAMES, &RECONNECT, &SOURCE, &WAIT],
    writes_documents: false,
    target: TargetForm::Host(IPFIX_PORT, |request, host| open(request, host, None)),
    sampling_interval_max: u32::MAX,
};

pub(super) const IPFIX_TLS: Output = Output {
    scheme: "ipfix+tls",
    meaning: "IPFIX over TLS (RFC 7011 section 11)",
    settings: &[&ODID, &NAMES, &RECONNECT, &CA, &CERT, &KEY, &FINGERPRINT, &SOURCE, &WAIT],
    writes_documents: false,
    target: TargetForm::Host(IPFIX_TLS_PORT, |request, host| {
        open(request, host, Some(tls(request.settings)))
    }),
    sampling_interval_max: u32::MAX,
};

/// Port of IPFIX over TLS (RFC 7011 section 10.4.2.2).
const IPFIX_TLS_PORT: u16 = 4740;

const RECONNECT: Setting =
    Setting::duration("reconnect", "longest pause between attempts to connect").default("60s");

fn open(request: &Request<'_>, host: &Host, tls: Option<TlsSettings>) -> Opened {
    let reconnect_max = request.settings.duration(&RECONNECT);
    let (collector, wait) = (request.collector(host), request.settings.duration(&WAIT));
    let settings = StreamSettings { collector, tls, reconnect_max, wait };
    let transport = StreamTransport::open(request.name, settings, request.context.patience)?;
    let encoder = request.ipfix(transport.message_limit());
    Ok(request.messages(encoder, transport, None))
}
