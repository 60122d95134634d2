//! Wrong usage: refused at start with exit status 2, never ignored. And `--config`.

use std::process::Output;

use exporter::without_secrets;

use crate::support::capture::pcapng;
use crate::support::{flowprobe, scratch, write};
use crate::{DONE, FAILED, USAGE, datagram};

fn run(arguments: &[&str]) -> Output {
    flowprobe().args(arguments).output().unwrap()
}

/// Checks that a command line is refused in words that name all of these.
fn check(arguments: &[&str], words: &[&str]) {
    let output = run(arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(USAGE), "{arguments:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    assert!(stderr.contains("error: "), "{arguments:?}: {stderr}");
    for word in words {
        assert!(stderr.contains(word), "{arguments:?}: no {word} in {stderr}");
    }
    assert!(!stderr.contains("panicked"), "{arguments:?}: {stderr}");
}

/// Checks a setting beside an input that is not read.
fn check_setting(name: &str, value: &str, words: &[&str]) {
    check(&["-r", "/dev/null", name, value], &[&[name], words].concat());
}

/// Checks an output beside an input that is not read.
fn check_output(url: &str, words: &[&str]) {
    let shown = without_secrets(url);
    check(&["-r", "/dev/null", "-o", url], &[&[shown.as_str()], words].concat());
}

#[test]
fn no_input_is_wrong_usage() {
    check(&["-o", "json:-"], &["-r FILE"]);
    check(&["--max-flows", "10"], &["-r FILE"]);
    let output = run(&[]);
    assert_eq!(output.status.code(), Some(USAGE));
    assert!(String::from_utf8(output.stderr).unwrap().contains("Usage: flowprobe"));
}

#[test]
fn what_is_not_known_is_refused() {
    check(&["--bogus"], &["--bogus"]);
    check(&["-r", "/dev/null", "--active", "1s"], &["--active"]);
    check(&["completions", "tcsh"], &["tcsh", "bash"]);
    check(&["completions"], &["SHELL"]);
}

#[test]
fn options_of_other_probes_have_a_tip_that_is_right() {
    let refused = |arguments: &[&str], tip: &str| {
        check(arguments, &[tip]);
        let stderr = String::from_utf8(run(arguments).stderr).unwrap();
        assert!(!stderr.contains("similar") && !stderr.contains("as a value"), "{stderr}");
    };
    refused(&["-r", "a.pcap", "--lifetime-timeout", "60"], "--active-timeout 60s");
    refused(&["--collector-port", "2055"], "flowprobe collect -l flow://:2055");
    refused(&["-i", "lo", "-n", "10.0.0.5:2055"], "-o netflow9://HOST:PORT");
    refused(&["-i", "lo", "-p", "x"], "docs/migration.md");
    // It would print the version, and meter nothing.
    refused(&["-i", "lo", "-V", "9"], "-o netflow9://HOST:PORT");
    // A word that is only misspelled has the tip of the library.
    check(&["-r", "a.pcap", "--idle-timout", "1s"], &["--idle-timeout"]);
}

#[test]
fn a_setting_without_effect_is_refused() {
    for capture in ["auto", "packet"] {
        let settings = ["-i", "lo", "--take-interface", "--capture", capture];
        check(&settings, &["--take-interface", "--capture afxdp"]);
    }
}

#[test]
fn values_out_of_range_are_refused() {
    for name in ["--idle-timeout", "--active-timeout"] {
        for value in ["0s", "999us", "25h", "2days", "15", "soon", ""] {
            check_setting(name, value, &["1ms to 1day"]);
        }
    }
    for value in ["0", "1001M", "many", "", "1.5k", "-1"] {
        let argument = format!("--max-flows={value}");
        check(&["-r", "/dev/null", &argument], &["--max-flows", "1 to 1000M"]);
    }
    for value in ["2", "1:0", "2:1", "1:-1", "1:x", ""] {
        check_setting("--sample", value, &["1:N"]);
    }
    for value in ["source", "src,", "src,src", ""] {
        check_setting("--flow-key", value, &[]);
    }
    for value in ["eth0", "=7", "eth0=", "eth0=x", "eth0=4294967296"] {
        check_setting("--ifindex", value, &[]);
    }
    check_setting("--workers", "0", &[]);
    check_setting("--workers", "257", &["256"]);
    check_setting("--hash-seed", "x", &["random"]);
    check_setting("--top", "x", &[]);
    check_setting("--order", "flows", &["octets", "packets"]);
    check_setting("--stats", "xml", &["text", "json"]);
}

#[test]
fn contradictions_are_refused() {
    check(&["-r", "-", "-r", "-"], &["standard input"]);
    check(&["-r", "/dev/null", "--top", "5", "-o", "json:-"], &["--top", "--output"]);
    check(&["-r", "/dev/null", "--order", "packets", "-o", "json:-"], &["--order", "--output"]);
    check(&["-r", "/dev/null", "-o", "json:-", "-o", "ipfix-file:-"], &["standard output"]);
    check(&["-r", "/dev/null", "-o", "json:-", "-o", "json:-"], &["twice"]);
    let workers = ["-r", "/dev/null", "--max-flows", "3", "--workers", "4"];
    check(&workers, &["--max-flows", "--workers 4"]);
    // The sampling interval of NetFlow v5 has 14 bits.
    let sampled = ["-r", "/dev/null", "-o", "netflow5://127.0.0.1", "--sample", "1:16384"];
    check(&sampled, &["netflow5", "16384", "16383"]);
    check(&["-r", "/dev/null", "completions", "bash"], &["completions"]);
}

#[test]
fn interface_with_two_numbers_is_refused() {
    check(&["-r", "/dev/null", "--ifindex", "eth0=1", "--ifindex", "eth0=2"], &["eth0"]);
}

#[test]
fn outputs_that_are_no_outputs_are_refused() {
    for url in ["json", "127.0.0.1:4739", "http://host", "sflow://host", "ipfix", "IPFIX://host"] {
        check_output(url, &["ipfix://HOST[:4739]"]);
    }
    for url in ["json:", "ipfix-file:", "ipfix://", "netflow9://:2055", "ipfix+tcp://"] {
        check_output(url, &[]);
    }
    for url in ["ipfix://host:0x1", "ipfix://host:65536", "ipfix://host/path", "ipfix://me@host"] {
        check_output(url, &[]);
    }
}

#[test]
fn settings_that_an_output_does_not_have_are_refused() {
    let cases = [
        ("netflow5://h?template-refresh=1s", "odid, mtu, pps"),
        ("ipfix+tcp://h?mtu=1400", "odid, names, reconnect"),
        ("ipfix+tcp://h?ca=x", "odid, names, reconnect"),
        ("ipfix+tls://h?pps=1", "odid, names, reconnect, ca, cert, key"),
        ("json:-?pps=1", "odid"),
        ("ipfix-file:-?mtu=1400", "odid"),
        ("ipfix://h?bogus=1", "bogus"),
        ("ipfix://h?bogus", "bogus"),
    ];
    for (url, words) in cases {
        check_output(url, &[words]);
    }
}

#[test]
fn settings_of_outputs_out_of_range_are_refused() {
    for query in ["odid=0", "odid=4294967296", "odid=x", "odid=", "odid=1&odid=2"] {
        check_output(&format!("json:-?{query}"), &["odid"]);
    }
    for query in ["mtu=575", "mtu=9001", "pps=-1", "pps=x", "template-packets=0"] {
        check_output(&format!("ipfix://h?{query}"), &[query]);
    }
    for query in ["template-refresh=0s", "template-refresh=10", "template-refresh=999ms"] {
        check_output(&format!("netflow9://h?{query}"), &[query]);
    }
    check_output("ipfix+tcp://h?reconnect=1ms", &["reconnect=1ms"]);
    check_output("ipfix+tls://h?cert=a.pem", &["cert and key"]);
    check_output("ipfix+tls://h?key=a.pem", &["cert and key"]);
}

/// Runs with a configuration file and more arguments.
pub(crate) fn configured(text: &str, arguments: &[&str]) -> (Option<i32>, Vec<u8>, String) {
    let folder = scratch();
    let path = write(&folder, "flowprobe.toml", text.as_bytes());
    let output = run(&[&["--config", path.to_str().unwrap()], arguments].concat());
    (output.status.code(), output.stdout, String::from_utf8(output.stderr).unwrap())
}

/// A capture in a folder that is kept, with two packets 5 s apart on each of two interfaces.
fn capture() -> (tempfile::TempDir, String) {
    let folder = scratch();
    let packets = [datagram(1, 0), datagram(1, 0).on(1), datagram(1, 5000), datagram(2, 5000)];
    let path = write(&folder, "a.pcapng", &pcapng(2, &packets));
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

fn lines(octets: &[u8]) -> usize {
    octets.iter().filter(|&&octet| octet == b'\n').count()
}

#[test]
fn configuration_file_has_the_settings_of_the_command_line() {
    let (_folder, path) = capture();
    let text = format!("read = {path:?}\noutput = \"json:-\"\n");
    let (status, stdout, stderr) = configured(&text, &[]);
    // Two flows of port 1 on two interfaces, and one of port 2.
    assert_eq!((status, lines(&stdout)), (Some(DONE), 3), "{stderr}");
    let text = format!(
        "read = [{path:?}, \"/dev/null\"]\n\
         output = [\"json:-?odid=77\", \"ipfix-file:/dev/null\"]\n\
         idle-timeout = \"4s\"\nmax-flows = 100\nflow-key = \"src,dst,sport,dport,proto,tos\"\n\
         name = \"configured\"\nstats = \"json\"\nquiet = true\nworkers = 2\nsample = \"1:1\"\n"
    );
    let (_, stdout, stderr) = configured(&text, &[]);
    // /dev/null is no capture file, so the status says that. Idle after 4 s, without interface.
    assert_eq!(lines(&stdout), 3, "{stderr}");
    let document: serde_json::Value =
        serde_json::from_slice(stdout.split(|&octet| octet == b'\n').next().unwrap()).unwrap();
    assert_eq!(document["observer"]["name"], "configured");
    assert_eq!(document["netflow"]["exporter"]["source_id"], 77);
    let stats: serde_json::Value =
        stderr.lines().find_map(|line| serde_json::from_str(line).ok()).unwrap();
    assert_eq!(stats["outputs"].as_array().unwrap().len(), 2);
    assert_eq!(stats["ended"]["idle"]["records"], 1);
}

#[test]
fn command_line_comes_before_the_configuration_file() {
    let (_folder, path) = capture();
    let text = "read = \"/nonexistent\"\noutput = [\"json:/nonexistent/x\"]\n\
                idle-timeout = \"1h\"\nquiet = false\n";
    let arguments = ["-r", &path, "-o", "json:-", "--idle-timeout", "4s"];
    let (status, stdout, stderr) = configured(text, &arguments);
    // Lists are replaced as a whole. Four flows, since both of port 1 are idle after 4 s.
    assert_eq!((status, lines(&stdout)), (Some(DONE), 4), "{stderr}");
    let order = "top = 1\norder = \"packets\"\n";
    let (status, stdout, stderr) = configured(order, &["-r", &path, "--order", "octets"]);
    assert_eq!(status, Some(DONE), "{stderr}");
    assert!(String::from_utf8(stdout).unwrap().contains("and 2 smaller flows"));
}

#[test]
fn quiet_runs_say_nothing_but_what_is_wrong() {
    let (_folder, path) = capture();
    let said = |arguments: &[&str]| {
        let output = run(&[&["-r", &path, "-o", "json:/dev/null"], arguments].concat());
        assert_eq!(output.status.code(), Some(DONE));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(said(&[]).contains("4 received"));
    assert_eq!(said(&["--quiet"]), "");
    assert!(said(&["--quiet", "--stats", "json"]).starts_with('{'));
    assert!(said(&["--quiet", "--ifindex", "eth9=1"]).starts_with("flowprobe: warning: "));
}

#[test]
fn wrong_configuration_files_are_refused() {
    let cases = [
        ("bogus = 1\n", "bogus"),
        ("config = \"other.toml\"\n", "config"),
        ("help = true\n", "help"),
        ("idle_timeout = \"1s\"\n", "idle_timeout"),
        ("idle-timeout = \"soon\"\n", "1ms to 1day"),
        ("idle-timeout = 1.5\n", "idle-timeout"),
        ("max-flows = true\n", "max-flows = true: a number from 1 to 1000M"),
        ("name = true\n", "name = true: a text"),
        ("max-flows = [1, 2]\n", "max-flows"),
        ("[max-flows]\n", "max-flows"),
        ("quiet = \"yes\"\n", "quiet"),
        ("output = \"bogus://x\"\n", "bogus"),
        ("output = [\"json:-\", 7]\n", ""),
        ("no toml at all", "flowprobe.toml"),
        ("workers = 0\n", "workers"),
        ("workers = 999\n", "workers"),
        ("groups = \"web\"\n", "NAME=NETWORK"),
        ("[ifindex]\neth1 = [1, 2]\n", "eth1 = (array): NAME=N"),
        ("[local-networks]\n", "local-networks = (table): a network"),
        ("mail-servers = \"mail\"\n", "--mail-servers: there is no group mail"),
        ("outside-interfaces = \"eth1\"\n", "--local-networks"),
        ("top-by = \"sources:bytes\"\n", "top-by = \"sources:bytes\": WHO:COUNT is needed"),
        ("top-by = \"ports\"\nflow-key = \"src\"\n", "--top-by ports:octets: the flow key has no"),
        ("top-by = \"ports\"\norder = \"packets\"\n", "--top-by"),
    ];
    for (text, words) in cases {
        let (status, stdout, stderr) = configured(text, &["-r", "/dev/null"]);
        assert_eq!(status, Some(USAGE), "{text}: {stderr}");
        assert!(stdout.is_empty(), "{text}");
        assert!(stderr.contains("error: ") && stderr.contains(words), "{text}: {stderr}");
        assert!(!stderr.contains("panicked"), "{text}: {stderr}");
    }
    check(&["--config", "/nonexistent.toml"], &["/nonexistent.toml"]);
}

/// Each mistake is in a line of its own, with the file, the line, the key, and what is allowed.
#[test]
fn all_mistakes_of_a_configuration_file_are_found() {
    let text = "read = [\"/dev/null\"]\nidle-timeout = \"soon\"\n# a comment\nbogus = 1\n\
                workers = 0\nstats = \"xml\"\noutput = [\"json:-\",\n7]\nsample = 3\n\
                quiet = 1\nring = 100\numem-max = \"1.5G\"\nifindex = \"eth0\"\n";
    let (status, _, stderr) = configured(text, &[]);
    assert_eq!(status, Some(USAGE), "{stderr}");
    let expected = [
        "2: idle-timeout = \"soon\": a time from 1ms to 1day",
        "4: there is no setting bogus",
        "5: workers = 0: a number from 1 to 256",
        "6: stats = \"xml\": text, json or json:FILE",
        "8: output = 7: ",
        "9: sample = 3: 1:N",
        "10: quiet = 1: true or false",
        "11: ring = 100: a power of two from 64 to 65536",
        "12: umem-max = \"1.5G\": a size from 1M to 64Gi",
        "13: ifindex = \"eth0\": NAME=N",
    ];
    let mut lines = stderr.lines().filter(|line| line.contains("flowprobe.toml:"));
    for words in expected {
        let line = lines.next().unwrap_or_default();
        assert!(line.contains(&format!("flowprobe.toml:{words}")), "{words}: {stderr}");
    }
    assert_eq!(lines.next(), None, "{stderr}");
}

#[test]
fn groups_of_a_configuration_file_are_a_table() {
    let (_folder, path) = capture();
    let text = "local-networks = [\"office\", \"2001:db8::/32\"]\nmail-servers = \"10.0.0.25\"\n\
                inside-interfaces = \"eth1\"\noutside-interfaces = [2, \"eth3\"]\n\
                [groups]\noffice = [\"10.0.0.0/8\", \"192.0.2.1\"]\nweb = \"192.0.2.80\"\n";
    let (status, _, stderr) = configured(text, &["-r", &path, "-o", "json:/dev/null"]);
    assert_eq!(status, Some(DONE), "{stderr}");
    let text = "local-networks = [\"10.0.0.0/8\",\n\"10.0.0.5/8\"]\nmail-servers = 25\n\
                [groups]\noffice = [\"10.0.0.0/8\",\n\"10.0.0\"]\n7up = \"10.0.0.7\"\nweb = true\n";
    let (status, _, stderr) = configured(text, &[]);
    assert_eq!(status, Some(USAGE), "{stderr}");
    let expected = [
        "2: local-networks = \"10.0.0.5/8\": 10.0.0.0/8 is needed",
        "3: mail-servers = 25: a network or an address is needed",
        "6: groups.office = \"10.0.0\": a network or an address is needed",
        "7: groups.7up = \"10.0.0.7\": \"7up\" is no name of a group",
        "8: groups.web = true: a network or an address is needed",
    ];
    let lines: Vec<_> = stderr.lines().filter(|line| line.contains("flowprobe.toml:")).collect();
    assert_eq!(lines.len(), expected.len(), "{stderr}");
    for (line, words) in lines.iter().zip(expected) {
        assert!(line.contains(&format!("flowprobe.toml:{words}")), "{words}: {stderr}");
    }
}

#[test]
fn contradictions_of_a_configuration_file_have_its_lines() {
    for (text, arguments, said) in [
        ("top = 5\n\noutput = \"json:-\"\n", &[][..], "flowprobe.toml:1,3: "),
        (
            "\n[[output]]\nurl = \"json:x\"\n[[output]]\nurl = \"json:x\"\n",
            &[],
            ":2,4: output json:x ",
        ),
        ("# a comment\nmax-flows = 1\nworkers = 2\n", &[], "flowprobe.toml:2,3: "),
        ("workers = 2\n", &["--max-flows", "1"], "flowprobe.toml:1: "),
        (
            "interface = [\n \"a1\",\n \"a1\"\n]\n",
            &[],
            "flowprobe.toml:2,3: interface a1 given twice",
        ),
        (
            "output = [\"json:-\",\n \"ipfix-file:-\"]\n",
            &[],
            "flowprobe.toml:2: output ipfix-file:-",
        ),
        (
            "ifindex = [\"a=1\",\n \"b=1\"]\n",
            &[],
            "flowprobe.toml:1,2: --ifindex b=1: --ifindex a=1",
        ),
    ] {
        let source: &[&str] = if text.contains("interface") { &[] } else { &["-r", "/dev/null"] };
        let (status, _, stderr) = configured(text, &[source, arguments].concat());
        assert_eq!(status, Some(USAGE), "{text}: {stderr}");
        assert!(stderr.contains(said), "{text}: {stderr}");
    }
    // What the command line has alone has no place in the file.
    let (_, _, stderr) =
        configured("quiet = true\n", &["-r", "/dev/null", "--ifindex", "a=1", "--ifindex", "b=1"]);
    assert!(!stderr.contains("toml:"), "{stderr}");
}

#[test]
fn outputs_of_a_configuration_file_can_be_tables() {
    let (folder, path) = capture();
    let [one, other] = ["one two.json", "other.json"].map(|name| folder.path().join(name));
    let text = format!(
        "read = {path:?}\n[[output]]\nurl = \"json:{}\"\nodid = 77\n\
         [[output]]\nurl = \"json:{}\"\n",
        one.display(),
        other.display()
    );
    let (status, _, stderr) = configured(&text, &[]);
    assert_eq!(status, Some(DONE), "{stderr}");
    for (path, domain) in [(one, 77), (other, 1)] {
        let documents = std::fs::read_to_string(path).unwrap();
        let first = documents.lines().next().unwrap();
        let document: serde_json::Value = serde_json::from_str(first).unwrap();
        assert_eq!(document["netflow"]["exporter"]["source_id"], domain);
    }
    let text = "read = \"/dev/null\"\n[[output]]\nurl = \"ipfix://127.0.0.1\"\nmtu = 1\n\
                [[output]]\nmtu = 1400\n[[output]]\nurl = \"json:-\"\nodid = [1]\n";
    let (status, _, stderr) = configured(text, &[]);
    assert_eq!(status, Some(USAGE), "{stderr}");
    for words in
        [":4: output ipfix://127.0.0.1: mtu=1", ":5: an output needs a url", ":9: odid = (array)"]
    {
        assert!(stderr.contains(words), "{words}: {stderr}");
    }
}

#[test]
fn sizes_and_counts_have_the_same_units() {
    let (_folder, path) = capture();
    for value in ["2k", "2Ki", "1M", "1Mi"] {
        let output = run(&["-r", &path, "--max-flows", value, "-o", "json:/dev/null"]);
        assert_eq!(output.status.code(), Some(DONE), "{value}");
    }
    let check_size = |value, words: &[&str]| check(&["-i", "lo", "--umem-max", value], words);
    for value in ["999k", "65Gi", "1.5G", "64m", "x1M", ""] {
        check_size(value, &["--umem-max", "1M to 64Gi"]);
    }
}

#[test]
fn wrong_targets_of_outputs_get_a_hint() {
    check_output("json://f", &["json://f: // does not belong before a path; write :f or :/f"]);
    check_output("ipfix-file:///tmp/f", &["write :tmp/f or :/tmp/f"]);
    check_output("ipfix://::1:4739", &["brackets, as in [::1]:4739"]);
}

/// Each setting of a table is looked at, in a text that is not ASCII too.
#[test]
fn all_mistakes_of_an_output_are_found() {
    let text = "# \u{e4}\u{f6}\u{fc} \u{2192}\nname = \"caf\u{e9}\"\nread = \"/dev/null\"\n\
                [[output]]\nurl = \"ipfix://127.0.0.1\"\nodid = 0\nmtu = 1\npps = [1]\n\
                colour = \"\u{1f534}\"\n[[output]]\nurl = \"bogus://\u{e9}\"\n\
                sample = \"1:0\"\n";
    let (status, _, stderr) = configured(text, &[]);
    assert_eq!(status, Some(USAGE), "{stderr}");
    for words in [
        ":6: output ipfix://127.0.0.1: odid=0 is not a number from 1 to 4294967295",
        ":7: output ipfix://127.0.0.1: mtu=1 is not a number from 576 to 9000",
        ":8: pps = (array): a text or number is needed",
        ":9: output ipfix://127.0.0.1: colour is not a setting of ipfix",
        ":11: output bogus://\u{e9}: unknown scheme bogus",
    ] {
        assert!(stderr.contains(words), "{words}: {stderr}");
    }
    // Text that is no TOML at all, cut in the middle of a character or a value.
    for text in ["\u{e9}", "a = \u{e9}\n\u{e9} =", "a = \"\u{e9}", "\u{feff}\u{e9} = [\u{202e}"] {
        let (status, _, stderr) = configured(text, &[]);
        assert_eq!(status, Some(USAGE), "{stderr}");
        assert!(stderr.contains("flowprobe.toml:") && !stderr.contains("panicked"), "{stderr}");
    }
    // The same on the command line, in one sentence.
    check_output("ipfix://h?mtu=1&pps=x", &["mtu=1 is not", "pps=x is not"]);
}

#[test]
fn zeros_are_refused_in_words_of_their_settings() {
    let text = "max-flows = 0\nworkers = 0\nsample = \"1:0\"\nring = 0\nidle-timeout = \"0s\"\n";
    let (status, _, stderr) = configured(text, &["-r", "/dev/null"]);
    assert_eq!(status, Some(USAGE), "{stderr}");
    assert_eq!(stderr.matches("flowprobe.toml:").count(), 5, "{stderr}");
    assert!(!stderr.contains("non-zero"), "{stderr}");
}

#[test]
fn the_configuration_file_of_a_service_is_right() {
    let path = crate::support::root().join("deploy/flowprobe.toml");
    let output = run(&["--config", path.to_str().unwrap(), "-i", "not-there0"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(FAILED), "{stderr}");
    assert!(stderr.contains("not-there0"), "{stderr}");
}

#[test]
fn the_man_page_has_every_setting_of_the_help() {
    let print = |word: &str| {
        let output = flowprobe().arg(word).output().expect("the program starts");
        assert!(output.status.success(), "{word}");
        String::from_utf8(output.stdout).expect("it is text")
    };
    let (help, page) = (print("--help"), print("man").replace('\\', ""));
    assert!(page.contains(".TH flowprobe 1"), "{page}");
    let words = help.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let settings: Vec<_> = words.filter(|word| word.len() > 4 && word.starts_with("--")).collect();
    assert!(settings.len() > 40, "{settings:?}");
    for setting in settings {
        assert!(page.contains(setting), "no {setting}");
    }
}
