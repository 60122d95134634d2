//! The dashboards. boards.rs describes each panel once; from that come the search that it makes
//! (panel.rs) and the files that Kibana, OpenSearch Dashboards and Grafana read.

mod boards;
mod grafana;
mod kibana;
mod opensearch;
mod panel;

use serde_json::Value;

pub use boards::BOARDS;
pub use panel::{Board, Group, Measure, Panel, Shape, Source};

/// The files, by their paths from the top of the repository, with their content.
pub fn files() -> [(&'static str, String); 3] {
    [
        ("deploy/elastic/kibana.ndjson", lines(&kibana::objects())),
        ("deploy/elastic/opensearch-dashboards.ndjson", lines(&opensearch::objects())),
        ("deploy/grafana/elasticsearch.json", format!("{:#}\n", grafana::dashboard())),
    ]
}

/// Saved objects, one a line.
fn lines(objects: &[Value]) -> String {
    objects.iter().map(|object| format!("{object}\n")).collect()
}

/// Places of panels on a grid of 48 columns: x, y, width, height.
fn places(panels: &[Panel]) -> Vec<[u32; 4]> {
    let (mut x, mut y) = (0, 0);
    let mut places = Vec::with_capacity(panels.len());
    for panel in panels {
        let width = if matches!(panel.shape, Shape::Map) { 48 } else { 24 };
        if x + width > 48 {
            (x, y) = (0, y + HEIGHT);
        }
        places.push([x, y, width, HEIGHT]);
        x += width;
    }
    places
}

const HEIGHT: u32 = 14;
