//! The client of the brokers: gives batches to the library and waits for their outcomes.

use std::fmt::{self, Debug};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, PurgeConfig, ThreadedProducer};

use super::outcome::{is_missing, is_too_large, needs_operator, outcome, reason};
use super::receipts::{Failure, Listener, Receipts, Ticket, Trouble, code_of};
use crate::batches::{Answer, Batch, Client, HostIndex, Outcome};
use crate::ending;

/// Settings of the connection to the brokers.
pub(crate) struct KafkaSettings {
    /// `HOST:PORT` of some brokers, separated by commas.
    pub(crate) brokers: String,
    pub(crate) topic: String,
    /// The name of the codec.
    pub(crate) compression: String,
    /// Maximum octets of a request's messages, before compression.
    pub(crate) message_octets: usize,
    /// Maximum octets of all messages that are under way.
    pub(crate) octets_under_way: usize,
    /// A message that is not acknowledged in this time waits, or goes to the spool.
    pub(crate) timeout: Duration,
    pub(crate) value: Value,
    /// The name and the version of this exporter, for headers of messages.
    pub(crate) agent: String,
    pub(crate) version: String,
    /// Settings of the library for TLS and SASL.
    pub(crate) security: Vec<(&'static str, String)>,
}

/// What the value of a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// A document in JSON.
    Document,
    /// An IPFIX message.
    Ipfix,
}

impl Value {
    fn content_type(self) -> &'static str {
        match self {
            Self::Document => "application/json",
            Self::Ipfix => "application/ipfix",
        }
    }
}

/// Timeout of the request that checks the topic.
const QUESTION: Duration = Duration::from_secs(3);
/// Time that brokers have to create a topic when they are asked for it.
const CREATION: Duration = Duration::from_secs(5);
/// Pause between two questions for a topic that does not exist yet.
const AGAIN: Duration = Duration::from_millis(200);

type Sending = ThreadedProducer<Listener>;

pub(super) struct KafkaClient {
    config: ClientConfig,
    brokers: String,
    topic: String,
    value: Value,
    headers: OwnedHeaders,
    receipts: Arc<Receipts>,
    /// Sends many messages in a request.
    together: Mutex<Option<Arc<Sending>>>,
    /// Sends one message in a request: others cannot make it too large.
    alone: Mutex<Option<Arc<Sending>>>,
    was_asked: AtomicBool,
    ends: AtomicBool,
}

impl KafkaClient {
    /// Checks the settings. Connections are made with the first batch.
    pub(super) fn new(settings: KafkaSettings) -> Result<Self, String> {
        let config = config(&settings);
        config.create_native_config().map_err(|error| error.to_string())?;
        let header = |headers: OwnedHeaders, key, value: &str| {
            headers.insert(Header { key, value: Some(value) })
        };
        let headers = header(OwnedHeaders::new(), "content-type", settings.value.content_type());
        let headers = header(headers, "flowprobe-version", &settings.version);
        let headers = header(headers, "agent", &settings.agent);
        Ok(Self {
            config,
            brokers: settings.brokers,
            topic: settings.topic,
            value: settings.value,
            headers,
            receipts: Arc::default(),
            together: Mutex::default(),
            alone: Mutex::default(),
            was_asked: false.into(),
            ends: false.into(),
        })
    }

    /// The producer for `way`. It begins with the first batch, and anew after a fatal error.
    fn producer(&self, way: Way) -> Result<Arc<Sending>, Answer> {
        let place = match way {
            Way::Together => &self.together,
            Way::Alone => &self.alone,
        };
        let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(producer) = &*place
            && producer.client().fatal_error().is_none()
        {
            return Ok(Arc::clone(producer));
        }
        let mut config = self.config.clone();
        if way == Way::Alone {
            config.set("batch.num.messages", "1");
        }
        let listener = Listener(Arc::clone(&self.receipts));
        let producer = Sending::from_config_and_context(&config, listener);
        let producer = Arc::new(producer.map_err(|error| Answer::Failed(error.to_string()))?);
        *place = Some(Arc::clone(&producer));
        Ok(producer)
    }

    /// Sends the messages with these indices. Returns those that failed.
    fn produce(
        &self,
        batch: &Batch,
        indices: impl ExactSizeIterator<Item = usize>,
        way: Way,
    ) -> Result<Vec<Failure>, Answer> {
        let producer = self.producer(way)?;
        let slot = self.receipts.begin(indices.len());
        let slot = slot.ok_or_else(|| Answer::Failed("too many batches".to_owned()))?;
        for index in indices {
            let (key, value) = parts(batch.entry(index));
            let ticket = Ticket { slot, index };
            let mut record = BaseRecord::with_opaque_to(&self.topic, ticket.number())
                .payload(value)
                .headers(self.headers.clone());
            if !key.is_empty() {
                record = record.key(key);
            }
            if let Err((error, _)) = producer.send(record) {
                self.receipts.note(ticket, Some(code_of(&error)));
            }
        }
        loop {
            if let Some(failed) = self.receipts.wait(slot, ending::LOOK) {
                return Ok(failed);
            }
            if self.ends.load(Ordering::Relaxed) {
                // Each message that is under way has an outcome then.
                producer.purge(PurgeConfig::default().queue().inflight());
            }
        }
    }

    /// The outcome of each message.
    fn outcomes(&self, batch: &Batch) -> Result<Vec<Outcome>, Answer> {
        let mut failed = self.produce(batch, 0..batch.len(), Way::Together)?;
        let mut large: Vec<_> = failed.iter().filter(|(_, code)| is_too_large(*code)).collect();
        large.sort_unstable_by_key(|(index, _)| *index);
        let large: Vec<_> = large.into_iter().map(|(index, _)| *index).collect();
        if !large.is_empty() {
            failed.retain(|(_, code)| !is_too_large(*code));
            failed.extend(self.produce(batch, large.into_iter(), Way::Alone)?);
        }
        let trouble = self.receipts.take_trouble();
        let needs_operator = |(_, code): &Failure| needs_operator(*code);
        if failed.len() == batch.len()
            && let Some((_, code)) = failed.iter().find(|failure| needs_operator(failure))
        {
            return Err(Answer::Stop(reason(*code, &self.topic, trouble.as_ref())));
        }
        let mut outcomes = vec![Outcome::Accepted; batch.len()];
        for (index, code) in failed {
            outcomes[index] = outcome(code, &self.topic, trouble.as_ref());
        }
        Ok(outcomes)
    }

    /// Asks the brokers for the topic.
    fn find_topic(&self) -> Result<(), Answer> {
        let producer = self.producer(Way::Together)?;
        let begin = Instant::now();
        loop {
            let metadata = producer.client().fetch_metadata(Some(&self.topic), QUESTION);
            let code = match metadata {
                Ok(metadata) => match metadata.topics().first().and_then(|topic| topic.error()) {
                    None => return Ok(()),
                    Some(error) => RDKafkaErrorCode::from(error),
                },
                Err(error) => return Err(self.not_reached(code_of(&error))),
            };
            let may_come = is_missing(code) && begin.elapsed() < CREATION;
            if !may_come || self.ends.load(Ordering::Relaxed) {
                let reason = reason(code, &self.topic, None);
                let stops = needs_operator(code);
                return Err(if stops { Answer::Stop(reason) } else { Answer::Failed(reason) });
            }
            thread::sleep(AGAIN);
        }
    }

    fn not_reached(&self, code: RDKafkaErrorCode) -> Answer {
        let trouble = self.receipts.take_trouble();
        let stops = trouble.as_ref().map_or_else(|| needs_operator(code), Trouble::needs_operator);
        let reason = reason(code, &self.topic, trouble.as_ref());
        if stops { Answer::Stop(reason) } else { Answer::Failed(reason) }
    }
}

/// How messages are put into requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Together,
    Alone,
}

impl Client for KafkaClient {
    fn base(&self, _host: HostIndex) -> &str {
        &self.brokers
    }

    fn ask(&self, _host: HostIndex) -> Result<(), Answer> {
        self.find_topic()
    }

    fn ask_first(&self, host: HostIndex) -> Result<(), Answer> {
        if self.was_asked.swap(true, Ordering::Relaxed) { Ok(()) } else { self.ask(host) }
    }

    fn send(&self, _host: HostIndex, batch: &Batch) -> (Answer, u64) {
        match self.outcomes(batch) {
            Ok(outcomes) => (Answer::Items(outcomes), batch.octets() as u64),
            Err(answer) => (answer, 0),
        }
    }

    fn letter(&self, entry: &[u8]) -> String {
        let (key, value) = parts(entry);
        let key = match key {
            [] => serde_json::Value::Null,
            key => String::from_utf8_lossy(key).into(),
        };
        match self.value {
            Value::Document => {
                let document = String::from_utf8_lossy(value);
                format!("\"key\":{key},\"document\":{document}")
            }
            Value::Ipfix => {
                format!("\"key\":{key},\"message\":\"{}\"", STANDARD.encode(value))
            }
        }
    }

    fn shutdown(&self) {
        self.ends.store(true, Ordering::Relaxed);
    }
}

impl Debug for KafkaClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaClient").field("topic", &self.topic).finish_non_exhaustive()
    }
}

/// Appends an entry of a batch: the length of the key, the key, and the value by `put`.
pub(super) fn put_entry(key: &[u8], put: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) {
    let length = u16::try_from(key.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&key[..length.into()]);
    put(out);
}

/// The key and the value of an entry. A message without a key has an empty one.
fn parts(entry: &[u8]) -> (&[u8], &[u8]) {
    let parts = entry
        .split_first_chunk()
        .and_then(|(length, rest)| rest.split_at_checked(u16::from_le_bytes(*length).into()));
    parts.unwrap_or((&[], entry))
}

/// The settings of the library.
fn config(settings: &KafkaSettings) -> ClientConfig {
    let mut config = ClientConfig::new();
    let message_octets = settings.message_octets.to_string();
    let timeout = settings.timeout.as_millis().min(MILLIS_MAX).to_string();
    // The number of octets is the limit, in which headers count too.
    let kilobytes = (settings.octets_under_way / 512 + 65_536).min(KILOBYTES_MAX).to_string();
    for (name, value) in [
        ("bootstrap.servers", settings.brokers.as_str()),
        ("client.id", "flowprobe"),
        ("enable.idempotence", "true"),
        ("acks", "all"),
        ("partitioner", "murmur2_random"),
        // Messages without a key: any partition, each time.
        ("sticky.partitioning.linger.ms", "0"),
        ("compression.type", &settings.compression),
        ("message.max.bytes", &message_octets),
        ("batch.size", &message_octets),
        ("batch.num.messages", "100000"),
        // A batch is given to the library at once.
        ("linger.ms", "5"),
        ("message.timeout.ms", &timeout),
        ("queue.buffering.max.messages", "0"),
        ("queue.buffering.max.kbytes", &kilobytes),
        ("topic.metadata.propagation.max.ms", "5000"),
        ("reconnect.backoff.max.ms", "2000"),
    ] {
        config.set(name, value);
    }
    for (name, value) in &settings.security {
        config.set(*name, value);
    }
    config
}

/// The largest values that the library takes.
const MILLIS_MAX: u128 = 2_147_483_647;
const KILOBYTES_MAX: usize = 2_097_151;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_has_a_key_and_a_value() {
        for (key, value) in [(&b"1:key"[..], &b"{}"[..]), (b"", b"{}"), (b"k", b"")] {
            let mut entry = Vec::new();
            put_entry(key, |out| out.extend_from_slice(value), &mut entry);
            assert_eq!(parts(&entry), (key, value));
        }
        // A key that is too long for the entry is cut.
        let mut entry = Vec::new();
        put_entry(&[b'k'; 70_000], |out| out.push(b'v'), &mut entry);
        let (key, value) = parts(&entry);
        assert_eq!((key.len(), value), (65_535, &b"v"[..]));
    }

    fn settings(value: Value) -> KafkaSettings {
        KafkaSettings {
            brokers: "127.0.0.1:9".to_owned(),
            topic: "flows".to_owned(),
            compression: "zstd".to_owned(),
            message_octets: 1_000_000,
            octets_under_way: 1 << 40,
            timeout: Duration::MAX,
            value,
            agent: "test".to_owned(),
            version: "0".to_owned(),
            security: Vec::new(),
        }
    }

    #[test]
    fn library_takes_the_settings_also_at_their_edges() {
        let least = KafkaSettings {
            message_octets: 1_000,
            octets_under_way: 0,
            timeout: Duration::from_secs(1),
            ..settings(Value::Document)
        };
        for settings in [settings(Value::Document), least] {
            KafkaClient::new(settings).unwrap();
        }
        for compression in ["none", "lz4", "snappy"] {
            let compression = compression.to_owned();
            KafkaClient::new(KafkaSettings { compression, ..settings(Value::Document) }).unwrap();
        }
    }

    #[test]
    fn refused_entry_is_kept_as_json() {
        let client = KafkaClient::new(settings(Value::Document)).unwrap();
        let mut entry = Vec::new();
        put_entry(b"", |out| out.extend_from_slice(b"{\"a\":1}"), &mut entry);
        assert_eq!(client.letter(&entry), r#""key":null,"document":{"a":1}"#);
        let client = KafkaClient::new(settings(Value::Ipfix)).unwrap();
        let mut entry = Vec::new();
        put_entry(b"a/1", |out| out.extend_from_slice(&[0, 10, 255]), &mut entry);
        assert_eq!(client.letter(&entry), r#""key":"a/1","message":"AAr/""#);
    }
}
