//! The web page of the program: its data, its start and its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use analysis::detect::{SPIKE_LIMITS, Spike};
use exporter::sentence;
use flow::words::grouped;
use flow::{FlowRecord, RecordTally};
use log::info;
use serde_json::{Map, Value, json};
use web::{Board, BoundServer, Recorder, Server, Settings};

use crate::host::memory::{self, MemoryOwner};
use crate::host::priority;
use crate::report::causes;
use crate::report::totals::Totals;
use crate::report::units;

/// The name of the page's output in the totals.
pub(crate) const NAME: &str = "page";

/// Time between two checks for a signal.
const LOOK: Duration = Duration::from_millis(50);

/// A page whose address is bound, but which does not answer yet.
#[derive(Debug)]
pub(crate) struct Page {
    board: Arc<Board>,
    memory: web::Memory,
    server: BoundServer,
}

/// A page that answers.
#[derive(Debug)]
pub(crate) struct ShownPage {
    board: Arc<Board>,
    /// It answers until it is dropped.
    server: Server,
}

impl Page {
    /// Binds the address, which may need capabilities.
    ///
    /// # Errors
    ///
    /// The address cannot be bound, or there is not enough memory; in one sentence.
    pub(crate) fn open(settings: Settings, is_live: bool) -> Result<Self, String> {
        let Settings { listen, memory, .. } = settings;
        memory::check("the page (--page-memory)", memory.octets as u64, MemoryOwner::Own)?;
        let server = BoundServer::bind(settings)
            .map_err(|problem| format!("--http {listen}: {}", sentence(&problem)))?;
        let board = Arc::new(Board::new(is_live, memory, known()));
        Ok(Self { board, memory, server })
    }

    /// Starts to answer. The thread has no capabilities, and no priority before other programs.
    ///
    /// # Errors
    ///
    /// The thread cannot be started; in one sentence.
    pub(crate) fn show(self, is_real_time: bool) -> Result<ShownPage, String> {
        let begin = move || priority::begin_ordinary(is_real_time);
        let server = self
            .server
            .start(Arc::clone(&self.board), begin)
            .map_err(|problem| format!("the page cannot be shown: {}", sentence(&problem)))?;
        let web::Memory { octets, records, interfaces, .. } = self.memory;
        info!(
            "the page is at http://{}/ with {} of memory for {} flow records and {interfaces} \
             interfaces",
            server.address(),
            units::octets(octets as u64),
            grouped(records as u64),
        );
        Ok(ShownPage { board: self.board, server })
    }
}

/// What the program knows and the page says too.
fn known() -> Map<String, Value> {
    let [causes, fates] = causes::json();
    let Spike { rate, factor } = SPIKE_LIMITS;
    let spike = json!({ "rate": rate, "factor": factor });
    [("causes", causes), ("fates", fates), ("spike", spike)]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

impl ShownPage {
    /// The output that gives records to the page.
    pub(crate) fn recorder(&self) -> Recorder {
        Recorder::new(Arc::clone(&self.board))
    }

    /// Shows these totals from now on.
    pub(crate) fn publish(&self, totals: &Totals) {
        let names = totals.ports.iter().filter_map(|port| Some((port.number?, port.name.clone())));
        self.board.publish(totals.statistics(), names.collect());
    }

    /// The heaviest flows in the tables, and the sum of all.
    pub(crate) fn publish_table(&self, heaviest: &[FlowRecord], all: RecordTally) {
        self.board.publish_table(heaviest, all);
    }

    /// Keeps the page open until a signal.
    pub(crate) fn stay(&self, stop: &AtomicBool) {
        if !stop.load(Ordering::Relaxed) {
            info!("the page stays at http://{}/ until a signal", self.server.address());
        }
        while !stop.load(Ordering::Relaxed) {
            thread::sleep(LOOK);
        }
    }
}
