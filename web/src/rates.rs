//! Rates of interfaces, outputs and workers, from two statistics.

use serde_json::{Map, Value};

/// A list of the statistics, the name of an owner in it, and the numbers of which there are rates:
/// sums of what stands at these places.
type List = (&'static str, &'static str, &'static [(&'static str, &'static [&'static str])]);

/// Where an output counts the records that it lost. What a protocol cannot say, and what came while
/// the output was not there, is no loss that a remedy helps against.
const LOST: &[&str] = &["/failed/records", "/dropped/records", "/dead_lettered/records"];

/// The records that an output of the statistics lost.
pub fn lost_records(output: &Value) -> u64 {
    LOST.iter().filter_map(|place| output.pointer(place)?.as_u64()).sum()
}

const LISTS: [List; 3] = [
    ("interfaces", "name", &[("frames", &["/frames"]), ("lost", &["/lost"])]),
    (
        "outputs",
        "output",
        &[("records", &["/sent/records"]), ("octets", &["/octets"]), ("lost", LOST)],
    ),
    (
        "workers",
        "worker",
        &[
            ("packets", &["/metered/packets"]),
            ("datagrams", &["/collected/datagrams"]),
            ("records", &["/ended/records"]),
        ],
    ),
];

/// Rates per second of interfaces, outputs and workers, in the order of the statistics.
pub(crate) fn rates(before: &Value, after: &Value, millis: u64) -> Map<String, Value> {
    let mut rates = Map::new();
    for (list, name, numbers) in LISTS {
        let [before, after] =
            [before, after].map(|it| it[list].as_array().map_or(&[][..], Vec::as_slice));
        let owners = after.iter().map(|now| {
            let earlier = before.iter().find(|it| it[name] == now[name]);
            let rate = |(key, places): &(&str, &[&str])| {
                let count = |it: &Value| {
                    places.iter().map(|place| it.pointer(place)?.as_u64()).sum::<Option<u64>>()
                };
                let (now, earlier) = (count(now)?, earlier.and_then(count)?);
                let rate = now.saturating_sub(earlier).saturating_mul(1000) / millis.max(1);
                Some(((*key).to_owned(), Value::from(rate)))
            };
            Value::Object(numbers.iter().filter_map(rate).collect())
        });
        rates.insert(list.to_owned(), owners.collect());
    }
    rates
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_owner_has_its_rates() {
        let statistics = |frames: u64, records: u64| {
            json!({
                "interfaces": [{ "name": "a", "frames": 0, "lost": 0 },
                    { "name": "b", "frames": frames, "lost": 1 }],
                "outputs": [{ "output": "x", "sent": { "records": records }, "octets": 5,
                    "failed": { "records": 1 }, "dropped": { "records": frames },
                    "dead_lettered": { "records": 0 } }],
            })
        };
        let rates = rates(&statistics(10, 7), &statistics(30, 7), 500);
        assert_eq!(rates["interfaces"][1], json!({ "frames": 40, "lost": 0 }));
        assert_eq!(rates["outputs"], json!([{ "records": 0, "octets": 0, "lost": 40 }]));
        assert_eq!(super::rates(&json!({}), &statistics(1, 1), 1)["interfaces"], json!([{}, {}]));
    }
}
