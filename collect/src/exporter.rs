//! What is known of an exporter: its Observation Domains, templates and samplers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use flow::{ExportProtocol, Exporter, Timestamp};

use crate::counts::Counts;
use crate::limits::{Limits, TEMPLATE_LIFETIME_MS};
use crate::message::{Header, TemplateRecord};
use crate::record::Places;
use crate::sampling::Samplers;
use crate::sequence::Sequence;
use crate::sflow::Drops;
use crate::template::Template;
use crate::waiting::Waiting;

/// An exporter: an address.
#[derive(Debug, Default)]
pub(crate) struct KnownExporter {
    /// The number of its last use.
    pub(crate) used: u64,
    domains: BTreeMap<(ExportProtocol, u32), Domain>,
    pub(crate) templates: Templates,
    pub(crate) waiting: Waiting,
    pub(crate) samplers: Samplers,
    pub(crate) places: Places,
    /// Of an agent of sFlow.
    pub(crate) drops: Drops,
}

/// An Observation Domain.
#[derive(Debug)]
pub(crate) struct Domain {
    pub(crate) exporter: Arc<Exporter>,
    pub(crate) sequence: Sequence,
    /// The time that sysUpTime counts from, if options told it.
    pub(crate) init_time: Option<Timestamp>,
    used: u64,
}

/// Templates of an exporter. Those of the two protocols and of each domain are separate.
#[derive(Debug, Default)]
pub(crate) struct Templates(BTreeMap<TemplateKey, Template>);

type TemplateKey = (ExportProtocol, u32, u16);

/// Templates of all exporters, and their fields.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kept {
    pub(crate) templates: usize,
    pub(crate) fields: usize,
}

impl KnownExporter {
    /// Its samplers and places.
    pub(crate) fn parts(&mut self) -> (&mut Samplers, &mut Places) {
        (&mut self.samplers, &mut self.places)
    }

    /// Finds or adds a domain. The one that was not used for longest goes if there are too many.
    pub(crate) fn domain(
        &mut self,
        header: &Header,
        from: SocketAddr,
        used: u64,
        limits: &Limits,
    ) -> &mut Domain {
        let key = (header.protocol, header.domain);
        if !self.domains.contains_key(&key) && self.domains.len() >= limits.domains_of_exporter {
            let oldest = self.domains.iter().min_by_key(|(_, domain)| domain.used);
            if let Some(oldest) = oldest.map(|(key, _)| *key) {
                self.domains.remove(&oldest);
            }
        }
        let exporter = || {
            Arc::new(Exporter { address: from, domain: header.domain, protocol: header.protocol })
        };
        let domain = self.domains.entry(key).or_insert_with(|| Domain {
            exporter: exporter(),
            sequence: Sequence::default(),
            init_time: None,
            used,
        });
        domain.used = used;
        if domain.exporter.address != from {
            domain.exporter = exporter();
        }
        domain
    }
}

impl Templates {
    /// Learns a template. True if it is new or has changed, or was sent again.
    pub(crate) fn learn(
        &mut self,
        record: &TemplateRecord<'_>,
        header: &Header,
        (now, used): (Timestamp, u64),
        limits: &Limits,
        (kept, counts): (&mut Kept, &mut Counts),
    ) -> bool {
        if record.id < 256 {
            counts.templates_refused += 1;
            return false;
        }
        if record.specifiers.is_empty() {
            counts.withdrawals_ignored += 1;
            return false;
        }
        let key = (header.protocol, header.domain, record.id);
        let known = self.0.get_mut(&key);
        if let Some(known) = known
            .filter(|known| known.specifiers == record.specifiers && known.scope == record.scope)
        {
            (known.sent, known.used) = (now, used);
            return true;
        }
        let Ok(mut template) = Template::new(record, header.protocol) else {
            counts.templates_refused += 1;
            return false;
        };
        counts.elements_unknown += template.unknown;
        if self.remove(key, kept) {
            counts.templates_changed += 1;
        } else if self.0.len() >= limits.templates_of_exporter {
            self.remove_oldest(kept);
            counts.templates_evicted += 1;
        }
        kept.templates += 1;
        kept.fields += template.fields();
        (template.sent, template.used) = (now, used);
        self.0.insert(key, template);
        true
    }

    /// The template with this id, unless it has expired.
    pub(crate) fn get(
        &mut self,
        header: &Header,
        id: u16,
        (now, used): (Timestamp, u64),
        (kept, counts): (&mut Kept, &mut Counts),
    ) -> Option<&Template> {
        let key = (header.protocol, header.domain, id);
        let sent = self.0.get(&key)?.sent;
        if now.millis_since(sent) > TEMPLATE_LIFETIME_MS {
            self.remove(key, kept);
            counts.templates_expired += 1;
            return None;
        }
        let template = self.0.get_mut(&key)?;
        template.used = used;
        Some(template)
    }

    /// Number of templates.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Removes all.
    pub(crate) fn clear(&mut self, kept: &mut Kept) {
        while let Some((_, template)) = self.0.pop_first() {
            kept.templates -= 1;
            kept.fields -= template.fields();
        }
    }

    fn remove_oldest(&mut self, kept: &mut Kept) {
        let oldest = self.0.iter().min_by_key(|(_, template)| template.used);
        if let Some(oldest) = oldest.map(|(key, _)| *key) {
            self.remove(oldest, kept);
        }
    }

    fn remove(&mut self, key: TemplateKey, kept: &mut Kept) -> bool {
        let Some(template) = self.0.remove(&key) else { return false };
        kept.templates -= 1;
        kept.fields -= template.fields();
        true
    }
}
