//! Options records of exporters as events, for outputs with `options=1`.

use collect::OptionsRecord;
use flow::{Event, EventKind, Exporter, Value};

/// The event of an options record, from the program with this name.
pub(super) fn event(exporter: &Exporter, record: OptionsRecord, name: &str) -> Event {
    let OptionsRecord { received, export_time, uptime_ms, fields } = record;
    let ip = exporter.address.ip().to_canonical();
    let called = exporter.name.as_deref().map_or_else(|| ip.to_string(), str::to_owned);
    let list = |text: &str| Value::List(vec![text.into()]);
    let domain = exporter.domain;
    let version = env!("CARGO_PKG_VERSION");
    let told = [
        ("ecs.version", "8.11.0".into()),
        ("input.type", "netflow".into()),
        ("event.action", "netflow_options".into()),
        ("event.category", list("network")),
        ("event.type", list("info")),
        ("event.dataset", "netflow.log".into()),
        ("event.module", "netflow".into()),
        ("event.created", Value::Time(received)),
        ("agent.id", Value::Text(domain.to_string())),
        ("agent.name", Value::Text(called)),
        ("agent.type", "flowprobe".into()),
        ("agent.version", version.into()),
        ("observer.ip", Value::Address(ip)),
        ("netflow.type", "netflow_options".into()),
        ("netflow.exporter.version", Value::Number(exporter.protocol.version().into())),
        ("netflow.exporter.source_id", Value::Number(domain.into())),
        ("netflow.exporter.address", Value::Text(exporter.address.to_string())),
        ("netflow.exporter.timestamp", Value::Time(export_time)),
        ("flowprobe.protocol", exporter.protocol.name().into()),
    ];
    let uptime = uptime_ms.map(|it| ("netflow.exporter.uptime_millis", Value::Number(it.into())));
    let observer = Event::observer(name, version);
    let fields = told.into_iter().chain(observer).chain(uptime).chain(fields).collect();
    Event { kind: EventKind::ExporterOptions, time: export_time, fields }
}
