//! Disk usage of a cluster, compared with its watermarks.

use serde_json::Value;

use super::Finding;

/// Name of the settings of a cluster's watermarks.
const WATERMARK: &str = "cluster.routing.allocation.disk.watermark";

/// The watermarks with their effects. The highest comes first.
const MARKS: [(&str, Effect); 3] =
    [("flood_stage", Effect::ReadOnly), ("high", Effect::Moves), ("low", Effect::NoNewShards)];

#[derive(Clone, Copy)]
enum Effect {
    ReadOnly,
    Moves,
    NoNewShards,
}

/// Settings of a cluster in flat form. Changed settings come before defaults.
pub(super) struct Watermarks<'a>(pub(super) &'a Value);

impl Watermarks<'_> {
    fn setting(&self, name: &str) -> Option<&str> {
        let groups = ["transient", "persistent", "defaults"];
        groups.iter().find_map(|group| self.0[group][name].as_str())
    }

    /// Free octets that a watermark requires.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of the disk, from none to all"
    )]
    fn free(&self, mark: &str, total: u64) -> Option<u64> {
        let name = format!("{WATERMARK}.{mark}");
        let text = self.setting(&name)?;
        let Some(used) = share(text) else { return octets(text) };
        let free = total - (total as f64 * used).min(total as f64) as u64;
        // On a large disk the headroom is smaller than the share.
        let headroom = self.setting(&format!("{name}.max_headroom")).and_then(octets);
        Some(headroom.map_or(free, |headroom| free.min(headroom)))
    }

    /// A finding about the node with the smallest share of free space.
    pub(super) fn finding(&self, nodes: &Value) -> Finding {
        if self.setting("cluster.routing.allocation.disk.threshold_enabled") == Some("false") {
            return Finding::note(
                "disk",
                "watermarks are off: the cluster does not limit disk usage",
            );
        }
        let nodes = nodes.as_array().map_or(&[][..], Vec::as_slice);
        let nodes = nodes.iter().filter_map(|node| {
            let number = |name: &str| node[name].as_str()?.parse::<u64>().ok();
            Some((node["node"].as_str()?, number("disk.avail")?, number("disk.total")?))
        });
        let Some((name, free, total)) =
            nodes.min_by_key(|(_, free, total)| free / (total / 1000).max(1))
        else {
            return Finding::note("disk", "the cluster does not report its disk usage");
        };
        let room = format!("node {name} has {} free of {}", gigabytes(free), gigabytes(total));
        if MARKS.iter().all(|(mark, _)| self.setting(&format!("{WATERMARK}.{mark}")).is_none()) {
            return Finding::note(
                "disk",
                format!("{room}; the cluster does not report watermarks"),
            );
        }
        let reached = MARKS
            .iter()
            .find(|(mark, _)| self.free(mark, total).is_some_and(|needed| free < needed));
        let remedy = "delete old indexes, shorten --retention, or add disks";
        match reached {
            None => Finding::ok("disk", room),
            Some((mark, Effect::ReadOnly)) => {
                Finding::fail("disk", format!("{room}: above {mark}, indexes are read-only"))
                    .remedy(remedy)
            }
            Some((mark, Effect::Moves)) => {
                Finding::warn("disk", format!("{room}: above {mark}, shards are moved away"))
                    .remedy(remedy)
            }
            Some((mark, Effect::NoNewShards)) => {
                Finding::warn("disk", format!("{room}: above {mark}, no new shards come here"))
                    .remedy(remedy)
            }
        }
    }
}

/// A share of the disk that may be used: `85%` or `0.85`.
fn share(text: &str) -> Option<f64> {
    match text.strip_suffix('%') {
        Some(percent) => percent.parse::<f64>().ok().map(|percent| percent / 100.0),
        None => text.parse().ok(),
    }
}

/// A size such as `150gb`. The units are powers of 1,024.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a size has no sign, and one beyond 64 bits is the largest"
)]
fn octets(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..digits].parse().ok()?;
    let shift = match &text[digits..] {
        "" | "b" => 0,
        "k" | "kb" => 10,
        "m" | "mb" => 20,
        "g" | "gb" => 30,
        "t" | "tb" => 40,
        "p" | "pb" => 50,
        _ => return None,
    };
    Some((number * f64::from(2_u32).powi(shift)) as u64)
}

fn gigabytes(octets: u64) -> String {
    format!("{:.1} GB", octets as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::Level;

    fn level(settings: &Value, free: u64) -> Level {
        let nodes = json!([
            {"node": "a", "disk.avail": free.to_string(), "disk.total": "1000000000"},
            {"node": "b", "disk.avail": "900000000", "disk.total": "1000000000"},
            {"node": "UNASSIGNED", "disk.avail": null, "disk.total": null},
        ]);
        Watermarks(settings).finding(&nodes).level
    }

    fn defaults(low: &str, high: &str, flood: &str) -> Value {
        let name = |mark| format!("{WATERMARK}.{mark}");
        json!({"defaults": {name("low"): low, name("high"): high, name("flood_stage"): flood}})
    }

    #[test]
    fn watermarks_are_shares_or_sizes() {
        for settings in [
            defaults("85%", "90%", "95%"),
            defaults("0.85", "0.90", "0.95"),
            defaults("143mb", "95.4mb", "48828kb"),
        ] {
            assert_eq!(level(&settings, 160_000_000), Level::Ok, "{settings}");
            assert_eq!(level(&settings, 140_000_000), Level::Warn, "{settings}");
            assert_eq!(level(&settings, 90_000_000), Level::Warn, "{settings}");
            assert_eq!(level(&settings, 49_000_000), Level::Fail, "{settings}");
        }
    }

    #[test]
    fn headroom_bounds_a_share_and_changed_settings_come_first() {
        let mut settings = defaults("85%", "90%", "95%");
        settings["defaults"][format!("{WATERMARK}.flood_stage.max_headroom")] = json!("10mb");
        assert_eq!(level(&settings, 49_000_000), Level::Warn);
        settings["transient"] = json!({format!("{WATERMARK}.flood_stage"): "200mb"});
        assert_eq!(level(&settings, 160_000_000), Level::Fail);
        let off = "cluster.routing.allocation.disk.threshold_enabled";
        settings["persistent"] = json!({off: "false"});
        assert_eq!(level(&settings, 0), Level::Note);
        assert_eq!(level(&json!({}), 900_000_000), Level::Note, "no watermark is known");
    }
}
