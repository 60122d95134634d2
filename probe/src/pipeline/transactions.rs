//! DNS transactions: questions that wait for their answers, and the events of both.
//!
//! An answer belongs to the question of the same client with the same identification and name, if
//! it comes in time. What an event says does not depend on when the question is forgotten, as long
//! as it waits for the time that it may.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasherDefault;
use std::ops::AddAssign;

use flow::number::protocol::transport_name;
use flow::{ConversationKey, DnsFacts, Event, EventKind, Facts, Timestamp, Value};
use payload::reader::{Found, Transaction};

use crate::pipeline::facts::KeyedHash;
use crate::pipeline::payload::Finding;
use crate::pipeline::telling::{self, Telling};

/// An answer that comes later is no answer to the question.
const WAIT_MS: u64 = 5000;

/// Live: packets may be behind the clock by this time.
const LATE_MS: u64 = 1000;

/// Memory of a question besides its texts.
const QUESTION_OCTETS: usize = 300;

/// Counts of events, by what they say.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TransactionCounts {
    /// Questions with their answers.
    pub(crate) answered: u64,
    /// Questions that got no answer in time.
    pub(crate) unanswered: u64,
    /// Questions whose answer may have come later: those at the end, and those that gave their
    /// memory to others.
    pub(crate) open: u64,
    /// Answers whose question was not seen, or has another answer.
    pub(crate) unasked: u64,
    /// Of the open ones, those that gave their memory to others.
    pub(crate) evicted: u64,
    /// Questions that came again before their answer. They have no event of their own.
    pub(crate) repeated: u64,
}

impl AddAssign for TransactionCounts {
    fn add_assign(&mut self, other: Self) {
        self.answered += other.answered;
        self.unanswered += other.unanswered;
        self.open += other.open;
        self.unasked += other.unasked;
        self.evicted += other.evicted;
        self.repeated += other.repeated;
    }
}

/// A client's question: the conversation, whether the client is its lower end, and the
/// identification.
type Key = (ConversationKey, bool, u16);

/// The questions that wait, and what events have in common.
#[derive(Debug)]
pub(crate) struct Transactions {
    waiting: HashMap<Key, Question, BuildHasherDefault<KeyedHash>>,
    /// In the order in which they came: key and number. Those that have an answer are in it until
    /// their turn comes.
    order: VecDeque<(Key, u64)>,
    telling: Telling,
    observer: [(&'static str, Value); 5],
    memory: usize,
    memory_max: usize,
    next: u64,
    counts: TransactionCounts,
}

#[derive(Debug)]
struct Question {
    time: Timestamp,
    /// When it came for the last time.
    last: Timestamp,
    dns: DnsFacts,
    /// How often it was asked.
    times: u64,
    number: u64,
    memory: usize,
}

/// What became of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Its answer came at this time.
    Answered(Timestamp),
    Unanswered,
    Open,
}

impl Transactions {
    /// No questions yet. Events name the program with this name.
    pub(crate) fn new(telling: Telling, memory_max: usize, name: &str, version: &str) -> Self {
        Self {
            waiting: HashMap::default(),
            order: VecDeque::new(),
            telling,
            observer: Event::observer(name, version),
            memory: 0,
            memory_max,
            next: 0,
            counts: TransactionCounts::default(),
        }
    }

    pub(crate) fn counts(&self) -> TransactionCounts {
        self.counts
    }

    /// Takes a message, if it is one of DNS.
    pub(crate) fn learn(&mut self, finding: &Finding, events: &mut Vec<Event>) {
        let Some(Found::Dns(transaction)) = &finding.found else { return };
        let key = (finding.conversation, finding.is_client_lower(), transaction.id);
        if transaction.response_code.is_some() {
            self.answer(&key, transaction, finding.time, events);
        } else {
            self.ask(key, transaction, finding.time, events);
        }
    }

    fn ask(
        &mut self,
        key: Key,
        transaction: &Transaction,
        time: Timestamp,
        events: &mut Vec<Event>,
    ) {
        let dns = self.telling.dns(transaction);
        self.next += 1;
        let number = self.next;
        let known = self.waiting.get_mut(&key);
        if let Some(known) = known.filter(|it| it.asks(&dns) && it.is_in_time(time)) {
            known.times += 1;
            (known.last, known.number) = (known.last.max(time), number);
            self.counts.repeated += 1;
        } else {
            self.end(&key, Outcome::Unanswered, events);
            let memory = QUESTION_OCTETS + telling::dns_octets(&dns);
            self.memory += memory;
            self.waiting.insert(key, Question { time, last: time, dns, times: 1, number, memory });
        }
        // The question that was asked last is the last to expire.
        self.order.push_back((key, number));
        while self.memory + self.order.len() * size_of::<(Key, u64)>() > self.memory_max {
            let Some((key, number)) = self.order.pop_front() else { return };
            let Some(question) = self.question(&key, number) else { continue };
            let outcome = question.outcome(time);
            self.counts.evicted += u64::from(outcome == Outcome::Open);
            self.end(&key, outcome, events);
        }
    }

    fn answer(
        &mut self,
        key: &Key,
        transaction: &Transaction,
        time: Timestamp,
        events: &mut Vec<Event>,
    ) {
        let mut dns = self.telling.dns(transaction);
        match self.waiting.get_mut(key) {
            Some(question) if question.is_answered_by(&dns, transaction, time) => {
                self.telling.answer(&mut question.dns, transaction);
                self.end(key, Outcome::Answered(time), events);
            }
            _ => {
                self.telling.answer(&mut dns, transaction);
                self.counts.unasked += 1;
                events.push(self.event(key, time, Outcome::Answered(time), dns, 0));
            }
        }
    }

    /// Live, and in a pipe: ends the questions that have waited for too long.
    pub(crate) fn expire(&mut self, now: Timestamp, events: &mut Vec<Event>) {
        while let Some(&(key, number)) = self.order.front() {
            if let Some(question) = self.question(&key, number) {
                if question.last.plus_millis(WAIT_MS + LATE_MS) >= now {
                    return;
                }
                self.end(&key, Outcome::Unanswered, events);
            }
            self.order.pop_front();
        }
    }

    /// Ends all questions.
    pub(crate) fn finish(&mut self, now: Timestamp, events: &mut Vec<Event>) {
        while let Some((key, number)) = self.order.pop_front() {
            let outcome = self.question(&key, number).map(|question| question.outcome(now));
            outcome.into_iter().for_each(|outcome| self.end(&key, outcome, events));
        }
    }

    fn question(&self, key: &Key, number: u64) -> Option<&Question> {
        self.waiting.get(key).filter(|question| question.number == number)
    }

    fn end(&mut self, key: &Key, outcome: Outcome, events: &mut Vec<Event>) {
        let Some(question) = self.waiting.remove(key) else { return };
        self.memory -= question.memory;
        *match outcome {
            Outcome::Answered(_) => &mut self.counts.answered,
            Outcome::Unanswered => &mut self.counts.unanswered,
            Outcome::Open => &mut self.counts.open,
        } += 1;
        events.push(self.event(key, question.time, outcome, question.dns, question.times));
    }

    /// The event of a question, or of an answer alone.
    fn event(
        &self,
        (conversation, is_client_lower, _): &Key,
        time: Timestamp,
        outcome: Outcome,
        dns: DnsFacts,
        times: u64,
    ) -> Event {
        let [low, high] = conversation.ends();
        let (client, server) = if *is_client_lower { (low, high) } else { (high, low) };
        let texts = |texts: &[&str]| Value::List(texts.iter().map(|&text| text.into()).collect());
        let mut fields = vec![
            ("event.category", texts(&["network"])),
            ("event.type", texts(&["connection", "protocol"])),
            ("event.module", "flowprobe".into()),
            ("event.dataset", "flowprobe.dns".into()),
            ("event.outcome", outcome.word().into()),
            ("event.start", Value::Time(time)),
            ("client.ip", Value::Address(client.0)),
            ("client.port", Value::Number(client.1.into())),
            ("server.ip", Value::Address(server.0)),
            ("server.port", Value::Number(server.1.into())),
            ("source.ip", Value::Address(client.0)),
            ("source.port", Value::Number(client.1.into())),
            ("destination.ip", Value::Address(server.0)),
            ("destination.port", Value::Number(server.1.into())),
            ("network.protocol", "dns".into()),
            ("network.type", if client.0.is_ipv4() { "ipv4" } else { "ipv6" }.into()),
            ("flowprobe.dns.queries", Value::Number(times)),
        ];
        if let Some(name) = transport_name(conversation.protocol()) {
            fields.push(("network.transport", name.into()));
        }
        if let Outcome::Answered(end) = outcome {
            fields.push(("event.end", Value::Time(end.max(time))));
            if times > 0 {
                let nanoseconds = end.millis_since(time) * 1_000_000;
                fields.push(("event.duration", Value::Number(nanoseconds)));
            }
        }
        let facts = Facts { dns: Some(dns), ..Facts::default() };
        let mut related = vec![client.0, server.0];
        related.extend(facts.resolved());
        related.sort();
        related.dedup();
        let related = related.into_iter().map(Value::Address).collect();
        fields.push(("related.ip", Value::List(related)));
        let hosts: Vec<_> = facts.hosts().map(Value::from).collect();
        if !hosts.is_empty() {
            fields.push(("related.hosts", Value::List(hosts)));
        }
        fields.extend(self.observer.iter().cloned());
        fields.extend(facts.dns.map(|dns| ("dns", Value::Dns(Box::new(dns)))));
        Event { kind: EventKind::DnsTransaction, time, fields }
    }
}

impl Outcome {
    /// `event.outcome` of ECS.
    fn word(self) -> &'static str {
        match self {
            Self::Answered(_) => "success",
            Self::Unanswered => "failure",
            Self::Open => "unknown",
        }
    }
}

impl Question {
    fn is_in_time(&self, time: Timestamp) -> bool {
        time <= self.last.plus_millis(WAIT_MS)
    }

    fn asks(&self, dns: &DnsFacts) -> bool {
        let what = |dns: &DnsFacts| (dns.kind.number, dns.class.number, dns.op_code.number);
        self.dns.name == dns.name && what(&self.dns) == what(dns)
    }

    /// An answer that refuses the question may be without it.
    fn is_answered_by(&self, dns: &DnsFacts, answer: &Transaction, time: Timestamp) -> bool {
        self.is_in_time(time) && (answer.question.is_none() || self.asks(dns))
    }

    fn outcome(&self, now: Timestamp) -> Outcome {
        if self.is_in_time(now) { Outcome::Open } else { Outcome::Unanswered }
    }
}
