//! `--template-store` when the program has no time to end: what is in the file is there for the
//! next run.

use std::fs;
use std::path::Path;

use crate::messages::{FIELDS, flow, ipfix, set, template};
use crate::sockets::{end, exporter, listen};
use crate::support;

/// Lines of the file with templates.
fn stored(store: &Path) -> usize {
    fs::read_to_string(store).map_or(0, |text| text.lines().skip(1).count())
}

#[test]
fn a_run_that_is_killed_loses_nothing_that_was_stored() {
    const EXPORTERS: u8 = 60;
    let folder = support::scratch();
    let store = folder.path().join("templates");
    for workers in ["--workers=1", "--workers=2"] {
        let settings = ["--template-store", store.to_str().unwrap(), workers];
        let (mut probe, addresses) = listen(&["ipfix://127.0.0.1:0"], &settings);
        let known = stored(&store);
        // Each has templates of several ids, and those of the run before come again.
        let ids = 300..310;
        for host in 1..=EXPORTERS {
            let sets: Vec<_> = ids.clone().map(|id| set(2, &template(id, &FIELDS))).collect();
            exporter([127, 0, 14, host]).send_to(&ipfix(0, &sets), addresses[0]).unwrap();
        }
        let all = usize::from(EXPORTERS) * ids.len();
        probe.wait_until("templates are stored", |_| stored(&store) == all);
        assert!(known == 0 || known == all, "{known}");
        probe.kill();
        assert_eq!(stored(&store), all, "the file is whole");
        let (probe, addresses) = listen(&["ipfix://127.0.0.1:0"], &settings);
        for host in 1..=EXPORTERS {
            let sets: Vec<_> = ids.clone().map(|id| set(id, &flow(id))).collect();
            exporter([127, 0, 14, host]).send_to(&ipfix(0, &sets), addresses[0]).unwrap();
        }
        let run = end(probe, EXPORTERS.into(), 0);
        let of = |name: &str| run.count(&format!("collected.{name}"));
        let all = all as u64;
        assert_eq!((of("records"), of("no_template"), of("templates")), (all, 0, all), "{workers}");
    }
}
