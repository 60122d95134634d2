//! `--check-config`, and the example of a configuration, of which each setting is right.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::json;
use tempfile::TempDir;

use crate::support::{self, flowprobe, mmdb, scratch};
use crate::{DONE, USAGE};

/// Where the examples have their files. The test has them in a folder of its own.
const FOLDERS: [&str; 5] = [
    "/etc/flowprobe/",
    "/run/credentials/flowprobe.service/",
    "/run/credentials/flowprobe-collect.service/",
    "/var/lib/flowprobe/",
    "/var/lib/flowprobe-collect/",
];

/// Settings of a replay, of the terminal, of developers, and those of `--config` itself. A service
/// gives up root by its unit.
const NOT_OF_A_SERVICE: [&str; 12] = [
    "read",
    "top",
    "order",
    "top-by",
    "hash-seed",
    "burst",
    "config",
    "check-config",
    "help",
    "version",
    "user",
    "files",
];

fn check(folder: &TempDir, settings: &str) -> Output {
    check_of(&[], folder, settings)
}

/// The same for a command of the program.
fn check_of(command: &[&str], folder: &TempDir, settings: &str) -> Output {
    let path = support::write(folder, "flowprobe.toml", settings.as_bytes());
    let mut program = flowprobe();
    program.args(command).arg("--config").arg(path).arg("--check-config");
    program.output().expect("it runs")
}

fn assert_right(folder: &TempDir, settings: &str) {
    assert_right_of(&[], folder, settings);
}

fn assert_right_of(command: &[&str], folder: &TempDir, settings: &str) {
    let output = check_of(command, folder, settings);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(DONE), "{stderr}\nof:\n{settings}");
    assert_eq!(output.stdout, b"the settings are right\n");
}

/// An example of `deploy/`, with its files in this folder.
fn example(name: &str, folder: &Path) -> String {
    let path = support::root().join("deploy").join(name);
    let text = fs::read_to_string(path).expect("the example is there");
    let place = format!("{}/", folder.display());
    FOLDERS.iter().fold(text, |text, there| text.replace(there, &place))
}

/// A folder with the files that the example names.
fn folder() -> TempDir {
    let folder = scratch();
    let country = json!({"country": {"iso_code": "NL"}});
    let database = mmdb::database("Country", 24, &[("192.0.2.0/24".to_owned(), country)]);
    support::write(&folder, "country.mmdb", &database);
    support::write(&folder, "networks.csv", b"cidr,name\n192.0.2.0/24,office\n");
    support::write(&folder, "exporters", b"192.0.2.1 router-1\n");
    for secret in ["ca.pem", "elastic-key", "http-token", "names-key"] {
        support::write(&folder, secret, b"0123456789abcdef0123456789abcdef");
    }
    folder
}

/// The lines of a paragraph that are settings which are off, switched on.
fn switched_on(paragraph: &str) -> String {
    let lines = paragraph.lines().filter_map(|line| line.strip_prefix('#'));
    let settings = lines.filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()));
    settings.fold(String::new(), |text, line| text + line + "\n")
}

/// A setting is given once, so what is switched on replaces the line of the example.
fn with(settings: &str, more: &str) -> String {
    let names: Vec<_> = more.lines().filter_map(|line| line.split(" =").next()).collect();
    let is_kept = |line: &&str| !names.contains(&line.split(" =").next().unwrap_or_default());
    let kept: Vec<_> = settings.lines().filter(is_kept).collect();
    kept.join("\n") + "\n" + more
}

/// Checks an example, then with each paragraph that is off switched on, and with the outputs that
/// are tables.
fn check_example(name: &str, command: &[&str], paragraphs_least: usize, outputs: usize) {
    let folder = folder();
    let example = example(name, folder.path());
    assert_right_of(command, &folder, &example);
    let mut paragraphs = 0;
    for more in example.split("\n\n").map(switched_on).filter(|more| !more.is_empty()) {
        assert_right_of(command, &folder, &with(&example, &more));
        paragraphs += 1;
    }
    assert!(paragraphs >= paragraphs_least, "{paragraphs}");
    let lines = example.lines().filter_map(|line| line.strip_prefix("#   "));
    let tables = lines.filter(|line| line.starts_with("[[") || line.contains(" = "));
    let tables = tables.fold(String::new(), |text, line| text + line + "\n");
    assert_eq!(tables.matches("[[output]]").count(), outputs, "{tables}");
    let without: Vec<_> = example.lines().filter(|line| !line.starts_with("output =")).collect();
    assert_right_of(command, &folder, &(without.join("\n") + "\n" + &tables));
}

#[test]
fn each_setting_of_the_examples_is_right() {
    check_example("flowprobe.toml", &[], 21, 2);
    check_example("collect.toml", &["collect"], 11, 1);
}

/// The settings in a part of the help.
fn names(help: &str) -> impl Iterator<Item = &str> {
    help.lines().filter_map(|line| {
        let line = line.trim_start();
        let at = line.starts_with('-').then(|| line.find("--"))??;
        line[at + 2..].split([' ', '<']).next()
    })
}

#[test]
fn the_examples_have_all_settings_of_a_service() {
    let output = flowprobe().arg("--help").output().expect("it runs");
    let help = String::from_utf8(output.stdout).expect("text");
    // A collector is another service.
    let (before, collection) = help.split_once("\nCollection:\n").expect("a heading");
    let (collection, after) = collection.split_once("\nExamples:\n").expect("a heading");
    let of_a_probe = names(before).chain(names(after));
    let of_a_probe: Vec<_> = of_a_probe.filter(|it| !NOT_OF_A_SERVICE.contains(it)).collect();
    let of_a_collector: Vec<_> = names(collection).collect();
    assert!(of_a_probe.len() > 40 && of_a_collector.len() > 10, "{of_a_probe:?}");
    for (file, names) in [("flowprobe.toml", of_a_probe), ("collect.toml", of_a_collector)] {
        let example = example(file, Path::new("/"));
        for name in names {
            let begin = format!("{name} =");
            let is_there = |line: &str| line.trim_start_matches('#').starts_with(&begin);
            assert!(example.lines().any(is_there), "{file} has no {name}");
        }
    }
}

#[test]
fn a_check_finds_all_mistakes_and_opens_nothing() {
    let folder = scratch();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let settings = format!(
        "interface = [\"not-there0\"]\nuser = \"no-such-user\"\ngeo = [\"{}\"]\n\
         [[output]]\nurl = \"ipfix+tls://192.0.2.1\"\nca = \"{}\"\n\
         [[output]]\nurl = \"json:{}\"\n",
        path("none.mmdb"),
        path("none.pem"),
        path("flows.json"),
    );
    let output = check(&folder, &settings);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(USAGE), "{stderr}");
    for word in ["none.mmdb", "none.pem", "no-such-user"] {
        assert_eq!(stderr.matches(word).count(), 1, "{word}: {stderr}");
    }
    assert!(output.stdout.is_empty() && !folder.path().join("flows.json").exists());
    // Mistakes of the file, with their lines.
    let output = check(&folder, "interface = [\"eth1\"]\nidle-timeout = \"5\"\nnonsense = 1\n");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(USAGE), "{stderr}");
    assert!(stderr.contains("flowprobe.toml:2: ") && stderr.contains("flowprobe.toml:3: "));
    // The folder of the control socket. One of /run is made with the service.
    let control = |path: &str| format!("interface = [\"eth1\"]\ncontrol = \"{path}\"\n");
    let output = check(&folder, &control(&path("none/control")));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(USAGE), "{stderr}");
    let said = format!("control: the folder {}: no such file or directory", path("none"));
    assert!(stderr.contains("flowprobe.toml:2: --control ") && stderr.contains(&said), "{stderr}");
    let output = check(&folder, &control("/run/no-such-service/control"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(DONE), "{stderr}");
    assert!(stderr.contains("warning: --control /run/no-such-service/control: "), "{stderr}");
    assert_right(&folder, &control(&path("control")));
    // What is right makes no file either.
    let json = format!("interface = [\"eth1\"]\noutput = [\"json:{}\"]\n", path("flows.json"));
    assert_right(&folder, &json);
    assert!(!folder.path().join("flows.json").exists());
}
