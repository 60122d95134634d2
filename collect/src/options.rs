//! Options Data Records as they are told: each field of a known element, by its name.

use element::{Element, Form, Received};
use flow::{ExportProtocol, Timestamp, Value};

use crate::message::TemplateRecord;
use crate::template::{Template, variable};

/// An Options Data Record.
#[derive(Clone, Debug, PartialEq)]
pub struct OptionsRecord {
    /// When its message came.
    pub received: Timestamp,
    /// Export time in the header of the message.
    pub export_time: Timestamp,
    /// sysUpTime in the header of the message, in milliseconds. IPFIX has none.
    pub uptime_ms: Option<u32>,
    /// The values, by the names of their fields in documents.
    pub fields: Vec<(&'static str, Value)>,
}

/// Scopes of NetFlow v9 (RFC 3954 section 6.1), by their numbers from 1.
const SCOPES: [&str; 5] = [
    "netflow.scope.system",
    "netflow.scope.interface",
    "netflow.scope.line_card",
    "netflow.scope.netflow_cache",
    "netflow.scope.template",
];

/// The fields of the records of a Data Set.
pub(crate) fn records(
    template: &Template,
    protocol: ExportProtocol,
    mut content: &[u8],
) -> Vec<Vec<(&'static str, Value)>> {
    let mut records = Vec::new();
    while template.has_room(content) {
        let Some((fields, rest)) = record(template, protocol, content) else { break };
        records.push(fields);
        content = rest;
    }
    records
}

type Read<'a> = (Vec<(&'static str, Value)>, &'a [u8]);

/// The fields of a record, and the octets behind it. `None`: it is cut.
fn record<'a>(
    template: &Template,
    protocol: ExportProtocol,
    mut octets: &'a [u8],
) -> Option<Read<'a>> {
    let scopes = usize::from(template.scope.unwrap_or(0));
    let specifiers = TemplateRecord::of_options(&template.specifiers, template.scope, protocol);
    let mut fields = Vec::new();
    for (index, specifier) in specifiers.fields().enumerate() {
        let mut length = usize::from(specifier.length);
        if specifier.length == element::VARIABLE_LENGTH {
            (length, octets) = variable(octets).ok()?;
        }
        let (value, rest) = octets.split_at_checked(length)?;
        octets = rest;
        let value = Received(value);
        if index < scopes && protocol == ExportProtocol::Netflow9 {
            let name = SCOPES.get(usize::from(specifier.number).wrapping_sub(1));
            fields.extend(name.map(|name| (*name, Value::Number(value.number()))));
        } else if let Some(element) = Element::known(specifier.enterprise, specifier.number) {
            let is_scope = index < scopes;
            let name = if is_scope { element.scope_field() } else { element.options_field() };
            fields.extend(told(element, value).map(|value| (name, value)));
        }
    }
    Some((fields, octets))
}

/// A value in its element's form. `None` if it has no text.
fn told(element: Element, value: Received<'_>) -> Option<Value> {
    Some(match element.form() {
        Form::Unsigned8 | Form::Unsigned16 | Form::Unsigned32 | Form::Unsigned64 => {
            Value::Number(value.number())
        }
        Form::Ipv4Address | Form::Ipv6Address => Value::Address(value.address()?),
        Form::DateTimeSeconds => Value::Time(value.seconds()),
        Form::DateTimeMilliseconds => Value::Time(value.milliseconds()),
        Form::DateTimeNtp => Value::Time(value.ntp()),
        Form::String => Value::Text(value.name()?.into()),
        Form::MacAddress => {
            let octets = value.mac()?.map(|octet| format!("{octet:02x}"));
            Value::Text(octets.join(":"))
        }
        Form::Float64 => Value::Text(value.float()?.to_string()),
        Form::Octets16 | Form::Octets => return None,
    })
}
