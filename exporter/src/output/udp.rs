//! Messages as UDP datagrams.

use std::num::NonZeroU32;

use super::{NAMES, ODID, Opened, Output, Request, SOURCE, Setting, TargetForm, WAIT};
use crate::error::ExportError;
use crate::message::{Refresh, Uptime, netflow5, netflow9};
use crate::transport::{Host, RouteSettings, Transport, UdpSettings, UdpTransport};

pub(super) const NETFLOW5: Output = Output {
    scheme: "netflow5",
    meaning: "NetFlow v5 over UDP: IPv4 only; engine ID is the low octet of odid",
    settings: &[&ODID, &MTU, &PPS, &SOURCE, &TTL, &RESOLVE, &WAIT],
    writes_documents: false,
    target: TargetForm::Host(NETFLOW_PORT, netflow5),
    sampling_interval_max: netflow5::SAMPLING_INTERVAL_MAX,
};

pub(super) const NETFLOW9: Output = Output {
    scheme: "netflow9",
    meaning: "NetFlow v9 over UDP (RFC 3954)",
    settings: &[
        &ODID,
        &MTU,
        &PPS,
        &TEMPLATE_REFRESH,
        &TEMPLATE_PACKETS,
        &SOURCE,
        &TTL,
        &RESOLVE,
        &WAIT,
    ],
    writes_documents: false,
    target: TargetForm::Host(NETFLOW_PORT, netflow9),
    sampling_interval_max: u32::MAX,
};

pub(super) const IPFIX: Output = Output {
    scheme: "ipfix",
    meaning: "IPFIX over UDP (RFC 7011)",
    settings: &[
        &ODID,
        &NAMES,
        &MTU,
        &PPS,
        &TEMPLATE_REFRESH,
        &TEMPLATE_PACKETS,
        &SOURCE,
        &TTL,
        &RESOLVE,
        &WAIT,
    ],
    writes_documents: false,
    target: TargetForm::Host(IPFIX_PORT, ipfix),
    sampling_interval_max: u32::MAX,
};

/// Port that collectors use for NetFlow. None is registered.
const NETFLOW_PORT: u16 = 2055;

/// Port of IPFIX (RFC 7011 section 10.1).
pub(super) const IPFIX_PORT: u16 = 4739;

/// The minimum is 576 octets, which every IPv4 host accepts (RFC 791).
const MTU: Setting =
    Setting::number("mtu", "largest IP packet, in octets", 576..=9000).default("1500");

const PPS: Setting =
    Setting::number("pps", "most datagrams per second; 0 is no limit", 0..=u32::MAX)
        .default("10000");

const TTL: Setting = Setting::number(
    "ttl",
    "hop limit of datagrams; by default the system's, to a group 1",
    1..=255,
);

const RESOLVE: Setting =
    Setting::duration("resolve", "live, time between look-ups of the collector's name")
        .default("60s");

const TEMPLATE_REFRESH: Setting =
    Setting::duration("template-refresh", "repeat templates after this time").default("60s");

const TEMPLATE_PACKETS: Setting =
    Setting::number("template-packets", "repeat templates after this many datagrams", 1..=u32::MAX)
        .default("100");

fn netflow5(request: &Request<'_>, host: &Host) -> Opened {
    let transport = open(request, host)?;
    let encoder = netflow5::Encoder::new(
        // The engine ID is the low octet.
        request.observation_domain_id().to_be_bytes()[3],
        request.context.sampling_interval,
        transport.message_limit(),
        Uptime::new(request.context.uptime_start),
    );
    Ok(request.messages(encoder, transport, None))
}

fn netflow9(request: &Request<'_>, host: &Host) -> Opened {
    let transport = open(request, host)?;
    let encoder = netflow9::Encoder::new(
        request.observation_domain_id(),
        transport.message_limit(),
        Uptime::new(request.context.uptime_start),
        request.context.has_places,
    );
    Ok(request.messages(encoder, transport, Some(refresh(request))))
}

fn ipfix(request: &Request<'_>, host: &Host) -> Opened {
    let transport = open(request, host)?;
    let encoder = request.ipfix(transport.message_limit());
    Ok(request.messages(encoder, transport, Some(refresh(request))))
}

fn open(request: &Request<'_>, host: &Host) -> Result<UdpTransport, ExportError> {
    let route = RouteSettings {
        collector: request.collector(host),
        ttl: request.settings.given(&TTL),
        resolve: request.settings.duration(&RESOLVE),
        wait: request.settings.duration(&WAIT),
    };
    let settings = UdpSettings {
        route,
        mtu: request.settings.number(&MTU) as usize,
        pace: NonZeroU32::new(request.settings.number(&PPS)),
    };
    UdpTransport::open(request.name, &settings, request.context.patience)
}

fn refresh(request: &Request<'_>) -> Refresh {
    Refresh {
        interval: request.settings.duration(&TEMPLATE_REFRESH),
        messages: request.settings.number(&TEMPLATE_PACKETS),
    }
}
