//! The totals of a live run while it goes on.

use std::time::{Duration, Instant};

use log::error;

use crate::host::control::{Control, Request};
use crate::pipeline::session::Watch;
use crate::report::logger;
use crate::report::loss::LossWatch;
use crate::report::output::TotalsOutput;
use crate::report::page::ShownPage;
use crate::report::page_table::TableLooks;
use crate::report::rates::Rates;
use crate::report::top::Status;
use crate::report::totals::Totals;
use crate::report::tunnels::HintWatch;

/// Totals are printed so far apart when messages wait for them.
const NEWS_PAUSE: Duration = Duration::from_secs(1);

/// Shows the totals of a live run while it goes on.
#[derive(Debug)]
pub(crate) struct LiveTotals<'a> {
    stats: &'a TotalsOutput,
    quiet: bool,
    /// The line of rates above the table, where that is drawn on the terminal.
    screen: Option<Status>,
    last: Rates,
    /// Before this time totals are not printed again for messages.
    next_news: Instant,
    loss: LossWatch,
    hints: HintWatch,
    /// For the page.
    looks: TableLooks,
    asks: Asks<'a>,
}

/// Who shows totals to others.
#[derive(Debug)]
pub(crate) struct Asks<'a> {
    pub(crate) page: Option<&'a ShownPage>,
    pub(crate) control: Option<&'a Control>,
}

impl<'a> LiveTotals<'a> {
    pub(crate) fn new(
        stats: &'a TotalsOutput,
        quiet: bool,
        screen: Option<Status>,
        asks: Asks<'a>,
    ) -> Self {
        Self {
            stats,
            quiet,
            screen,
            last: Rates::new(),
            next_news: Instant::now(),
            loss: LossWatch::default(),
            hints: HintWatch::default(),
            looks: TableLooks::new(),
            asks,
        }
    }

    /// Says what was lost since the last message about it. These totals are the last.
    pub(crate) fn end(&mut self, totals: &Totals) {
        self.loss.end(totals);
    }
}

impl Watch for LiveTotals<'_> {
    fn second(&mut self, totals: &Totals) {
        if let Some(screen) = &self.screen {
            screen.set(self.last.line(totals));
        }
        self.loss.second(totals);
        self.hints.second(totals);
        self.asks.page.iter().for_each(|page| page.publish(totals));
    }

    fn interval(&mut self, totals: &Totals) {
        if self.screen.is_none() {
            self.stats.print(self.quiet, totals);
        }
    }

    fn has_news(&mut self) -> bool {
        let now = Instant::now();
        let has_news = now >= self.next_news && logger::are_held();
        if has_news {
            self.next_news = now + NEWS_PAUSE;
        }
        has_news
    }

    fn request(&mut self) -> Option<Request> {
        let asked = self.asks.control.and_then(Control::request);
        asked.or_else(|| self.asks.page.and_then(|page| self.looks.go_on(page)))
    }

    fn wanted(&mut self, totals: &Totals) {
        self.stats.print(false, totals);
    }

    fn stuck(&mut self, totals: &Totals) -> ! {
        error!("an output does not end, so this program ends without it");
        self.stats.print(self.quiet, totals);
        std::process::exit(1);
    }
}
