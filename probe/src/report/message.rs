//! The form of a message: a line for people or of JSON, with a priority in systemd's journal.

use std::fmt::Display;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::time::SystemTime;

use exporter::escaped_json;
use log::Level;
use serde_json::Value;

use crate::report::escape::Escaped;
use crate::settings::values::LogFormat;

/// The version of the Elastic Common Schema whose fields a line of JSON has.
const ECS: &str = "8.11.0";

/// The form of messages of this run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) format: LogFormat,
    /// Standard error is a stream to the journal, which has the program's name and the time of
    /// each line, and takes a priority before it (sd-daemon(3)).
    is_journal: bool,
}

impl Form {
    pub(super) fn find(format: LogFormat) -> Self {
        let is_journal = std::env::var("JOURNAL_STREAM").is_ok_and(|it| is_stderr(&it));
        Self { format, is_journal }
    }

    /// A message with its label, as people read it. Control characters are escaped.
    pub(super) fn labelled(level: Level, text: &impl Display) -> String {
        let label = match level {
            Level::Error => "error: ",
            Level::Warn => "warning: ",
            Level::Info | Level::Debug | Level::Trace => "",
        };
        format!("{label}{}", Escaped(text))
    }

    /// The line of a message.
    pub(super) fn line(self, level: Level, text: &impl Display, time: SystemTime) -> String {
        match self.format {
            LogFormat::Text => self.text(level, &Self::labelled(level, text)),
            LogFormat::Json => self.json(level, &text.to_string(), "", time),
        }
    }

    /// The line of a message that has its label.
    pub(super) fn text(self, level: Level, labelled: &str) -> String {
        let name = if self.is_journal { "" } else { "flowprobe: " };
        format!("{}{name}{labelled}\n", self.priority(level))
    }

    /// The line of totals, which are an object of JSON.
    pub(super) fn totals(self, totals: &str, time: SystemTime) -> String {
        let more = format!(r#","flowprobe":{{"statistics":{totals}}}"#);
        self.json(Level::Info, "totals", &more, time)
    }

    /// `more` is written behind the other fields.
    fn json(self, level: Level, text: &str, more: &str, time: SystemTime) -> String {
        let time = humantime::format_rfc3339_millis(time);
        let text = escaped_json(&Value::from(text).to_string());
        let name = level.as_str().to_ascii_lowercase();
        format!(
            r#"{}{{"@timestamp":"{time}","log.level":"{name}","message":{text},"ecs.version":"{ECS}","service.name":"flowprobe"{more}}}"#,
            self.priority(level),
        ) + "\n"
    }

    /// Numbers are those of syslog(3).
    fn priority(self, level: Level) -> &'static str {
        if !self.is_journal {
            return "";
        }
        match level {
            Level::Error => "<3>",
            Level::Warn => "<4>",
            Level::Info => "<6>",
            Level::Debug | Level::Trace => "<7>",
        }
    }
}

/// Whether standard error is this stream: `DEVICE:INODE` (systemd.exec(5)). A service can have
/// moved its standard error elsewhere.
fn is_stderr(stream: &str) -> bool {
    let same = io::stderr().as_fd().try_clone_to_owned().map(File::from);
    let metadata = same.and_then(|file| file.metadata());
    metadata.is_ok_and(|it| stream == format!("{}:{}", it.dev(), it.ino()))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[track_caller]
    fn check(format: LogFormat, is_journal: bool, level: Level, text: &str, expected: &str) {
        let time = UNIX_EPOCH + Duration::from_millis(1_773_135_000_087);
        let line = Form { format, is_journal }.line(level, &text, time);
        assert_eq!(line, format!("{expected}\n"));
    }

    #[test]
    fn text_has_a_label_and_in_the_journal_a_priority() {
        let format = LogFormat::Text;
        check(format, false, Level::Warn, "a\nb", "flowprobe: warning: a\\nb");
        check(format, false, Level::Info, "a", "flowprobe: a");
        check(format, true, Level::Error, "a", "<3>error: a");
        check(format, true, Level::Warn, "a", "<4>warning: a");
        check(format, true, Level::Info, "a", "<6>a");
    }

    #[test]
    fn json_is_one_line_with_fields_of_ecs() {
        let json = |level: &str, text: &str| {
            format!(
                r#"{{"@timestamp":"2026-03-10T09:30:00.087Z","log.level":"{level}","message":"{text}","ecs.version":"8.11.0","service.name":"flowprobe"}}"#
            )
        };
        let format = LogFormat::Json;
        check(format, false, Level::Warn, "a\n\"b\"", &json("warn", r#"a\n\"b\""#));
        check(format, true, Level::Error, "a", &format!("<3>{}", json("error", "a")));
    }

    #[test]
    fn totals_are_in_the_line() {
        let form = Form { format: LogFormat::Json, is_journal: false };
        let line: Value = serde_json::from_str(&form.totals(r#"{"a":1}"#, UNIX_EPOCH)).unwrap();
        assert_eq!(line["flowprobe"]["statistics"]["a"], 1);
        assert_eq!((&line["message"], &line["log.level"]), (&"totals".into(), &"info".into()));
    }
}
