//! Fields for which ECS and Elastic's NetFlow integration have no name: the object `flowprobe`.

use element::Flow;
use flow::Tunnel;

use super::facts::put_own;
use super::member::{put_comma, put_number, put_text};
use super::place::put_network;

/// Appends the object, unless it is empty. Collected flows have the protocol of their exporter.
pub(super) fn put_own_fields(flow: Flow<'_>, protocol: Option<&str>, out: &mut Vec<u8>) {
    let before = out.len();
    out.extend_from_slice(br#","flowprobe":{"#);
    let empty = out.len();
    if let Some(protocol) = protocol {
        put_text(out, br#""protocol":""#, protocol.as_bytes());
        out.push(b'"');
    }
    if flow.collected().is_some_and(|collected| collected.is_scaled) {
        put_comma(out);
        out.extend_from_slice(br#""scaled":true"#);
    }
    put_network(br#""source":"#, flow.source(), out);
    put_network(br#""destination":"#, flow.destination(), out);
    if let Some(tunnel) = flow.tunnel() {
        put_comma(out);
        put_tunnel(tunnel, out);
    }
    if let Some(facts) = flow.facts() {
        let counts = flow.details.map(|details| details.name_counts).unwrap_or_default();
        put_own(facts, counts, out);
    }
    if out.len() == empty {
        out.truncate(before);
    } else {
        out.push(b'}');
    }
}

/// Appends the tunnel of a flow.
fn put_tunnel(tunnel: &Tunnel, out: &mut Vec<u8>) {
    put_text(out, br#""tunnel":{"type":""#, tunnel.kind.name().as_bytes());
    put_number(out, br#"","id":"#, tunnel.id);
    put_number(out, br#","depth":"#, tunnel.depth);
    for (label, address) in [
        (&br#","source":{"ip":""#[..], tunnel.source),
        (br#","destination":{"ip":""#, tunnel.destination),
    ] {
        put_text(out, label, address.ip(tunnel.ip_version).to_string().as_bytes());
        out.extend_from_slice(br#""}"#);
    }
    out.push(b'}');
}
