//! Rates of interfaces and outputs, from two statistics.

use serde_json::{Map, Value};

/// The numbers of which there are rates, by the list of their owners.
const LISTS: [(&str, &str, &[&str]); 2] = [
    ("interfaces", "name", &["/frames", "/lost"]),
    ("outputs", "output", &["/sent/records", "/messages", "/octets"]),
];

/// Rates per second, by the names of interfaces and outputs. They are in the order of statistics.
pub(crate) fn rates(before: &Value, after: &Value, millis: u64) -> Map<String, Value> {
    let mut rates = Map::new();
    for (list, name, numbers) in LISTS {
        let of = |statistics: &'_ Value| statistics[list].as_array().cloned().unwrap_or_default();
        let before = of(before);
        let owners = of(after).into_iter().map(|now| {
            let earlier = before.iter().find(|it| it[name] == now[name]);
            let rate = |number: &&str| {
                let count = |it: &Value| it.pointer(number).and_then(Value::as_u64);
                let (now, earlier) = (count(&now)?, earlier.and_then(count)?);
                let key = number.rsplit('/').next().unwrap_or_default().to_owned();
                let rate = now.saturating_sub(earlier).saturating_mul(1000) / millis.max(1);
                Some((key, Value::from(rate)))
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
                "outputs": [{ "output": "x", "sent": { "records": records }, "octets": 5 }],
            })
        };
        let rates = rates(&statistics(10, 7), &statistics(30, 7), 500);
        assert_eq!(rates["interfaces"][1], json!({ "frames": 40, "lost": 0 }));
        assert_eq!(rates["outputs"], json!([{ "records": 0, "octets": 0 }]));
        assert_eq!(super::rates(&json!({}), &statistics(1, 1), 1)["interfaces"], json!([{}, {}]));
    }
}
