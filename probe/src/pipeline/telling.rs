//! What is told of what was found in payload.

use flow::{
    DnsAnswer, DnsData, DnsFacts, DnsResponse, Facts, HttpFacts, NameCounts, Named, TlsChoice,
    TlsFacts, UrlFacts,
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
    /// The facts with a finding. The first of each kind stays: `None` if it is no news.
    pub(crate) fn with(&self, facts: &Facts, found: &Found) -> Option<Facts> {
        let is_news = match found {
            Found::Dns(transaction) => match &facts.dns {
                Some(dns) => self.is_answer(dns, transaction),
                None => true,
            },
            Found::Hello { .. } => facts.tls.is_none(),
            Found::ServerHello(_) => facts.tls_choice.is_none(),
            Found::Request(_) => facts.http.as_ref().is_none_or(|http| http.method.is_none()),
            Found::Response(_) => facts.http.as_ref().is_none_or(|http| http.status.is_none()),
        };
        is_news.then(|| {
            let mut facts = facts.clone();
            self.add(&mut facts, found);
            facts
        })
    }

    /// Adds a finding that is news.
    fn add(&self, facts: &mut Facts, found: &Found) {
        match found {
            Found::Dns(transaction) => {
                let dns = facts.dns.get_or_insert_with(|| self.dns(transaction));
                if self.is_answer(dns, transaction) {
                    self.answer(dns, transaction);
                }
            }
            Found::Hello { hello, quic } => {
                facts.tls = Some(self.tls(hello));
                facts.quic_version = quic.map(|version| named(version.number(), version));
            }
            Found::ServerHello(choice) => {
                facts.tls_choice = Some(TlsChoice {
                    version: choice.version,
                    cipher: named(choice.cipher.0, choice.cipher),
                    protocol: choice.protocol.as_ref().map(text),
                });
            }
            Found::Request(request) => self.add_request(facts, request),
            Found::Response(Response { status, minor }) => {
                let new = || HttpFacts { minor: *minor, ..HttpFacts::default() };
                facts.http.get_or_insert_with(new).status = Some(*status);
            }
        }
    }

    /// Whether a message is the first answer to the question that is told.
    fn is_answer(&self, dns: &DnsFacts, transaction: &Transaction) -> bool {
        transaction.response_code.is_some()
            && dns.response.is_none()
            && dns.id == transaction.id
            && dns.name == self.question(transaction)
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
        let answers: Box<[_]> = transaction.answers.iter().map(|it| self.record(it)).collect();
        dns.flags = transaction.flags.names().collect();
        dns.response = Some(DnsResponse {
            code: named(code.0, code),
            answers_count: transaction.answers_count,
            texts: texts(&answers),
            answers,
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

    fn add_request(&self, facts: &mut Facts, request: &Request) {
        let http = facts.http.get_or_insert_default();
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

    fn tls(&self, hello: &ClientHello) -> TlsFacts {
        TlsFacts {
            server_name: hello.server_name.as_ref().and_then(|name| self.name(name)),
            ja3: hello.ja3.map(|ja3| ja3.to_string().into()),
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

/// Counts a message.
pub(crate) fn count(counts: &mut NameCounts, found: &Found) {
    match found {
        Found::Dns(transaction) => match transaction.response_code {
            None => counts.dns_queries += 1,
            Some(code) => {
                counts.dns_responses += 1;
                counts.dns_errors += u32::from(code.0 != 0);
            }
        },
        Found::Hello { .. } => counts.tls_hellos += 1,
        Found::Request(_) => counts.http_requests += 1,
        Found::ServerHello(_) | Found::Response(_) => {}
    }
}

fn named<N>(number: N, name: impl ToString) -> Named<N> {
    Named { number, name: name.to_string().into() }
}

/// Addresses and names in records of an answer.
fn texts(answers: &[DnsAnswer]) -> Box<str> {
    let texts = answers.iter().filter_map(|answer| match &answer.data {
        DnsData::Address(address) => Some(address.to_string()),
        DnsData::Name(name) => name.as_deref().map(str::to_owned),
    });
    texts.collect::<Vec<_>>().join(" ").into()
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
    let answers = |response: &DnsResponse| {
        response.answers.iter().map(answer).sum::<usize>() + response.texts.len()
    };
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
