//! Names in payload: the objects `dns`, `tls`, `http`, `url`, and what belongs to `network` and
//! `flowprobe`.

use flow::{
    DnsAnswer, DnsData, DnsFacts, DnsResponse, Facts, HttpFacts, NameCounts, TlsChoice, TlsFacts,
};

use super::member::{put_comma, put_number, put_string, put_text};

/// Appends `dns`, `http` and `url`.
pub(super) fn put_facts(facts: &Facts, out: &mut Vec<u8>) {
    if let Some(dns) = &facts.dns {
        out.extend_from_slice(br#","dns":"#);
        put_dns(dns, out);
    }
    if let Some(http) = &facts.http {
        put_http(http, out);
    }
}

/// Appends the object of a DNS question and its answer.
pub(super) fn put_dns(dns: &DnsFacts, out: &mut Vec<u8>) {
    let kind = if dns.response.is_some() { "answer" } else { "query" };
    put_text(out, br#"{"type":""#, kind.as_bytes());
    put_number(out, br#"","id":""#, dns.id);
    put_string(out, br#"","op_code":"#, &dns.op_code.name);
    put_list(dns.flags.iter(), br#","header_flags":["#, out);
    if let Some(name) = &dns.name {
        put_string(out, br#","question":{"name":"#, name);
        put_string(out, br#","type":"#, &dns.kind.name);
        put_string(out, br#","class":"#, &dns.class.name);
        for (label, part) in [
            (&br#","registered_domain":"#[..], dns.registered_domain()),
            (br#","subdomain":"#, dns.subdomain()),
            (br#","top_level_domain":"#, dns.top_level_domain()),
        ] {
            part.iter().for_each(|part| put_string(out, label, part));
        }
        out.push(b'}');
    }
    if let Some(response) = &dns.response {
        put_response(response, out);
    }
    out.push(b'}');
}

fn put_response(response: &DnsResponse, out: &mut Vec<u8>) {
    put_string(out, br#","response_code":"#, &response.code.name);
    put_number(out, br#","answers_count":"#, response.answers_count);
    if response.answers.is_empty() {
        return;
    }
    out.extend_from_slice(br#","answers":["#);
    for (index, answer) in response.answers.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        put_answer(answer, out);
    }
    out.push(b']');
    let mut addresses = response.addresses().peekable();
    if addresses.peek().is_some() {
        put_list(addresses.map(|it| it.to_string()), br#","resolved_ip":["#, out);
    }
}

fn put_answer(answer: &DnsAnswer, out: &mut Vec<u8>) {
    put_string(out, br#"{"type":"#, &answer.kind);
    put_string(out, br#","class":"#, &answer.class);
    put_number(out, br#","ttl":"#, answer.ttl);
    answer.name.iter().for_each(|name| put_string(out, br#","name":"#, name));
    match &answer.data {
        DnsData::Address(address) => put_string(out, br#","data":"#, &address.to_string()),
        DnsData::Name(Some(name)) => put_string(out, br#","data":"#, name),
        DnsData::Name(None) => {}
    }
    out.push(b'}');
}

/// Appends a list of texts that need no escape.
fn put_list<T: AsRef<str>>(texts: impl Iterator<Item = T>, label: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(label);
    for (index, text) in texts.enumerate() {
        put_text(out, if index == 0 { b"\"" } else { b",\"" }, text.as_ref().as_bytes());
        out.push(b'"');
    }
    out.push(b']');
}

/// Appends the names and fingerprints to `related`.
pub(super) fn put_names(facts: &Facts, out: &mut Vec<u8>) {
    let mut hosts = facts.hosts().peekable();
    if hosts.peek().is_some() {
        put_comma(out);
        out.extend_from_slice(br#""hosts":["#);
        for (index, host) in hosts.enumerate() {
            put_string(out, if index == 0 { b"" } else { b"," }, host);
        }
        out.push(b']');
    }
    let hashes = facts.tls.as_ref().map(|tls| [&tls.ja3, &tls.ja4]);
    let mut hashes = hashes.into_iter().flatten().flatten().peekable();
    if hashes.peek().is_some() {
        put_comma(out);
        put_list(hashes, br#""hash":["#, out);
    }
}

fn put_http(http: &HttpFacts, out: &mut Vec<u8>) {
    put_number(out, br#","http":{"version":"1."#, http.minor);
    out.push(b'"');
    let referrer = http.url.as_ref().and_then(|url| url.referrer_host.as_deref());
    if let Some(method) = &http.method {
        put_string(out, br#","request":{"method":"#, method);
        referrer.iter().for_each(|host| put_string(out, br#","referrer":"#, host));
        out.push(b'}');
    }
    if let Some(status) = http.status {
        put_number(out, br#","response":{"status_code":"#, status);
        out.push(b'}');
    }
    out.push(b'}');
    let Some(url) = &http.url else { return };
    let before = out.len();
    out.extend_from_slice(br#","url":{"#);
    let empty = out.len();
    http.host.iter().for_each(|host| put_string(out, br#""domain":"#, host));
    if let Some(port) = url.port {
        put_comma(out);
        put_number(out, br#""port":"#, port);
    }
    if let Some(path) = &url.path {
        put_comma(out);
        put_string(out, br#""path":"#, path);
    }
    if out.len() == empty {
        out.truncate(before);
    } else {
        out.push(b'}');
    }
    if let Some(agent) = &url.agent {
        put_string(out, br#","user_agent":{"original":"#, agent);
        out.push(b'}');
    }
}

/// Appends `tls`. Another exporter may have sent the server name alone.
pub(super) fn put_tls(facts: Option<&Facts>, server_name: Option<&str>, out: &mut Vec<u8>) {
    let tls = facts.and_then(|facts| facts.tls.as_ref());
    let choice = facts.and_then(|facts| facts.tls_choice.as_ref());
    if tls.is_none() && server_name.is_none() && choice.is_none() {
        return;
    }
    out.extend_from_slice(br#","tls":{"#);
    if tls.is_some() || server_name.is_some() {
        put_client(tls, server_name, out);
    }
    choice.iter().for_each(|choice| put_choice(choice, out));
    out.push(b'}');
}

fn put_client(tls: Option<&TlsFacts>, server_name: Option<&str>, out: &mut Vec<u8>) {
    out.extend_from_slice(br#""client":{"#);
    if let Some(name) = server_name {
        put_string(out, br#""server_name":"#, name);
    }
    let Some(tls) = tls else { return out.push(b'}') };
    for (label, hash) in [(&br#""ja3":"#[..], &tls.ja3), (br#""ja4":"#, &tls.ja4)] {
        if let Some(hash) = hash {
            put_comma(out);
            put_string(out, label, hash);
        }
    }
    out.push(b'}');
}

/// What the server chose.
fn put_choice(choice: &TlsChoice, out: &mut Vec<u8>) {
    put_comma(out);
    let protocol = if choice.version == 0x0300 { "ssl" } else { "tls" };
    put_string(out, br#""version_protocol":"#, protocol);
    if let Some(version) = version_name(choice.version) {
        put_string(out, br#","version":"#, version.trim_start_matches("ssl"));
    }
    put_string(out, br#","cipher":"#, &choice.cipher.name);
    choice.protocol.iter().for_each(|name| put_string(out, br#","next_protocol":"#, name));
}

/// Appends what ECS has no name for.
pub(super) fn put_own(facts: &Facts, counts: NameCounts, out: &mut Vec<u8>) {
    if facts.dns.is_some() {
        put_comma(out);
        put_number(out, br#""dns":{"queries":"#, counts.dns_queries);
        put_number(out, br#","responses":"#, counts.dns_responses);
        put_number(out, br#","errors":"#, counts.dns_errors);
        out.push(b'}');
    }
    if facts.http.is_some() {
        put_comma(out);
        put_number(out, br#""http":{"requests":"#, counts.http_requests);
        out.push(b'}');
    }
    if let Some(tls) = &facts.tls {
        put_comma(out);
        put_number(out, br#""tls":{"hellos":"#, counts.tls_hellos);
        // Of a hello that is cut it is not known.
        if tls.ja3.is_some() {
            out.extend_from_slice(br#","ech":"#);
            out.extend_from_slice(if tls.has_encrypted_hello { b"true" } else { b"false" });
        }
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
        put_string(out, br#""quic":{"version":"#, &version.name);
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
