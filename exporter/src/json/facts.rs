//! Names in payload: the objects `dns`, `tls`, `http`, `url`, and what belongs to `network` and
//! `flowprobe`.

use flow::{DnsFacts, Facts, HttpFacts, TlsFacts};

use super::member::{put_comma, put_number, put_string, put_text};

/// The protocol of the names, for `network.protocol`.
pub(super) fn protocol(facts: &Facts) -> Option<&'static str> {
    match facts {
        Facts { quic_version: Some(_), .. } => Some("quic"),
        Facts { tls: Some(_), .. } => Some("tls"),
        Facts { http: Some(_), .. } => Some("http"),
        Facts { dns: Some(_), .. } => Some("dns"),
        _ => None,
    }
}

/// Appends `dns`, `http` and `url`.
pub(super) fn put_facts(facts: &Facts, out: &mut Vec<u8>) {
    if let Some(dns) = &facts.dns {
        put_dns(dns, out);
    }
    if let Some(http) = &facts.http {
        put_http(http, out);
    }
}

fn put_dns(dns: &DnsFacts, out: &mut Vec<u8>) {
    let kind = if dns.response_code.is_some() { "answer" } else { "query" };
    put_text(out, br#","dns":{"type":""#, kind.as_bytes());
    put_number(out, br#"","id":""#, dns.id);
    put_string(out, br#"","op_code":"#, &dns.op_code);
    if let Some(name) = &dns.name {
        put_string(out, br#","question":{"name":"#, name);
        put_string(out, br#","type":"#, &dns.kind);
        put_string(out, br#","class":"#, &dns.class);
        out.push(b'}');
    }
    if let Some(code) = &dns.response_code {
        put_string(out, br#","response_code":"#, code);
    }
    out.push(b'}');
}

fn put_http(http: &HttpFacts, out: &mut Vec<u8>) {
    put_number(out, br#","http":{"version":"1."#, http.minor);
    out.push(b'"');
    if let Some(method) = &http.method {
        put_string(out, br#","request":{"method":"#, method);
        out.push(b'}');
    }
    if let Some(status) = http.status {
        put_number(out, br#","response":{"status_code":"#, status);
        out.push(b'}');
    }
    out.push(b'}');
    if let Some(host) = &http.host {
        put_string(out, br#","url":{"domain":"#, host);
        if let Some(port) = http.port {
            put_number(out, br#","port":"#, port);
        }
        out.push(b'}');
    }
}

/// Appends `tls`. Another exporter may have sent the server name alone.
pub(super) fn put_tls(tls: Option<&TlsFacts>, server_name: Option<&str>, out: &mut Vec<u8>) {
    if tls.is_none() && server_name.is_none() {
        return;
    }
    out.extend_from_slice(br#","tls":{"client":{"#);
    if let Some(name) = server_name {
        put_string(out, br#""server_name":"#, name);
    }
    if let Some(tls) = tls {
        put_comma(out);
        put_string(out, br#""ja3":"#, &tls.ja3);
        if let Some(ja4) = &tls.ja4 {
            put_string(out, br#","ja4":"#, ja4);
        }
    }
    out.extend_from_slice(b"}}");
}

/// Appends what ECS has no name for.
pub(super) fn put_own(facts: &Facts, out: &mut Vec<u8>) {
    if let Some(tls) = &facts.tls {
        put_comma(out);
        out.extend_from_slice(br#""tls":{"ech":"#);
        out.extend_from_slice(if tls.has_encrypted_hello { b"true" } else { b"false" });
        if let Some(protocol) = &tls.protocol_offered {
            put_string(out, br#","alpn_offered":"#, protocol);
        }
        if let Some(version) = version_name(tls.version) {
            put_text(out, br#","version_offered":""#, version.as_bytes());
            out.push(b'"');
        }
        out.push(b'}');
    }
    if let Some(version) = &facts.quic_version {
        put_comma(out);
        put_string(out, br#""quic":{"version":"#, version);
        out.push(b'}');
    }
}

fn version_name(version: u16) -> Option<&'static str> {
    Some(match version {
        0x0300 => "ssl3",
        0x0301 => "1.0",
        0x0302 => "1.1",
        0x0303 => "1.2",
        0x0304 => "1.3",
        _ => return None,
    })
}
