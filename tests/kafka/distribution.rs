//! The broker and the consumer that the tests talk to, from Maven and PyPI.
//!
//! Both are kept in the target directory. Neither is a part of this repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::support;
use crate::support::install::{engines, execute, fetch_jars, fetch_python, text};

const KAFKA: &str = "4.4.0";

/// The consumer and its codecs.
const CONSUMER: [&str; 4] =
    ["kafka-python==3.0.12", "lz4==4.4.5", "python-snappy==0.7.3", "zstandard==0.25.0"];

/// Where both are.
#[derive(Debug)]
pub struct Distribution {
    /// The class path of the broker and its tools.
    pub class_path: String,
    /// The folder of Python packages.
    pub python: PathBuf,
}

/// Where both are, installed once for all tests, or none where the test is skipped.
pub fn distribution() -> Option<&'static Distribution> {
    static FOUND: OnceLock<Result<Distribution, String>> = OnceLock::new();
    let found =
        FOUND.get_or_init(|| install().map_err(|reason| format!("Kafka cannot be had: {reason}")));
    found.as_ref().map_err(|reason| support::skip(reason)).ok()
}

fn install() -> Result<Distribution, String> {
    execute(Command::new("java").arg("-version"))?;
    let engines = engines()?;
    let folder = engines.join(format!("kafka-{KAFKA}"));
    if !folder.exists() {
        let scratch = tempfile::tempdir_in(&engines).map_err(text)?;
        let new = scratch.path().join("kafka");
        fetch(&new)?;
        // Another process may have made the same meanwhile.
        if fs::rename(&new, &folder).is_err() && !folder.exists() {
            return Err(format!("{} cannot be made", folder.display()));
        }
    }
    let class_path = format!("{}/*", folder.join("lib").display());
    Ok(Distribution { class_path, python: folder.join("python") })
}

fn fetch(folder: &Path) -> Result<(), String> {
    let dependency = |group: &str, name: &str, version: &str| {
        format!(
            "<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId>\
             <version>{version}</version></dependency>"
        )
    };
    let dependencies = [
        dependency("org.apache.kafka", "kafka_2.13", KAFKA),
        dependency("org.apache.kafka", "kafka-tools", KAFKA),
        dependency("org.slf4j", "slf4j-simple", "1.7.36"),
    ];
    let project = format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
         <groupId>test</groupId><artifactId>broker</artifactId><version>1</version>\
         <dependencies>{}</dependencies></project>",
        dependencies.concat()
    );
    fetch_jars(&project, folder)?;
    fetch_python(&CONSUMER, &folder.join("python"))
}
