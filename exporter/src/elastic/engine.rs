//! The program of a cluster and its version.

use std::fmt::{self, Display};

use serde_json::Value;

/// The program of a cluster and its version, from the answer to `GET /`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Engine {
    pub(crate) is_opensearch: bool,
    /// The version as text.
    number: String,
    /// Major and minor version.
    pub(crate) version: (u32, u32),
    /// Elasticsearch without the parts under Elastic's licence.
    is_oss: bool,
    pub(crate) has_data_streams: bool,
}

impl Engine {
    /// Reads the answer to `GET /`. `None` if it is not that of such a program.
    pub(crate) fn of(body: &Value) -> Option<Self> {
        let about = &body["version"];
        let number = about["number"].as_str()?;
        let version = version(number)?;
        let distribution = about["distribution"].as_str().unwrap_or_default();
        let is_oss = about["build_flavor"] == "oss";
        let has_data_streams = match distribution {
            "" => version >= (7, 9) && !is_oss,
            "opensearch" => version >= (1, 0),
            _ => true,
        };
        Some(Self {
            is_opensearch: distribution == "opensearch",
            number: number.to_owned(),
            version,
            is_oss,
            has_data_streams,
        })
    }

    fn name(&self) -> &'static str {
        if self.is_opensearch { "OpenSearch" } else { "Elasticsearch" }
    }
}

/// Name, version and edition, for messages.
impl Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let edition = if self.is_oss { " (oss)" } else { "" };
        write!(f, "{} {}{edition}", self.name(), self.number)
    }
}

/// The first two numbers of a version.
pub(crate) fn version(number: &str) -> Option<(u32, u32)> {
    let mut parts = number.split(['.', '-']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(version: &str) -> Option<Engine> {
        let body = format!("{{\"version\":{{{version}}}}}");
        Engine::of(&serde_json::from_str(&body).unwrap())
    }

    #[test]
    fn versions_without_data_streams_are_known() {
        for (version, name) in [
            (r#""number":"7.8.1","build_flavor":"default""#, "Elasticsearch 7.8.1"),
            (r#""number":"7.10.2","build_flavor":"oss""#, "Elasticsearch 7.10.2 (oss)"),
            (r#""number":"0.9.0","distribution":"opensearch""#, "OpenSearch 0.9.0"),
        ] {
            let engine = engine(version).unwrap();
            assert!(!engine.has_data_streams, "{version}");
            assert_eq!(engine.to_string(), name);
        }
    }

    #[test]
    fn versions_with_data_streams_are_known() {
        for version in [
            r#""number":"7.9.0","build_flavor":"default""#,
            r#""number":"8.19.0""#,
            r#""number":"10.0.0""#,
            r#""number":"8.0.0-SNAPSHOT""#,
            r#""number":"2.19.1","distribution":"opensearch""#,
            r#""number":"1.7.1","distribution":"another""#,
        ] {
            assert!(engine(version).unwrap().has_data_streams, "{version}");
        }
    }

    #[test]
    fn other_answers_are_of_no_engine() {
        assert_eq!(engine(r#""number":"of a proxy""#), None);
        assert_eq!(Engine::of(&Value::Null), None);
    }
}
