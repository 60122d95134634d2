//! Settings that are right alone and wrong together: all of them are said at once.

use crate::support::capture::pcap;
use crate::support::{flowprobe, scratch, write};
use crate::usage::configured;
use crate::{DONE, USAGE, datagram};

/// The mistakes of a file, one to a line, without its folder.
fn mistakes(text: &str, arguments: &[&str]) -> Vec<String> {
    let (status, stdout, stderr) = configured(text, arguments);
    assert_eq!(status, Some(USAGE), "{text}: {stderr}");
    assert!(stdout.is_empty() && !stderr.contains("panicked"), "{text}: {stderr}");
    let lines = stderr.lines().filter_map(|line| line.split_once("flowprobe.toml"));
    lines.map(|(_, rest)| rest.to_owned()).collect()
}

/// Checks that a file has exactly these mistakes.
fn check(text: &str, expected: &[&str]) {
    check_with(text, &["-r", "/dev/null"], expected);
}

fn check_with(text: &str, arguments: &[&str], expected: &[&str]) {
    let found = mistakes(text, arguments);
    assert_eq!(found.len(), expected.len(), "{text}: {found:#?}");
    for words in expected {
        assert!(found.iter().any(|line| line.contains(words)), "{words}: {found:#?}");
    }
}

#[test]
fn all_contradictions_of_a_file_are_found() {
    check(
        "top = 5\norder = \"packets\"\noutput = [\"json:-\",\n\"ipfix-file:-\"]\n\
         workers = 9\nmax-flows = 3\nwait = true\nring = 64\nhttp-name = \"a\"\n\
         ifindex = [\"a=1\",\n\"b=1\",\n\"a=2\"]\n",
        &[
            ":1,3,4: --top cannot be used with --output",
            ":2,3,4: --order cannot be used with --output",
            ":4: output ipfix-file:-: only one output can go to standard output",
            ":5,6: --max-flows 3: --workers 9 needs",
            ":7: --wait cannot be used with capture files (--read)",
            ":8: --ring cannot be used with capture files (--read)",
            ":9: --http-name needs --http",
            ":10,11: --ifindex b=1: --ifindex a=1 has this number",
            ":10,12: --ifindex a: interface given twice",
        ],
    );
}

#[test]
fn contradictions_are_found_beside_mistakes() {
    check(
        "bogus = 1\ntop = 5\noutput = \"json:-\"\nworkers = 0\n",
        &[
            ":1: there is no setting bogus",
            ":4: workers = 0: ",
            ":2,3: --top cannot be used with --output",
        ],
    );
    // The line that seems to be missing is there and wrong.
    check(
        "local-networks = \"10.0.0.5/8\"\noutside-interfaces = \"eth1\"\n",
        &[":1: local-networks = \"10.0.0.5/8\": "],
    );
    check_with("interface = \"\"\nwait = true\n", &[], &[":1: interface = "]);
}

#[test]
fn groups_that_do_not_exist_are_all_named_with_their_lines() {
    check(
        "mail-servers = [\"mail\", \"post\"]\nlocal-networks = \"office\"\n\
         [rule.scan-horizontal]\nignore = [\"scanners\"]\n\
         [rule.syn-flood.groups]\nguests = 5\n",
        &[
            ":1: --mail-servers: there is no group mail, post",
            ":2: --local-networks: there is no group office",
            ":4: --rule scan-horizontal.ignore: there is no group scanners",
            ":6: --rule syn-flood.groups.guests: there is no group guests",
        ],
    );
}

#[test]
fn all_contradictions_of_a_command_line_are_said() {
    let words = ["--top", "5", "--order", "packets", "-o", "json:-", "--no-realtime"];
    let output = flowprobe().args(["-r", "/dev/null"]).args(words).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(USAGE), "{stderr}");
    for words in ["--top cannot", "--order cannot", "--no-realtime cannot"] {
        assert!(stderr.contains(words), "{words}: {stderr}");
    }
    assert_eq!(stderr.lines().count(), 3, "{stderr}");
    for (words, said) in [
        (&["-i", "lo", "-r", "/dev/null"][..], "--interface cannot be used with capture files"),
        (&["-i", "lo", "/dev/null"], "--interface cannot be used with capture files"),
        (&["--wait"], "--wait needs --interface"),
        (&["--quiet"], "nothing to do"),
    ] {
        let stderr = flowprobe().args(words).output().unwrap().stderr;
        let stderr = String::from_utf8(stderr).unwrap();
        assert!(stderr.contains(said) && stderr.lines().count() == 1, "{words:?}: {stderr}");
    }
}

/// Every file that is named anywhere, under whatever name.
#[test]
fn files_that_are_read_are_never_written() {
    let folder = scratch();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for name in ["key", "token", "ca"] {
        write(&folder, name, b"0123456789abcdef");
        std::fs::hard_link(path(name), path(&format!("{name}-2"))).unwrap();
    }
    let capture = write(&folder, "a.pcap", &pcap(&[datagram(1, 1)]));
    let capture = capture.to_str().unwrap();
    let elastic = format!("elastic+http://127.0.0.1?api-key-file={}", path("key"));
    let dead = |file: &str| format!("elastic+http://127.0.0.1?dead-letter={file}");
    let json = |file: &str| format!("json:{}", path(file));
    let token = ["--http", "127.0.0.1:0", "--http-token-file"];
    for (arguments, said) in [
        (vec!["-o", &elastic, "-o", &json("key-2")], "this file is read"),
        (vec!["-o", &dead(capture)], "this file is read"),
        (vec![token[0], token[1], token[2], &path("token"), "-o", &json("token-2")], "is read"),
        (vec!["-o", &json("x"), "-o", &dead(&path("x"))], "writes the same file"),
        (vec!["-o", &dead(&path("x")), "--stats", &json("x")], "writes the same file"),
    ] {
        let output = flowprobe().args(["-r", capture]).args(&arguments).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(USAGE), "{arguments:?}: {stderr}");
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
    }
}

/// Settings whose value is a text with commas may be lists.
#[test]
fn parts_of_a_value_are_a_list_in_a_configuration_file() {
    let folder = scratch();
    let path = write(&folder, "a.pcap", &pcap(&[datagram(1, 1), datagram(2, 2)]));
    let path = path.to_str().unwrap();
    let text = "flow-key = [\"src\", \"dst\"]\ndecap = [\"vxlan\", \"l2tp\"]\n\
                vxlan-ports = [4789, \"8472\"]\nl2tpv3 = [\"cookie=4\", \"sublayer=4\"]\n";
    let (status, stdout, stderr) = configured(text, &["-r", path, "-o", "json:-"]);
    let flows = stdout.iter().filter(|&&octet| octet == b'\n').count();
    assert_eq!((status, flows), (Some(DONE), 1), "{stderr}");
    let text = "payload = [\"dns\", \"tls\"]\n";
    let (status, _, stderr) = configured(text, &["-r", path, "-o", "json:-"]);
    assert_eq!(status, Some(DONE), "{stderr}");
    let text = "vxlan-ports = [4789,\n99999]\ndecap = [\"vxlan\", \"foo\"]\n\
                flow-key = [\"src\", \"x\",\n\"y\"]\nl2tpv3 = [true]\n\
                local-networks = \"10.0.0.5/8,192.0.2.0/24,2001:db8::1/32\"\n\
                mail-servers = [\"10.0.0.5/8\", \"10.0.0.6/8\"]\n";
    check(
        text,
        &[
            ":2: vxlan-ports = 99999: \"99999\" is no port from 1 to 65535",
            ":3: decap = \"foo\": \"foo\" is none of all",
            ":4: flow-key = \"x\": there is no field \"x\"",
            ":5: flow-key = \"y\": there is no field \"y\"",
            ":6: l2tpv3 = true: ",
            ":7: local-networks = \"10.0.0.5/8\": ",
            ":7: local-networks = \"2001:db8::1/32\": ",
            ":8: mail-servers = \"10.0.0.5/8\": ",
            ":8: mail-servers = \"10.0.0.6/8\": ",
        ],
    );
    // Each part alone is right.
    check(
        "flow-key = [\"src\", \"src\"]\ndecap = []\nidle-timeout = [\"5s\"]\n",
        &[
            ":1: flow-key = \"src,src\": field src is given twice",
            ":2: decap = \"\": \"\" is none of all",
            ":3: idle-timeout = (array): a time from 1ms",
        ],
    );
}

#[test]
fn a_mistake_of_syntax_is_the_only_one_in_its_line() {
    for line in ["idle-timeout = ", "workers = = 5", "ring =", "flow-key = [\"src\"", "name"] {
        let text = format!("bogus = 1\n{line}\n");
        check(&text, &[":1: there is no setting bogus", ":2: "]);
    }
}

/// A record has the names of its conversation, which these fields tell apart.
#[test]
fn names_need_the_fields_of_a_conversation_in_the_key() {
    let with = |fields: &str| format!("payload = \"dns\"\nflow-key = \"{fields}\"\n");
    let expected = ":1,2: --payload needs src, dst, sport, dport and proto in --flow-key";
    for fields in ["src,dst,proto", "src,dst,sport,proto", "dst,sport,dport,proto,vlan"] {
        check(&with(fields), &[expected]);
    }
    let (status, _, stderr) =
        configured(&with("vlan,proto,dport,sport,dst,src"), &["-r", "/dev/null"]);
    assert!(status != Some(USAGE) && !stderr.contains("--flow-key"), "{stderr}");
}
