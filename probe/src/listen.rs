//! The run of `flowprobe collect --listen`: the flows of other exporters as they come.

use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

use crate::host::{listeners, rights};
use crate::pipeline::listen::ListenInput;
use crate::pipeline::opened::open_outputs;
use crate::pipeline::template_store::TemplateStore;
use crate::run::{LiveRun, Sides, check_ready, open_control, open_page};
use crate::settings::config::Config;
use crate::settings::listen::ListenSettings;

/// Everything is opened, then capabilities are dropped, then threads start.
///
/// # Errors
///
/// A resource could not be opened; in one sentence.
pub(crate) fn listen(
    config: &Config,
    listen: &ListenSettings,
    Sides { start, places, stats, args, stop }: Sides<'_>,
) -> Result<ExitCode, String> {
    let (begin, settings) = (Instant::now(), &listen.live);
    let user = settings.user.as_deref().map(rights::user).transpose()?;
    let opened = open_outputs(config)?;
    drop(start);
    let page = open_page(config)?;
    check_ready(&opened, settings)?;
    let sockets = listeners::open(listen, config.workers.unwrap_or(1))?;
    rights::give_up(user.as_ref(), false)?;
    let page = page.map(|page| page.show(false)).transpose()?;
    let control = open_control(args, false)?;
    let store = listen.template_store.as_deref().map(TemplateStore::open).transpose()?;
    let (store, stored) = store.unzip();
    let stored = stored.unwrap_or_default();
    let published: Vec<_> = sockets.iter().map(|_| Mutex::default()).collect();
    let input = ListenInput {
        settings: &config.collect,
        tpids: config.observer.tpids,
        sockets,
        published: &published,
        store,
        stored,
    };
    let run = LiveRun {
        config,
        settings,
        places,
        stats,
        args,
        stop,
        opened,
        page,
        control,
        is_real_time: false,
    };
    Ok(run.run(input, begin))
}
