//! Files that cannot be read, beside others that can.

use std::fs;

use crate::support::capture::{Order, enhanced, interface, pcap, section};
use crate::support::{flowprobe, run, run_with_input, scratch, write};
use crate::{DONE, FAILED, assert_error, datagram};

#[test]
fn files_beside_one_that_cannot_be_read_are_read() {
    let folder = scratch();
    let good = write(&folder, "good.pcap", &pcap(&[datagram(1, 1), datagram(2, 2)]));
    let text = write(&folder, "notes.txt", b"not a capture file at all");
    let empty = write(&folder, "empty.pcap", b"");
    let cut = write(&folder, "cut.pcap", &pcap(&[datagram(3, 1), datagram(4, 2)])[..150]);
    let missing = folder.path().join("missing.pcap");
    let directory = folder.path().join("directory");
    fs::create_dir(&directory).unwrap();
    let cases = [
        (&missing, "missing.pcap: no such file or directory", 2),
        (&directory, "directory: no files in it", 2),
        (&text, "notes.txt: not a capture file", 2),
        (&empty, "empty.pcap: an empty file", 2),
        (&cut, "cut.pcap: cut short in a packet", 3),
    ];
    for (bad, words, packets) in cases {
        for files in [[&good, bad], [bad, &good]] {
            let [one, other] = files.map(|path| path.to_str().unwrap());
            let run = run(["-r", one, "-r", other, "-o", "json:-"]);
            run.assert_conservation();
            assert_eq!(run.status, FAILED, "{words}");
            assert_eq!(run.count("metered.packets"), packets, "{words}");
            assert_eq!(run.flows().len() as u64, packets);
            assert_eq!(run.count("input.files_damaged"), 1, "{words}");
            assert_error(&run, &[words]);
        }
    }
}

#[test]
fn file_that_cannot_be_read_alone_leaves_totals_of_nothing() {
    let folder = scratch();
    let missing = folder.path().join("missing.pcap");
    let run = run(["-r", missing.to_str().unwrap(), "-o", "json:-"]);
    run.assert_conservation();
    assert_eq!(run.status, FAILED);
    assert_eq!(run.count("received.packets"), 0);
    assert!(run.stdout.is_empty());
    assert_error(&run, &["cannot read", "missing.pcap", "no such file or directory"]);
}

/// Text for people says what is wrong, and nothing else.
#[test]
fn files_that_cannot_be_read_leave_no_text_about_nothing() {
    let folder = scratch();
    let missing = folder.path().join("missing.pcap");
    let empty = write(&folder, "empty.pcap", b"");
    let good = write(&folder, "good.pcap", &pcap(&[datagram(1, 1)]));
    let [missing, empty, good] = [&missing, &empty, &good].map(|path| path.to_str().unwrap());
    let text = |arguments: &[&str]| {
        let output = flowprobe().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(FAILED), "{arguments:?}");
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap())
    };
    for arguments in [
        &["-r", missing][..],
        &["-r", missing, "-r", empty],
        &["-r", missing, "-o", "json:-"],
        &["collect", "-r", missing],
    ] {
        let [stdout, stderr] = text(arguments);
        assert_eq!(stdout, "", "{arguments:?}");
        assert!(stderr.lines().all(|line| line.starts_with("flowprobe: error: ")), "{stderr}");
    }
    // The totals of the others stay.
    let [stdout, stderr] = text(&["-r", missing, "-r", good]);
    assert!(stdout.contains("10.0.0.1:1") && stderr.contains("1 received"), "{stdout}{stderr}");
}

#[test]
fn name_that_is_not_text_is_read() {
    use std::os::unix::ffi::OsStrExt;
    let folder = scratch();
    let path = folder.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9.pcap"));
    fs::write(&path, pcap(&[datagram(1, 1)])).unwrap();
    let run = run(["-r".as_ref(), path.as_os_str(), "-o".as_ref(), "json:-".as_ref()]);
    assert_eq!((run.status, run.flows().len()), (0, 1), "{}", run.stderr);
}

#[test]
fn files_are_named_as_a_shell_expands_them() {
    let folder = scratch();
    let names = ["a.pcap", "b.pcap", "c.pcap"];
    let paths: Vec<_> = (1..)
        .zip(names)
        .map(|(port, name)| write(&folder, name, &pcap(&[datagram(port, port.into())])))
        .collect();
    let [a, b, c] = [0, 1, 2].map(|index| paths[index].to_str().unwrap());
    let all = folder.path().to_str().unwrap();
    fs::create_dir(folder.path().join("subfolder")).unwrap();
    write(&folder, ".hidden", b"no capture");
    let output = ["-o", "json:-"];
    let ways: [(&[&str], u64); 6] = [
        (&["-r", a, b, c], 3),
        (&[a, b, c], 3),
        (&["-r", a, "-q", b, c], 3),
        (&["-r", all], 3),
        (&[all], 3),
        (&[a], 1),
    ];
    for (words, packets) in ways {
        let run = run([&output[..], words].concat());
        assert_eq!(run.status, DONE, "{words:?}: {}", run.stderr);
        assert_eq!(run.count("metered.packets"), packets, "{words:?}");
    }
    // What is named twice is read once, and that is said.
    let link = folder.path().join("latest.pcap");
    std::os::unix::fs::symlink(&paths[2], &link).unwrap();
    for words in [&["-r", a, "-r", a, c][..], &[c, a, link.to_str().unwrap()]] {
        let run = run([&output[..], words].concat());
        assert_eq!(run.count("metered.packets"), 2, "{words:?}");
        assert_eq!(run.stderr.matches("named twice").count(), 1, "{}", run.stderr);
        // All messages are in the line of the totals.
        let messages = run.stats["messages"].to_string();
        assert!(messages.contains("named twice"), "{}", run.stderr);
    }
}

#[test]
fn control_characters_of_names_do_not_reach_the_terminal() {
    let folder = scratch();
    let name = "x\x1b]0;title\x07\nflowprobe: error: forged.pcap";
    let path = write(&folder, name, b"no capture at all");
    let run = run(["-r", path.to_str().unwrap(), "-o", "json:-"]);
    assert!(!run.stderr.contains(['\x1b', '\x07']), "{:?}", run.stderr);
    assert!(!run.stderr.contains("\nflowprobe: error: forged"), "{:?}", run.stderr);
    assert_error(&run, &["\\u{1b}]0;title", "not a capture file"]);
}

/// All that a terminal would obey: C0 and C1 controls, and marks of writing direction.
const OBEYED: [char; 9] =
    ['\x1b', '\x07', '\x08', '\r', '\u{7f}', '\u{9b}', '\u{202e}', '\u{2066}', '\u{61c}'];

#[test]
fn control_characters_of_arguments_and_settings_do_not_reach_the_terminal() {
    let forged: String = OBEYED.into_iter().collect::<String>() + "\nforged";
    let folder = scratch();
    let quoted = format!("{forged:?}").replace("{", "").replace("}", "");
    let tomls = [
        format!("bogus = \"{}\"\n", "\u{202e}\u{9b}31m"),
        "\"\u{202e}\u{9b}\" = 1\n".to_owned(),
        "output = \"x\u{202e}\\u001b\\nflowprobe: error: forged\"\n".to_owned(),
        "[[output]]\nurl = \"x\\u001b\\nflowprobe: error: forged\"\n".to_owned(),
        format!("x = {quoted}\n\u{202e}"),
    ];
    let configs = tomls.iter().enumerate().map(|(index, text)| {
        let path = write(&folder, &format!("{index}.toml"), text.as_bytes());
        vec!["--config".to_owned(), path.to_str().unwrap().to_owned()]
    });
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let arguments = [
        words(&["--bogus", &forged]),
        words(&[&format!("--{forged}")]),
        words(&["-r", "/dev/null", "--idle-timeout", &forged]),
        words(&["-r", "/dev/null", "--order", &forged]),
        words(&["-r", "/dev/null", "-o", &forged]),
        words(&["-r", "/dev/null", "-o", &format!("json:/nonexistent/{forged}")]),
        words(&["-r", "/dev/null", "-o", &format!("ipfix://h?{forged}=1")]),
        words(&["-r", "/dev/null", "--config", &format!("/{forged}")]),
        words(&["-i", &forged]),
        words(&["-i", "lo", "--user", &forged]),
        words(&["-r", "/dev/null", "--stats", &format!("json:/nonexistent/{forged}")]),
        words(&["-r", "/dev/null", "--alerts", &format!("json:/nonexistent/{forged}")]),
        words(&["-r", "/dev/null", "--geo", &format!("/nonexistent/{forged}")]),
        words(&["-r", "/dev/null", "--networks", &format!("/nonexistent/{forged}")]),
        words(&["doctor", "-i", &forged]),
        words(&["doctor", "-i", "lo", &forged]),
        words(&["completions", &forged]),
        words(&[&forged, "--stats", "xml"]),
    ];
    for arguments in arguments.into_iter().chain(configs) {
        let output = flowprobe().args(&arguments).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert!(!said.is_empty() && !said.contains(OBEYED), "{arguments:?}: {said:?}");
        let is_forged =
            |line: &str| line.trim_start_matches("flowprobe: error: ").starts_with("forged");
        assert!(!said.lines().any(is_forged), "{arguments:?}: {said:?}");
    }
}

/// JSON has other ways to say them.
#[test]
fn control_characters_of_names_do_not_reach_the_terminal_in_documents() {
    let forged: String = OBEYED.into_iter().collect();
    let order = Order::Little;
    let named = interface(order, 1, 0, &[(2, forged.as_bytes())]);
    let file = [section(order), named, enhanced(order, &datagram(1, 0))].concat();
    let run = run_with_input(["-r", "-", "-o", "json:-"], &file);
    let text = String::from_utf8(run.stdout.clone()).unwrap();
    assert!(!text.contains(OBEYED), "{text:?}");
    assert_eq!(run.documents()[0]["observer"]["ingress"]["interface"]["name"], forged);
}
