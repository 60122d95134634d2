//! The parameter `filter_path` of a request: the parts of an answer that the client wants.

use serde_json::{Map, Value};

/// Keeps what one of the paths names. `*` stands for any one name, `**` for any number of them.
/// Lists are looked through; an entry of a list of which nothing is wanted goes.
pub fn filter(value: &Value, paths: &str) -> Value {
    let paths: Vec<Vec<&str>> = paths.split(',').map(|path| path.split('.').collect()).collect();
    keep(value, &paths).unwrap_or_else(|| Value::Object(Map::new()))
}

fn keep(value: &Value, paths: &[Vec<&str>]) -> Option<Value> {
    if paths.iter().any(|path| path.iter().all(|name| *name == "**")) {
        return Some(value.clone());
    }
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter_map(|(name, member)| {
                let within: Vec<_> = paths.iter().flat_map(|path| below(path, name)).collect();
                Some((name.clone(), keep(member, &within)?))
            });
            let kept: Map<_, _> = kept.collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        Value::Array(entries) => {
            let kept: Vec<_> = entries.iter().filter_map(|entry| keep(entry, paths)).collect();
            (!kept.is_empty()).then_some(Value::Array(kept))
        }
        _ => None,
    }
}

/// What is left of a path below a member with this name.
fn below<'a>(path: &[&'a str], name: &str) -> Vec<Vec<&'a str>> {
    match path {
        ["**", rest @ ..] => {
            let mut within = vec![path.to_vec()];
            within.extend(below(rest, name));
            within
        }
        [first, rest @ ..] if *first == "*" || *first == name => vec![rest.to_vec()],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_choose_members_through_lists() {
        let item = |status| json!({"create": {"_id": "a", "status": status}});
        let value = json!({"took": 3, "errors": true, "items": [item(201), item(409)]});
        let status = |status| json!({"create": {"status": status}});
        let expected = json!({"errors": true, "items": [status(201), status(409)]});
        assert_eq!(filter(&value, "errors,items.*.status"), expected);
        assert_eq!(filter(&value, "**.status"), json!({"items": [status(201), status(409)]}));
        assert_eq!(filter(&value, "items.*.error"), json!({}));
        assert_eq!(filter(&value, "items"), json!({"items": [item(201), item(409)]}));
    }
}
