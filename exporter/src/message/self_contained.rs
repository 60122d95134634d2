//! IPFIX messages that each have their templates: a consumer needs no earlier message.

use element::{ExporterState, Flow};
use flow::Timestamp;

use super::builder::Full;
use super::encoder::{MessageEncoder, NotAdded};
use super::ipfix::Encoder;
use crate::content::Message;

/// Why a flow is in no message: there is no room for it beside the templates.
const TOO_LARGE: &str = "flows that are too large for message-max are not exported";

/// An encoder that begins each message with all templates.
#[derive(Debug)]
pub(crate) struct SelfContained(pub(crate) Encoder);

impl SelfContained {
    fn begin(&mut self, clock: Timestamp) {
        if self.0.is_empty() {
            self.0.add_templates(clock);
            self.0.add_interface_template();
        }
    }
}

impl MessageEncoder for SelfContained {
    const HAS_ABSOLUTE_TIMES: bool = Encoder::HAS_ABSOLUTE_TIMES;

    #[inline]
    fn add(&mut self, flow: &Flow<'_>, clock: Timestamp) -> Result<(), NotAdded> {
        self.begin(clock);
        let added = self.0.add(flow, clock);
        if added == Err(NotAdded::Full) && self.0.has_no_records() {
            self.0.clear();
            return Err(NotAdded::NotExportable(TOO_LARGE));
        }
        added
    }

    fn add_templates(&mut self, clock: Timestamp) {
        self.begin(clock);
    }

    fn add_options(&mut self, state: &ExporterState<'_>) {
        self.begin(Timestamp::default());
        self.0.add_options(state);
    }

    fn add_interface_template(&mut self) -> bool {
        self.begin(Timestamp::default());
        true
    }

    fn add_interface(&mut self, state: &ExporterState<'_>) -> Result<(), Full> {
        self.begin(Timestamp::default());
        let added = self.0.add_interface(state);
        if added.is_err() && self.0.has_no_records() {
            // No message has room for a name, which is not counted.
            self.0.clear();
            return Ok(());
        }
        added
    }

    fn finish(&mut self, clock: Timestamp) -> Option<Message<'_>> {
        self.0.finish(clock)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn clear(&mut self) {
        self.0.clear();
    }

    fn set_limit(&mut self, limit: usize) {
        self.0.set_limit(limit);
    }

    fn begin_session(&mut self) {
        self.0.begin_session();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use flow::Batch;

    use super::super::exporter::MessageExporter;
    use super::super::uptime::tests::flow;
    use super::*;
    use crate::error::ExportError;
    use crate::exporter::Exporter;
    use crate::patience::Patience;
    use crate::transport::{Transport, TransportCounts};

    /// Less than the templates take.
    const LIMIT: usize = 100;

    /// Counts messages, of which there may be few.
    #[derive(Debug)]
    struct Few(Arc<AtomicU64>);

    impl Transport for Few {
        fn send(&mut self, message: Message<'_>) -> Result<(), ExportError> {
            assert_eq!(message.content().records.records, 0);
            assert!(self.0.fetch_add(1, Ordering::Relaxed) < 5, "messages without end");
            Ok(())
        }

        fn flush(&mut self) -> Result<(), ExportError> {
            Ok(())
        }

        fn message_limit(&self) -> usize {
            LIMIT
        }

        fn counts(&self) -> TransportCounts {
            TransportCounts::default()
        }
    }

    #[test]
    fn flow_without_room_beside_the_templates_is_not_exportable() {
        let encoder = SelfContained(Encoder::new(1, LIMIT, None, None));
        let sent = Arc::default();
        let transport = Box::new(Few(Arc::clone(&sent)));
        let name = "few".to_owned();
        let mut exporter =
            MessageExporter::new(name, encoder, transport, None, 1, 1, Patience::GoOn);
        let time = Timestamp::from_millis(1_709_164_801_007);
        let records = vec![flow(time, time); 3];
        exporter.export(&Batch { records, ..Batch::default() }).unwrap();
        assert_eq!(exporter.counts().not_exportable.records, 3);
        // The options need a message, the flows none.
        assert_eq!(sent.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn interface_name_without_room_beside_the_templates_is_left_out() {
        let mut encoder = SelfContained(Encoder::new(1, LIMIT, None, None));
        let state = ExporterState { interface_name: "eth0", ..ExporterState::default() };
        assert_eq!(encoder.add_interface(&state), Ok(()));
        assert!(encoder.is_empty());
    }
}
