//! The files in deploy/ for other programs: they are read as those programs read them, and name the
//! same ports, files and versions.

mod support;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn deploy(path: &str) -> PathBuf {
    support::root().join("deploy").join(path)
}

/// All files beneath a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// What a command prints, if it is here.
#[track_caller]
fn said(command: &mut Command) -> Option<String> {
    let Ok(output) = command.output() else {
        support::skip(&format!("{} is not installed", command.get_program().display()));
        return None;
    };
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

/// A YAML file as JSON.
#[track_caller]
fn yaml(text: &str) -> Option<Value> {
    let program = "puts JSON.generate(YAML.safe_load(ARGV[0]))";
    let json = said(Command::new("ruby").args(["-ryaml", "-rjson", "-e", program, "--", text]))?;
    Some(serde_json::from_str(&json).unwrap())
}

/// A file of Compose, with all defaults, as Compose itself understands it.
#[track_caller]
fn compose(name: &str, variables: &[(&str, &str)]) -> Option<Value> {
    let mut command = Command::new("docker-compose");
    command.env_remove("FLOWPROBE").env_remove("INTERFACE").envs(variables.iter().copied());
    command.arg("-f").arg(deploy("compose").join(name)).arg("config");
    yaml(&said(&mut command)?)
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().map(|text| text.as_str().unwrap()).collect()
}

#[test]
fn yaml_files_can_be_read() {
    let files = files(&deploy(""));
    let is_yaml = |path: &&PathBuf| path.extension() == Some(OsStr::new("yml"));
    let yaml_files: Vec<_> = files.iter().filter(is_yaml).collect();
    assert!(yaml_files.len() >= 5, "{files:?}");
    for path in yaml_files {
        let Some(content) = yaml(&fs::read_to_string(path).unwrap()) else { return };
        assert!(content.is_object(), "{}", path.display());
    }
}

#[test]
fn compose_takes_its_files() {
    for name in ["elastic.yml", "collectors.yml"] {
        let Some(all) = compose(name, &[]) else { return };
        for (service, settings) in all["services"].as_object().unwrap() {
            let (image, version) = settings["image"].as_str().unwrap().split_once(':').unwrap();
            // All of Elastic in the version that tests run.
            let is_of_elastic = image.starts_with("docker.elastic.co/");
            assert_eq!(version, if is_of_elastic { "8.19.0" } else { "stable-slim" }, "{service}");
            for port in texts(&settings["ports"]) {
                assert!(port.starts_with("127.0.0.1:"), "{service}: {port}");
            }
            for volume in texts(&settings["volumes"]) {
                let source = volume.split(':').next().unwrap();
                let is_ours = source.starts_with(support::root().to_str().unwrap());
                assert!(!is_ours || Path::new(source).is_file(), "{service}: {volume}");
            }
        }
    }
}

#[test]
fn compose_starts_the_program_that_it_is_told() {
    let variables = [("FLOWPROBE", "/opt/flowprobe"), ("INTERFACE", "absent0")];
    let Some(all) = compose("elastic.yml", &variables) else { return };
    let services = &all["services"];
    for (service, problem) in [("setup", "127.0.0.1:9"), ("flowprobe", "absent0")] {
        let settings = &services[service];
        assert_eq!(texts(&settings["volumes"]), ["/opt/flowprobe:/flowprobe:ro"]);
        let command = texts(&settings["command"]);
        assert_eq!(command[0], "/flowprobe");
        // No cluster is at this port, and no interface has this name.
        let words = command[1..].iter().map(|word| word.replace("127.0.0.1:9200", "127.0.0.1:9"));
        let output = support::flowprobe().args(words).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(said.contains(problem), "{service}: {said}");
        assert_eq!(output.status.code(), Some(1), "it is not the usage: {said}");
    }
    // One after the other.
    let waits_for =
        |service: &str, other: &str| &services[service]["depends_on"][other]["condition"];
    assert_eq!(waits_for("kibana", "elasticsearch"), "service_healthy");
    assert_eq!(waits_for("setup", "kibana"), "service_healthy");
    assert_eq!(waits_for("flowprobe", "setup"), "service_completed_successfully");
}

/// The port and the versions of the protocols in a pipeline of Logstash.
fn pipeline(name: &str) -> (String, String) {
    let text = fs::read_to_string(deploy("logstash").join(name)).unwrap();
    let between = |begin: &str, end: &str| {
        let (_, rest) = text.split_once(begin).unwrap_or_else(|| panic!("{name}: {begin}"));
        rest.split(end).next().unwrap().trim().to_owned()
    };
    assert_eq!(text.matches('{').count(), text.matches('}').count(), "{name}");
    assert!(text.contains("codec => netflow {"), "{name}");
    // Records that overtake their template are lost.
    let has_templates = name != "netflow5.conf";
    assert!(!has_templates || text.contains("workers => 1"), "{name}");
    // Without them a burst is lost.
    assert!(text.contains("receive_buffer_bytes => 16777216"), "{name}");
    assert!(text.contains("queue_size => 16384"), "{name}");
    let port = between("port => ", "codec");
    (port, between("versions => [", "]").replace(' ', ""))
}

#[test]
fn collectors_listen_where_they_are_sent_to() {
    let of = |port: &str, versions: &str| (port.to_owned(), versions.to_owned());
    assert_eq!(pipeline("all.conf"), of("9995", "5,9,10"));
    assert_eq!(pipeline("netflow5.conf"), of("9995", "5"));
    assert_eq!(pipeline("netflow9.conf"), of("9996", "9"));
    assert_eq!(pipeline("ipfix.conf"), of("4739", "10"));
    let Some(all) = compose("collectors.yml", &[]) else { return };
    let ports = |service: &str| texts(&all["services"][service]["ports"]).join(",");
    assert_eq!(ports("logstash"), "127.0.0.1:9995:9995/udp");
    assert_eq!(ports("filebeat"), "127.0.0.1:2055:2055/udp");
}

#[test]
fn filebeat_has_its_input() {
    let text = fs::read_to_string(deploy("filebeat/filebeat.yml")).unwrap();
    let Some(all) = yaml(&text) else { return };
    let input = &all["filebeat.inputs"][0];
    assert_eq!((&input["type"], &input["host"]), (&"netflow".into(), &"0.0.0.0:2055".into()));
    assert_eq!(texts(&input["protocols"]), ["v5", "v9", "ipfix"]);
    // Settings that the input has besides.
    let known = ["type", "host", "protocols", "max_message_size", "queue_size", "read_buffer"];
    for name in input.as_object().unwrap().keys() {
        assert!(known.contains(&name.as_str()), "{name}");
    }
}
