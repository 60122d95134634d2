//! The templates of an exporter.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use flow::{ExportProtocol, Timestamp};

use crate::counts::Counts;
use crate::limits::{Limits, TEMPLATE_LIFETIME_MS, UNKNOWN_MAX};
use crate::message::{Header, TemplateRecord};
use crate::store::StoredTemplate;
use crate::template::{Template, UnknownElement};

/// Templates of an exporter. Those of the two protocols and of each domain are separate.
#[derive(Debug, Default)]
pub(crate) struct Templates {
    all: BTreeMap<TemplateKey, Template>,
    /// Elements that are not known, of all templates so far.
    unknown: BTreeSet<UnknownElement>,
    /// They are of a connection: each is sent once, and is valid until it is withdrawn.
    is_connected: bool,
}

type TemplateKey = (ExportProtocol, u32, u16);

/// Templates of all exporters, and their fields.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kept {
    pub(crate) templates: usize,
    pub(crate) fields: usize,
    /// How often a template came, was sent again, or went.
    pub(crate) changes: u64,
}

impl Kept {
    fn remove(&mut self, template: &Template) {
        self.templates -= 1;
        self.fields -= template.fields();
        self.changes += 1;
    }
}

impl Templates {
    /// Those of a connection, none yet.
    pub(crate) fn connected() -> Self {
        Self { is_connected: true, ..Self::default() }
    }

    /// Learns a template. True if it is new or has changed, or was sent again.
    pub(crate) fn learn(
        &mut self,
        record: &TemplateRecord<'_>,
        header: &Header,
        (now, used): (Timestamp, u64),
        limits: &Limits,
        (kept, counts): (&mut Kept, &mut Counts),
    ) -> bool {
        if self.is_connected && record.specifiers.is_empty() {
            self.withdraw(record, header, kept);
            counts.withdrawals += 1;
            return false;
        }
        if record.id < 256 {
            counts.templates_refused += 1;
            return false;
        }
        if record.specifiers.is_empty() {
            counts.withdrawals_ignored += 1;
            return false;
        }
        let key = (header.protocol, header.domain, record.id);
        let known = self.all.get_mut(&key);
        if let Some(known) = known
            .filter(|known| *known.specifiers == *record.specifiers && known.scope == record.scope)
        {
            (known.sent, known.used) = (now, used);
            kept.changes += 1;
            return true;
        }
        let unknown = &mut self.unknown;
        let take_unknown = |element| {
            if unknown.len() < UNKNOWN_MAX && unknown.insert(element) {
                counts.elements_unknown += 1;
            }
        };
        let Ok(mut template) = Template::new(record, header.protocol, take_unknown) else {
            counts.templates_refused += 1;
            return false;
        };
        if self.remove(key, kept) {
            counts.templates_changed += 1;
        } else if self.all.len() >= limits.templates_of_exporter {
            self.remove_oldest(kept);
            counts.templates_evicted += 1;
        }
        kept.templates += 1;
        kept.fields += template.fields();
        kept.changes += 1;
        (template.sent, template.used) = (now, used);
        self.all.insert(key, template);
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
        let sent = self.all.get(&key)?.sent;
        if !self.is_connected && now.millis_since(sent) > TEMPLATE_LIFETIME_MS {
            self.remove(key, kept);
            counts.templates_expired += 1;
            return None;
        }
        let template = self.all.get_mut(&key)?;
        template.used = used;
        Some(template)
    }

    /// Number of templates.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Number of the fields of all.
    pub(crate) fn fields(&self) -> usize {
        self.all.values().map(Template::fields).sum()
    }

    /// All, for a store.
    pub(crate) fn to_store(&self, address: IpAddr) -> impl Iterator<Item = StoredTemplate> {
        self.all.iter().map(move |((protocol, domain, id), template)| StoredTemplate {
            address,
            protocol: *protocol,
            domain: *domain,
            id: *id,
            scope: template.scope,
            specifiers: Arc::clone(&template.specifiers),
            sent: template.sent,
        })
    }

    /// Number of templates of a domain.
    pub(crate) fn of_domain(&self, protocol: ExportProtocol, domain: u32) -> usize {
        self.all.range((protocol, domain, 0)..=(protocol, domain, u16::MAX)).count()
    }

    /// Removes all.
    pub(crate) fn clear(&mut self, kept: &mut Kept) {
        while let Some((_, template)) = self.all.pop_first() {
            kept.remove(&template);
        }
    }

    /// Removes a template, or all of a kind: then the id is that of a set with templates (RFC 7011
    /// section 8.1).
    fn withdraw(&mut self, record: &TemplateRecord<'_>, header: &Header, kept: &mut Kept) {
        if record.id >= 256 {
            self.remove((header.protocol, header.domain, record.id), kept);
            return;
        }
        let is_of_kind = |_: &_, it: &mut Template| it.scope.is_some() == record.scope.is_some();
        let key = |id| (header.protocol, header.domain, id);
        let withdrawn = self.all.extract_if(key(0)..=key(u16::MAX), is_of_kind);
        withdrawn.for_each(|(_, template)| kept.remove(&template));
    }

    /// Removes the one that was not used for longest.
    pub(crate) fn remove_oldest(&mut self, kept: &mut Kept) {
        let oldest = self.all.iter().min_by_key(|(_, template)| template.used);
        if let Some(oldest) = oldest.map(|(key, _)| *key) {
            self.remove(oldest, kept);
        }
    }

    fn remove(&mut self, key: TemplateKey, kept: &mut Kept) -> bool {
        let Some(template) = self.all.remove(&key) else { return false };
        kept.remove(&template);
        true
    }
}
