//! What is told of what was found in payload.

use flow::{
    DnsAnswer, DnsData, DnsFacts, DnsResponse, Facts, HttpFacts, Named, TlsChoice, TlsFacts,
    UrlFacts,
};
use payload::http::{Request, Response};
use payload::reader::{Found, Transaction};
use payload::tls::ClientHello;
use payload::{NameForm, Text, domain_at};

/// Memory of a version of facts besides its texts.
const VERSION_OCTETS: usize = 500;

/// Settings of what is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Telling {
    /// The form of names.
    pub(crate) names: NameForm,
    /// Of HTTP also path, user agent and the host of the referrer.
    pub(crate) url: bool,
}

impl Telling {
    /// Adds a finding. The first of each kind stays. Returns whether it is news.
    pub(crate) fn add(&self, facts: &mut Facts, found: &Found) -> bool {
        match found {
            Found::Dns(transaction) => self.add_dns(facts, transaction),
            Found::Hello { hello, quic } => {
                let is_first = facts.tls.is_none();
                if is_first {
                    facts.tls = Some(self.tls(hello));
                    facts.quic_version = quic.map(|version| named(version.number(), version));
                }
                is_first
            }
            Found::ServerHello(choice) => {
                let is_first = facts.tls_choice.is_none();
                facts.tls_choice.get_or_insert_with(|| TlsChoice {
                    version: choice.version,
                    cipher: named(choice.cipher.0, choice.cipher),
                    protocol: choice.protocol.as_ref().map(text),
                });
                is_first
            }
            Found::Request(request) => self.add_request(facts, request),
            Found::Response(Response { status, minor }) => {
                let new = || HttpFacts { minor: *minor, ..HttpFacts::default() };
                let http = facts.http.get_or_insert_with(new);
                let is_first = http.status.is_none();
                http.status = http.status.or(Some(*status));
                is_first
            }
        }
    }

    /// The first question, and its first answer.
    fn add_dns(&self, facts: &mut Facts, transaction: &Transaction) -> bool {
        let is_first = facts.dns.is_none();
        let dns = facts.dns.get_or_insert_with(|| self.dns(transaction));
        let answers = dns.id == transaction.id
            && dns.response.is_none()
            && dns.name == self.question(transaction);
        (answers && self.answer(dns, transaction)) || is_first
    }

    /// The name asked for.
    fn question(&self, transaction: &Transaction) -> Option<Box<str>> {
        transaction.question.as_ref().and_then(|question| self.name(&question.name))
    }

    /// What a message says without its answer.
    pub(crate) fn dns(&self, transaction: &Transaction) -> DnsFacts {
        let question = transaction.question.as_ref();
        let name = self.question(transaction);
        DnsFacts {
            id: transaction.id,
            op_code: named(transaction.opcode.0.into(), transaction.opcode),
            flags: transaction.flags.names().collect(),
            domain_at: match self.names {
                NameForm::Full | NameForm::Domain => name.as_deref().and_then(domain_at),
                NameForm::Hash(_) => None,
            },
            name,
            kind: question.map(|it| named(it.kind.0, it.kind)).unwrap_or_default(),
            class: question.map(|it| named(it.class.0, it.class)).unwrap_or_default(),
            response: None,
        }
    }

    /// Adds an answer to its question. Returns false if the message is no answer.
    pub(crate) fn answer(&self, dns: &mut DnsFacts, transaction: &Transaction) -> bool {
        let Some(code) = transaction.response_code else { return false };
        dns.flags = transaction.flags.names().collect();
        dns.response = Some(DnsResponse {
            code: named(code.0, code),
            answers_count: transaction.answers_count,
            answers: transaction.answers.iter().map(|answer| self.record(answer)).collect(),
        });
        true
    }

    fn record(&self, answer: &DnsAnswer) -> DnsAnswer {
        let told = |name: &Option<Box<str>>| name.as_deref().and_then(|name| self.names.of(name));
        let data = match &answer.data {
            DnsData::Address(address) => DnsData::Address(*address),
            DnsData::Name(name) => DnsData::Name(told(name)),
        };
        DnsAnswer { name: told(&answer.name), data, ..answer.clone() }
    }

    fn add_request(&self, facts: &mut Facts, request: &Request) -> bool {
        let http = facts.http.get_or_insert_default();
        let is_first = http.method.is_none();
        if is_first {
            http.method = Some(text(&request.method));
            http.host = request.host.as_ref().and_then(|host| self.name(host));
            http.minor = request.minor;
            http.url = (self.names == NameForm::Full).then(|| UrlFacts {
                port: request.port,
                path: request.path.as_ref().filter(|_| self.url).map(text),
                agent: request.agent.as_ref().filter(|_| self.url).map(text),
                referrer_host: request.referrer_host.as_ref().filter(|_| self.url).map(text),
            });
        }
        is_first
    }

    fn tls(&self, hello: &ClientHello) -> TlsFacts {
        TlsFacts {
            server_name: hello.server_name.as_ref().and_then(|name| self.name(name)),
            ja3: hello.ja3.to_string().into(),
            ja4: hello.ja4.as_ref().map(text),
            version: hello.version,
            protocol_offered: hello.protocol_offered.as_ref().map(text),
            has_encrypted_hello: hello.has_encrypted_hello,
        }
    }

    fn name<const N: usize>(&self, name: &Text<N>) -> Option<Box<str>> {
        self.names.of(name.as_str())
    }
}

fn named<N>(number: N, name: impl ToString) -> Named<N> {
    Named { number, name: name.to_string().into() }
}

fn text<const N: usize>(text: &Text<N>) -> Box<str> {
    text.as_str().into()
}

/// Memory of the texts and the answer of DNS.
pub(crate) fn dns_octets(dns: &DnsFacts) -> usize {
    let length = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
    let answer = |answer: &DnsAnswer| {
        let data = if let DnsData::Name(name) = &answer.data { length(name) } else { 0 };
        size_of::<DnsAnswer>() + length(&answer.name) + data + 16
    };
    let answers = |response: &DnsResponse| response.answers.iter().map(answer).sum::<usize>();
    length(&dns.name) + 160 + dns.response.as_ref().map_or(0, answers)
}

/// Memory of a version of facts, with its texts.
pub(crate) fn octets(facts: &Facts) -> usize {
    let length = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
    let dns = facts.dns.as_ref().map_or(0, dns_octets);
    let tls = facts.tls.as_ref().map_or(0, |tls| length(&tls.server_name) + 160);
    let choice = if facts.tls_choice.is_some() { 120 } else { 0 };
    let url = |url: &UrlFacts| length(&url.path) + length(&url.agent) + length(&url.referrer_host);
    let http = facts
        .http
        .as_ref()
        .map_or(0, |http| length(&http.host) + 32 + http.url.as_ref().map_or(0, url));
    VERSION_OCTETS + dns + tls + choice + http
}
