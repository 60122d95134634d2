//! Outputs that take no more: full disks, readers that leave, several of which one fails.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::capture::pcap;
use crate::support::{
    documents, finished, flowprobe, ipfix, run, run_with_input, scratch, skip_without, write,
};
use crate::{
    DONE, FAILED, assert_error, assert_failed_at_start, datagram, feed, finish, many_flows, start,
};

const FULL: &str = "/dev/full";

#[test]
fn full_disk_fails_the_run_and_loses_nothing_in_silence() {
    for scheme in ["json", "ipfix-file"] {
        let url = format!("{scheme}:{FULL}");
        let run = run_with_input(["-r", "-", "-o", &url], &many_flows(1000));
        run.assert_conservation();
        assert_eq!(run.status, FAILED);
        assert_error(&run, &["cannot write", FULL, "no space left on device"]);
        assert_eq!(run.count("outputs.0.sent.records"), 0);
        assert_eq!(run.count("outputs.0.failed.records"), run.count("metered.packets"));
        assert!(run.stats["outputs"][0]["error"].is_string());
    }
}

#[test]
fn records_that_got_onto_a_full_disk_count_as_sent() {
    if !nix::unistd::geteuid().is_root() {
        skip_without("root, who can mount a small disk");
        return;
    }
    let folder = scratch();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let capture = write(&folder, "many.pcap", &many_flows(2000));
    fs::create_dir(path("disk")).unwrap();
    for (scheme, octets) in [("json", 300_000), ("ipfix-file", 40_000)] {
        // The disk is only there for the shell and what it starts.
        let script = format!(
            "mount -t tmpfs -o size={octets} none {disk} && \"$0\" \"$@\"; status=$?; \
             cp {disk}/out {out}; exit $status",
            disk = path("disk"),
            out = path("out"),
        );
        let url = format!("{scheme}:{}/out", path("disk"));
        let output = Command::new("unshare")
            .args(["--mount", "sh", "-c", &script])
            .arg(flowprobe().get_program())
            .args(["-r", capture.to_str().unwrap(), "-o", &url, "--stats", "json"])
            .output();
        let Ok(output) = output else {
            skip_without("unshare");
            return;
        };
        let run = finished(output);
        run.assert_conservation();
        assert_eq!(run.status, FAILED, "{}", run.stderr);
        assert_error(&run, &["disk/out", "no space left on device"]);
        let written = fs::read(path("out")).unwrap();
        let whole = if scheme == "json" {
            assert_eq!(written.last(), Some(&b'\n'), "no document is cut");
            written.iter().filter(|&&octet| octet == b'\n').count()
        } else {
            assert_eq!(ipfix::whole_messages(&written).len(), written.len(), "no message is cut");
            let messages = ipfix::session(&written);
            messages.iter().map(|message| message.flows().count()).sum()
        };
        assert!(whole > 0);
        assert_eq!(run.count("outputs.0.sent.records"), whole as u64, "{scheme}");
        assert!(run.count("outputs.0.failed.records") > 0);
    }
}

#[test]
fn file_that_cannot_be_created_is_an_error_at_the_start() {
    for scheme in ["json", "ipfix-file"] {
        let url = format!("{scheme}:/nonexistent/out");
        let run = run_with_input(["-r", "-", "-o", &url], &many_flows(1));
        let words = ["cannot create", "/nonexistent/out", "no such file or directory"];
        assert_failed_at_start(&run, &words);
    }
}

#[test]
fn file_is_emptied_before_it_is_written() {
    let folder = scratch();
    let path = write(&folder, "out", &[b'x'; 100_000]);
    let url = format!("json:{}", path.to_str().unwrap());
    let run = run_with_input(["-r", "-", "-o", &url], &pcap(&[datagram(1, 1)]));
    assert_eq!(run.status, DONE);
    let text = fs::read_to_string(path).unwrap();
    assert!(text.starts_with('{') && text.ends_with("}\n") && text.lines().count() == 1);
}

#[test]
fn other_outputs_get_everything_when_one_fails() {
    let folder = scratch();
    let whole = folder.path().join("whole.json");
    let alone = folder.path().join("alone.json");
    let url = |path: &std::path::Path| format!("json:{}", path.to_str().unwrap());
    let file = many_flows(20_000);
    let reference = run_with_input(["-r", "-", "-o", &url(&alone)], &file);
    assert_eq!(reference.status, DONE);
    let full = format!("ipfix-file:{FULL}");
    for workers in ["1", "2"] {
        let arguments = ["-r", "-", "-o", &full, "-o", &url(&whole), "-o", "json:/dev/full?odid=9"];
        let run = run_with_input([&arguments[..], &["--workers", workers]].concat(), &file);
        run.assert_conservation();
        assert_eq!(run.status, FAILED);
        assert_eq!(run.count("metered.packets"), 20_000);
        assert_eq!(run.count("outputs.1.sent.records"), 20_000);
        assert_eq!(run.count("outputs.0.failed.records"), 20_000);
        assert_eq!(run.count("outputs.2.failed.records"), 20_000);
        assert_eq!(fs::read_to_string(&whole).unwrap().lines().count(), 20_000);
    }
    assert_eq!(fs::read_to_string(&alone).unwrap().lines().count(), 20_000);
}

#[test]
fn replay_ends_when_no_output_is_left() {
    // Far more than pipes and queues hold, so that reading on would show.
    let mut child = start(&["-r", "-", "-o", "json:/dev/full"]);
    let feeder = feed(&mut child, many_flows(300_000));
    let run = finish(child);
    feeder.join().unwrap();
    run.assert_conservation();
    assert_eq!(run.status, FAILED);
    assert!(run.count("received.packets") < 300_000);
}

#[test]
fn reader_that_leaves_ends_the_replay_without_an_error() {
    for url in ["json:-", "ipfix-file:-"] {
        // A small table is swept often, so that records leave as packets come.
        let mut child = start(&["-r", "-", "-o", url, "--max-flows", "5000"]);
        let feeder = feed(&mut child, many_flows(100_000));
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        // One line of documents; of messages whatever there is.
        reader.read_until(b'\n', &mut Vec::new()).unwrap();
        drop(reader);
        let run = finish(child);
        feeder.join().unwrap();
        run.assert_conservation();
        assert_eq!(run.status, DONE, "{}", run.stderr);
        assert!(run.count("outputs.0.failed.records") > 0);
        assert!(run.count("received.packets") < 100_000, "{url}: {}", run.stats);
        assert!(!run.stderr.contains("error: "), "{}", run.stderr);
    }
}

#[test]
fn other_outputs_get_everything_when_a_reader_leaves() {
    let folder = scratch();
    let path = folder.path().join("whole.json");
    let url = format!("json:{}", path.to_str().unwrap());
    let mut child = start(&["-r", "-", "-o", "json:-", "-o", &url]);
    let feeder = feed(&mut child, many_flows(20_000));
    drop(child.stdout.take());
    let run = finish(child);
    feeder.join().unwrap();
    run.assert_conservation();
    assert_eq!(run.status, DONE, "{}", run.stderr);
    assert_eq!(run.count("outputs.1.sent.records"), 20_000);
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 20_000);
}

/// Runs a shell command in which `$0` is the program. The exit status is the command's.
fn shell(script: &str, arguments: &[&str]) -> std::process::Output {
    Command::new("sh")
        .args(["-c", script])
        .arg(flowprobe().get_program())
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn nothing_panics_when_nobody_reads_it() {
    let folder = scratch();
    let path = write(&folder, "one.pcap", &pcap(&[datagram(1, 1)]));
    let path = path.to_str().unwrap();
    let commands: [&[&str]; 7] = [
        &["-r", path],
        &["-r", path, "--stats", "json"],
        &["-r", path, "-o", "json:-"],
        &["completions", "bash"],
        &["completions", "zsh"],
        &["man"],
        &["--help"],
    ];
    for command in commands {
        // The reader of a pipe is gone before the first octet; a disk is full.
        for script in ["sleep 0.05; exec \"$0\" \"$@\"", "exec \"$0\" \"$@\" > /dev/full"] {
            let piped = script.starts_with("sleep");
            let script = if piped {
                // The status of the program, not of the pipeline.
                format!("{{ ({script}); echo status $? >&2; }} | :")
            } else {
                format!("{{ ({script}); echo status $? >&2; }}")
            };
            let output = shell(&script, command);
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert!(!stderr.contains("panicked"), "{command:?}: {stderr}");
            let status = stderr.lines().rev().find(|line| line.starts_with("status ")).unwrap();
            assert_ne!(status, "status 101", "{command:?}");
            if piped {
                assert_eq!(status, "status 0", "{command:?}: {stderr}");
            }
        }
    }
}

#[test]
fn full_disk_under_the_table_fails_the_run() {
    let folder = scratch();
    let path = write(&folder, "one.pcap", &pcap(&[datagram(1, 1)]));
    let output = shell("exec \"$0\" \"$@\" > /dev/full", &["-r", path.to_str().unwrap()]);
    let run = finished(output);
    assert_eq!(run.status, FAILED);
    assert_error(&run, &["standard output", "no space left on device"]);
}

#[test]
fn standard_error_that_takes_nothing_changes_nothing() {
    let folder = scratch();
    let path = write(&folder, "one.pcap", &pcap(&[datagram(1, 1)]));
    let path = path.to_str().unwrap();
    for script in ["exec \"$0\" \"$@\" 2> /dev/full", "exec \"$0\" \"$@\" 2>&-"] {
        for stats in ["text", "json"] {
            let output = shell(script, &["-r", path, "-o", "json:-", "--stats", stats]);
            assert_eq!(output.status.code(), Some(DONE), "{script}, {stats}");
            assert_eq!(output.stdout.iter().filter(|&&octet| octet == b'\n').count(), 1);
        }
    }
    let missing = ["-r", "/nonexistent", "-o", "json:-"];
    let output = shell("exec \"$0\" \"$@\" 2> /dev/full", &missing);
    assert_eq!(output.status.code(), Some(FAILED));
}

/// Names of files that are made of the time are known when the run goes on.
#[test]
fn a_file_in_use_is_not_written_under_a_name_made_of_the_time() {
    const NOVEMBER_2023: u64 = 1_700_000_000_000;
    let capture = pcap(&[datagram(1, NOVEMBER_2023), datagram(2, NOVEMBER_2023)]);
    for (scheme, other) in [("json", "ipfix-file"), ("ipfix-file", "json")] {
        let folder = scratch();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let input = write(&folder, "flows-2023", &capture);
        fs::hard_link(&input, path("hard-link")).unwrap();
        // The input, an output with a name of its own, and two that come to the same name.
        let outputs = [
            format!("{scheme}:{}?rotate=1h", path("flows-%Y")),
            format!("{scheme}:{}", path("plain-2023")),
            format!("{scheme}:{}?rotate=1h", path("plain-%Y")),
            format!("{other}:{}?rotate=2h", path("plain-20%y")),
        ];
        let link = path("hard-link");
        let outputs = outputs.iter().flat_map(|output| ["-o", output]);
        let run = run(["-r", link.as_str()].into_iter().chain(outputs));
        assert_eq!(run.status, DONE, "{}", run.stderr);
        assert!(fs::read(&input).unwrap() == capture, "the input is as it was");
        let flows = |name: &str| {
            let octets = fs::read(path(name)).unwrap();
            if octets.starts_with(b"{") {
                documents(&octets).len()
            } else {
                let messages = ipfix::session(&octets);
                messages.iter().map(|message| message.flows().count()).sum()
            }
        };
        for name in ["flows-2023-1", "plain-2023", "plain-2023-1", "plain-2023-2"] {
            assert_eq!(flows(name), 2, "{scheme}: {name}");
        }
    }
}

#[test]
fn messages_do_not_get_into_a_file_of_flows() {
    let folder = scratch();
    let capture = write(&folder, "a.pcap", &pcap(&[datagram(1, 1)]));
    let path = folder.path().join("flows");
    let arguments = ["-r", capture.to_str().unwrap(), "-o"];
    let script = format!("exec \"$0\" \"$@\" 2> {}", path.display());
    let output = format!("json:{}", path.display());
    let output = shell(&script, &[&arguments[..], &[output.as_str()]].concat());
    assert_eq!(output.status.code(), Some(FAILED));
    let said = fs::read_to_string(&path).unwrap();
    assert!(said.contains("this run uses that file already"), "{said}");
}

/// Totals and refused documents are files of a run, too.
#[test]
fn flows_do_not_get_into_a_file_of_totals_or_of_refused_documents() {
    const NOVEMBER_2023: u64 = 1_700_000_000_000;
    let folder = scratch();
    let capture = write(&folder, "a.pcap", &pcap(&[datagram(1, NOVEMBER_2023)]));
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let stats = format!("json:{}", path("totals-2023"));
    let totals = format!("json:{}?rotate=1h", path("totals-%Y"));
    let refused = format!("json:{}?rotate=2h", path("refused-%Y"));
    let elastic =
        format!("elastic+http://127.0.0.1:1?give-up=1s&dead-letter={}", path("refused-2023"));
    let outputs = ["-o", &totals, "-o", &refused, "-o", &elastic, "--stats", &stats];
    let status = flowprobe().arg("-r").arg(&capture).args(outputs).status().unwrap();
    assert_eq!(status.code(), Some(FAILED), "there is no cluster");
    for name in ["totals-2023-1", "refused-2023-1"] {
        assert_eq!(documents(&fs::read(path(name)).unwrap()).len(), 1, "{name}");
    }
    let totals: Value = serde_json::from_slice(&fs::read(path("totals-2023")).unwrap()).unwrap();
    assert_eq!(totals["received"]["packets"], 1);
    // Standard error has messages.
    let stderr = File::create(path("messages")).unwrap();
    let arguments = ["-o", "json:/dev/null", "--stats", &format!("json:{}", path("messages"))];
    let mut command = flowprobe();
    let status = command.arg("-r").arg(&capture).args(arguments).stderr(stderr).status().unwrap();
    assert_eq!(status.code(), Some(FAILED));
    let said = fs::read_to_string(path("messages")).unwrap();
    assert!(said.contains("this run uses that file already"), "{said}");
}
