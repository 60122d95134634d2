//! Settings of names in payload.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use exporter::{Destination, sentence};
use payload::reader::{DnsPorts, Kinds};
use payload::{HashKey, NameForm};

use super::values;
use crate::pipeline::payload::PayloadSettings;
use crate::pipeline::telling::Telling;

/// The variable that may hold the key of hashes.
const KEY_VARIABLE: &str = "FLOWPROBE_NAMES_KEY";

/// Names to look for in payload.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = Self::HEADING)]
pub(crate) struct PayloadArguments {
    /// Names in payload: some of dns (questions), tls (server names, JA3, JA4), quic (the same),
    /// http (hosts). Names are personal data
    #[arg(long, value_name = "PROTOCOLS", value_parser = kinds)]
    payload: Option<Kinds>,

    /// Names in records: full, or their registered domain, or a hash under a key
    #[arg(long, value_name = "FORM", value_enum, default_value_t = Names::Full)]
    payload_names: Names,

    /// File with the key of hashes: 32 hexadecimal digits. Probes with the same key give a name the
    /// same hash. The variable FLOWPROBE_NAMES_KEY can hold it instead
    #[arg(long, value_name = "FILE")]
    pub(super) payload_names_key: Option<PathBuf>,

    /// Fields of HTTP in records: the host, or also path (without the query), user agent and host
    /// of the referrer
    #[arg(long, value_name = "FIELDS", value_enum, default_value_t = Http::Host)]
    payload_http: Http,

    /// Ports of DNS, UDP and TCP: 5353 is multicast DNS, 5355 is LLMNR
    #[arg(long, value_name = "PORTS", default_value = "53", value_parser = dns_ports)]
    payload_dns_ports: DnsPorts,

    /// Also records of DNS answers: addresses and names, never text
    #[arg(long)]
    payload_dns_answers: bool,

    /// Memory for names and unfinished openings of all workers
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = values::size)]
    payload_memory: u64,
}

/// The form of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Names {
    Full,
    Domain,
    Hash,
}

/// Fields of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Http {
    Host,
    Url,
}

impl PayloadArguments {
    /// Their heading in the help.
    pub(super) const HEADING: &str = "Payload";

    /// Whether payload is read.
    pub(super) fn is_read(&self) -> bool {
        self.payload.is_some()
    }

    /// `None` if payload is not read.
    ///
    /// # Errors
    ///
    /// Settings contradict each other, or the key cannot be read; in one sentence.
    pub(super) fn settings(
        &self,
        outputs: &[Destination],
    ) -> Result<Option<PayloadSettings>, String> {
        let wanted = outputs.iter().find(|output| output.wants_dns_events());
        if let Some(output) = wanted.filter(|_| self.payload.is_none_or(|kinds| !kinds.dns)) {
            return Err(format!("output {}: events=dns needs --payload dns", output.name()));
        }
        let Some(kinds) = self.payload else { return Ok(None) };
        let url = self.payload_http == Http::Url;
        if url && self.payload_names != Names::Full {
            return Err("--payload-http url needs --payload-names full".to_owned());
        }
        if self.payload_names_key.is_some() && self.payload_names != Names::Hash {
            return Err("--payload-names-key needs --payload-names hash".to_owned());
        }
        let names = match self.payload_names {
            Names::Full => NameForm::Full,
            Names::Domain => NameForm::Domain,
            Names::Hash => NameForm::Hash(self.key()?),
        };
        Ok(Some(PayloadSettings {
            kinds: Kinds {
                dns_answers: self.payload_dns_answers,
                dns_ports: self.payload_dns_ports,
                ..kinds
            },
            memory: self.payload_memory,
            telling: Telling { names, url },
            has_transactions: wanted.is_some(),
        }))
    }

    /// Forgets the file of the key, which may not be readable any more.
    pub(super) fn forget_key(&mut self) {
        (self.payload_names, self.payload_names_key) = (Names::Full, None);
    }

    fn key(&self) -> Result<HashKey, String> {
        let (place, text) = match &self.payload_names_key {
            Some(path) => {
                let place = format!("--payload-names-key {}", path.display());
                let text = std::fs::read_to_string(path)
                    .map_err(|problem| format!("{place}: {}", sentence(&problem)))?;
                (place, text)
            }
            None => match std::env::var(KEY_VARIABLE) {
                Ok(text) => (KEY_VARIABLE.to_owned(), text),
                Err(_not_there) => {
                    return Err(format!(
                        "--payload-names hash needs --payload-names-key or the variable \
                         {KEY_VARIABLE}"
                    ));
                }
            },
        };
        key(text.trim()).ok_or_else(|| format!("{place}: a key has 32 hexadecimal digits"))
    }
}

fn key(text: &str) -> Option<HashKey> {
    let is_hexadecimal = text.bytes().all(|it| it.is_ascii_hexdigit());
    if text.len() != 2 * HashKey::OCTETS || !is_hexadecimal {
        return None;
    }
    let number = u128::from_str_radix(text, 16).ok()?;
    Some(HashKey::new(number.to_be_bytes()))
}

fn kinds(text: &str) -> Result<Kinds, String> {
    let mut kinds = Kinds::default();
    for word in text.split(',') {
        *match word {
            "dns" => &mut kinds.dns,
            "tls" => &mut kinds.tls,
            "quic" => &mut kinds.quic,
            "http" => &mut kinds.http,
            _ => return Err(format!("{word:?} is none of dns, tls, quic, http")),
        } = true;
    }
    Ok(kinds)
}

fn dns_ports(text: &str) -> Result<DnsPorts, String> {
    DnsPorts::new(&values::ports(text)?).ok_or_else(|| format!("at most {} ports", DnsPorts::MAX))
}
