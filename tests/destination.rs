//! Outputs as users write them: what is understood, what is refused, and in which words.

mod support;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::time::Duration;

use exporter::{Context, Destination, OUTPUTS, Output, forms, help, without_secrets};
use flow::Batch;

use crate::support::record::datagram;

fn context() -> Context {
    Context { name: "test".to_owned(), version: "0".to_owned(), ..Context::default() }
}

/// The output is understood, and shown again as it was written.
fn accept(text: &str) -> Destination {
    let destination: Destination = text.parse().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(destination.as_str(), text);
    destination
}

#[test]
fn group_has_collectors_and_their_settings() {
    for text in [
        "balance:ipfix://a,ipfix://b",
        "balance:netflow9://[::1]:1,ipfix+tcp://b:2?takeover=5s&odid=7",
    ] {
        assert!(!accept(text).writes_documents());
    }
    let group = accept("balance:ipfix://a:1,ipfix://b?odid=7&ttl=3");
    assert_eq!(group.host(), Some(("a", 1)));
    assert_eq!(group.domain_or(1), 7);
    let read = accept("balance:ipfix+tls://a,ipfix+tls://b?ca=/etc/ca.pem");
    assert_eq!(read.files_read().collect::<Vec<_>>(), [Path::new("/etc/ca.pem")]);
    accept("balance:netflow5://a,ipfix://b").check(16_384).unwrap_err();
    refuse("balance:ipfix://a", &["2 to 64 collectors"]);
    refuse("balance:", &["2 to 64 collectors"]);
    refuse("balance:ipfix://a,json:x", &["json:x is no collector"]);
    refuse("balance:ipfix://a,ipfix://a", &["ipfix://a is there twice"]);
    refuse("balance:ipfix://a,balance:x", &["balance:x"]);
    refuse("balance:ipfix://a,ipfix://b:0", &[":0 is not a port"]);
    refuse("balance:ipfix://a,ipfix+tcp://b?mtu=1400", &["mtu is not a setting of ipfix+tcp"]);
    refuse("balance:ipfix://a,ipfix://b?takeover=never", &["takeover=never"]);
    let other = accept("balance:ipfix://a:1,ipfix://b?odid=7&ttl=3");
    assert!(group == other && group != accept("balance:ipfix://a:1,ipfix://b?odid=7&ttl=4"));
    let set = |url: &str| {
        Destination::new(
            url,
            [("takeover", "9s"), ("odid", "5")]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        )
    };
    assert_eq!(set("balance:ipfix://a,ipfix://b").unwrap().domain_or(1), 5);
    Destination::check_setting("balance:ipfix://a,ipfix://b", "ttl", "3").unwrap();
    Destination::check_setting("balance:ipfix://a,ipfix://b", "takeover", "3s").unwrap();
    Destination::check_setting("balance:ipfix://a,ipfix://b", "ttl", "0").unwrap_err();
}

#[cfg(not(feature = "kafka"))]
#[test]
fn program_without_kafka_says_how_to_build_it() {
    refuse("kafka://b1/flows", &["without Kafka", "--package probe --features kafka"]);
}

#[cfg(feature = "kafka")]
#[test]
fn topic_is_the_path_behind_the_brokers() {
    for text in ["kafka://b1/flows", "kafka://b1:1,[::1]:2/a.b-c_D?key=conversation&batch=1M"] {
        assert!(accept(text).names_documents());
    }
    assert_eq!(accept("kafka://b1,b2:3/flows").host(), Some(("b1", 9092)));
    refuse("kafka://b1", &["no topic"]);
    refuse("kafka://b1/", &["no topic"]);
    refuse("kafka:b1/flows", &["//"]);
    refuse("kafka://b1,/flows", &["no host"]);
    refuse("kafka://me@b1/flows", &["user and password-file are settings"]);
    refuse("kafka://b1/a/b", &["'/' cannot be in the name of a topic"]);
    refuse("kafka://b1/..", &[".. cannot be the name of a topic"]);
    refuse("kafka://b1/flows?key=flow", &["key=flow"]);
    refuse("kafka://b1/flows?password-file=x", &["user"]);
    refuse("kafka://b1/flows?ca=x", &["ca is not a setting of kafka"]);
    // The tests are built without TLS for Kafka.
    refuse("kafka+tls://b1/flows", &["--package probe --features kafka-tls"]);
    refuse("kafka://b1/flows?user=me&sasl=scram-sha-256", &["--features kafka-tls"]);
    refuse("kafka://b1/flows?key=conversation&format=ipfix", &["needs format=json"]);
    assert!(accept("kafka://b1/flows").writes_documents());
    refuse("kafka://b1/flows?format=ipfix&message-max=7999", &["needs message-max=8k"]);
    accept("kafka://b1/flows?format=ipfix&message-max=8k");
    accept("kafka://b1/flows?message-max=1000");
    assert!(!accept("kafka://b1/flows?format=ipfix").writes_documents());
}

/// The output is refused in a sentence that names it and says these things.
fn refuse(text: &str, reasons: &[&str]) {
    let error = text.parse::<Destination>().expect_err(text);
    assert!(error.starts_with(&format!("output {}: ", without_secrets(text))), "{error}");
    assert!(!error.contains("secret"), "{error}");
    for reason in reasons {
        assert!(error.contains(reason), "{error}\ndoes not say: {reason}");
    }
    assert!(!error.ends_with('.') && !error.contains('\n'), "{error}");
}

#[test]
fn every_form_is_understood() {
    for text in [
        "netflow5://collector",
        "netflow5://10.0.0.5:9995?odid=7&mtu=1400&pps=0",
        "netflow9://collector.example:2055/",
        "netflow9://h?template-refresh=1m&template-packets=20&odid=4294967295",
        "ipfix://[2001:db8::5]:4739",
        "ipfix://[::1]?mtu=1280",
        "ipfix://h?pps=4294967295&mtu=576",
        "ipfix://h?mtu=9000&template-refresh=1h%2030m",
        "ipfix+tcp://h:1?reconnect=10s&odid=1",
        "ipfix+tcp://h?source=eth0&wait=5s",
        "ipfix://239.1.2.3?source=10.0.0.1&ttl=8",
        "netflow9://h?source=2001:db8::1&resolve=5m",
        "ipfix+tls://h?ca=/etc/ca.pem",
        "ipfix+tls://h?cert=c.pem&key=k.pem&ca=ca.pem&reconnect=1s&odid=3",
        "ipfix-file:flows.ipfix",
        "ipfix-file:/tmp/a:b?odid=9",
        "json:-",
        "json:-?odid=9",
        "json:a b",
    ] {
        accept(text);
    }
}

#[test]
fn unknown_schemes_are_refused_with_those_that_exist() {
    for (text, reason) in [
        ("netflow7://h", "unknown scheme netflow7"),
        ("udp://h:1", "unknown scheme udp"),
        ("IPFIX://h", "unknown scheme IPFIX"),
        ("ipfix+udp://h", "unknown scheme ipfix+udp"),
        ("://h", "unknown scheme"),
        ("file.json", "no scheme"),
        ("", "no scheme"),
    ] {
        refuse(text, &[reason, &forms()]);
    }
    for scheme in ["netflow5", "netflow9", "ipfix", "ipfix+tcp", "ipfix+tls", "ipfix-file", "json"]
    {
        assert!(forms().contains(&format!("{scheme}:")), "{scheme}");
    }
}

#[test]
fn what_was_probably_meant_is_said() {
    for (text, meant) in [
        ("flows.json", "json:flows.json"),
        ("out/flows.ipfix?odid=1", "ipfix-file:out/flows.ipfix?odid=1"),
        ("/var/lib/flows", "json:/var/lib/flows"),
        ("-", "json:-"),
        ("json", "json:PATH"),
        ("10.0.0.1:2055", "ipfix://10.0.0.1:2055 or netflow9://10.0.0.1:2055"),
        ("10.0.0.1", "ipfix://10.0.0.1 or netflow9://10.0.0.1"),
        ("2001:db8::1", "ipfix://[2001:db8::1] or netflow9://[2001:db8::1]"),
        ("[::1]:4739", "ipfix://[::1]:4739 or ipfix+tcp://[::1]:4739"),
        ("localhost:9200", "elastic+http://localhost:9200 or elastic+https://localhost:9200"),
        ("b1:9092", "kafka://b1:9092/TOPIC"),
        ("http://me:secret@h:9200", "elastic+http://h:9200"),
        ("udp://h:1", "ipfix://h:1 or netflow9://h:1"),
        ("file:///tmp/x", "json:/tmp/x"),
        ("IPFIX://h", "ipfix://h"),
        ("jsn:x", "json:x"),
    ] {
        refuse(text, &[&format!("; perhaps {meant}; outputs are netflow5:")]);
    }
    for text in ["", "bogus", "me:secret@h/x", "bogus://h"] {
        assert!(!text.parse::<Destination>().unwrap_err().contains("perhaps"), "{text}");
    }
}

#[test]
fn unknown_settings_are_refused_with_those_that_exist() {
    let cases = [
        ("netflow5://h?template-refresh=60s", "template-refresh", "odid, mtu, pps"),
        ("netflow5://h?template-packets=1", "template-packets", "odid, mtu, pps"),
        ("netflow9://h?reconnect=5s", "reconnect", "template-refresh, template-packets"),
        ("ipfix://h?MTU=1400", "MTU", "odid, names, mtu, pps"),
        ("ipfix://h?odid=1&=2", " is not a setting", "odid"),
        ("ipfix+tcp://h?mtu=1400", "mtu", "odid, names, reconnect"),
        ("ipfix+tcp://h?ca=x", "ca", "odid, names, reconnect"),
        ("ipfix+tcp://h?pps=5", "pps", "odid, names, reconnect"),
        ("ipfix+tls://h?template-refresh=60s", "template-refresh", "ca, cert, key"),
        ("ipfix-file:x?mtu=1400", "mtu", "odid"),
        ("json:x?pretty=1", "pretty", "odid"),
        ("json:-?pps", "pps", "odid"),
    ];
    for (text, setting, known) in cases {
        refuse(text, &[setting, "is not a setting of", known]);
    }
}

#[test]
fn settings_may_stand_beside_the_url() {
    let given = |pairs: &[(&str, &str)]| {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, *value)).collect();
        let owned = pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Destination::new("ipfix://h?odid=7", owned)
    };
    let destination = given(&[("mtu", "1400")]).unwrap();
    assert_eq!(destination.as_str(), "ipfix://h?odid=7");
    assert_eq!(destination, given(&[("mtu", "1400")]).unwrap());
    assert_ne!(destination, given(&[("mtu", "1401")]).unwrap());
    for (pair, reason) in [
        (("odid", "8"), "odid is set twice"),
        (("mtu", "1"), "mtu=1 is not a number from 576 to 9000"),
        (("ca", "x"), "ca is not a setting of ipfix"),
    ] {
        let error = given(&[pair]).unwrap_err();
        assert!(
            error.starts_with("output ipfix://h?odid=7: ") && error.contains(reason),
            "{error}"
        );
    }
}

#[test]
fn settings_are_given_once() {
    for text in [
        "ipfix://h?odid=1&odid=1",
        "ipfix://h?mtu=1400&odid=1&mtu=1500",
        "ipfix://h?pps=1&pps=1&pps=1",
        "netflow9://h?template-refresh=60s&template-refresh=61s",
        "netflow9://h?template-packets=1&template-packets=2",
        "ipfix+tls://h?ca=a&ca=b",
        "ipfix+tcp://h?reconnect=1s&reconnect=2s",
        "json:x?odid=1&odid=2",
    ] {
        refuse(text, &["is set twice"]);
    }
}

#[test]
fn numbers_are_in_their_range() {
    let cases = [
        ("mtu", "from 576 to 9000", ["575", "9001", "-1", "1e3", "x", ""]),
        ("odid", "from 1 to 4294967295", ["0", "4294967296", "-1", "0x1", "1.0", ""]),
        ("pps", "from 0 to 4294967295", ["4294967296", "-1", "1.5", "10k", "x", ""]),
        ("template-packets", "from 1 to 4294967295", ["0", "-5", "x", "1 0", "4294967296", ""]),
        ("ttl", "from 1 to 255", ["0", "256", "-1", "x", "1.5", ""]),
    ];
    for (name, range, values) in cases {
        for value in values {
            refuse(&format!("ipfix://h?{name}={value}"), &[&format!("{name}={value}"), range]);
        }
    }
    for value in ["0s", "999ms", "60", "-1s", "x", ""] {
        let reason = format!("template-refresh={value}");
        refuse(&format!("netflow9://h?template-refresh={value}"), &[&reason, "such as 60s"]);
        refuse(&format!("ipfix+tcp://h?reconnect={value}"), &["reconnect=", "such as 60s"]);
    }
    refuse("ipfix+tcp://h?reconnect=60", &["; 60 has no unit: 60s?"]);
}

#[test]
fn source_is_an_address_or_an_interface() {
    for value in ["", "10.0.0.1/24", "a-name-of-16-oct", "eth 0", "10.0.0.1%25lo", "::1%25nolink"] {
        for scheme in ["ipfix", "ipfix+tcp", "ipfix+tls", "netflow5", "netflow9"] {
            let words = ["source=", "is not an address of this host or the name of an interface"];
            refuse(&format!("{scheme}://h?source={value}"), &words);
        }
    }
}

#[test]
fn files_need_a_path_and_collectors_a_host() {
    for text in ["json:", "ipfix-file:", "json:?odid=1", "ipfix-file:?"] {
        refuse(text, &["no path", "standard output is -"]);
    }
    for text in ["ipfix://", "netflow5:///", "netflow9://:2055", "ipfix+tcp:h:1", "ipfix://?odid=1"]
    {
        refuse(text, &[]);
    }
}

#[test]
fn what_would_be_ignored_is_refused() {
    for text in [
        "ipfix://h/path",
        "ipfix://h/?odid=1#fragment",
        "ipfix://user@h",
        "ipfix://user:secret@h",
        "ipfix://:secret@h",
        "ipfix+tls://h:4740/index.html",
    ] {
        refuse(text, &["only a host, a port and settings are allowed"]);
    }
    for text in
        ["ipfix://h:65536", "ipfix://h:x", "ipfix://[::1", "ipfix://[fe80::zz]", "ipfix://a b"]
    {
        refuse(text, &[]);
    }
}

#[test]
fn nothing_is_sent_to_port_0() {
    for scheme in ["netflow5", "netflow9", "ipfix", "ipfix+tcp", "ipfix+tls"] {
        refuse(&format!("{scheme}://127.0.0.1:0"), &[]);
    }
}

#[test]
fn certificate_and_key_belong_together() {
    refuse("ipfix+tls://h?cert=c.pem", &["cert and key belong together"]);
    refuse("ipfix+tls://h?key=k.pem&ca=ca.pem", &["cert and key belong together"]);
}

#[test]
fn only_dash_is_standard_output() {
    for (text, expected) in [
        ("json:-", true),
        ("ipfix-file:-", true),
        ("json:-?odid=1", true),
        ("json:./-", false),
        ("json:--", false),
        ("ipfix://h", false),
    ] {
        assert_eq!(accept(text).is_stdout(), expected, "{text}");
    }
}

#[test]
fn netflow5_refuses_a_sampling_interval_that_it_cannot_say() {
    let v5 = accept("netflow5://h");
    v5.check(1).unwrap();
    v5.check(16_383).unwrap();
    let error = v5.check(16_384).unwrap_err();
    for part in ["output netflow5://h: ", "16384", "16383"] {
        assert!(error.contains(part), "{error}");
    }
    for text in ["netflow9://h", "ipfix://h", "ipfix+tcp://h", "json:x", "ipfix-file:x"] {
        accept(text).check(u32::MAX).unwrap();
    }
}

#[test]
fn readme_and_help_list_every_output_and_setting() {
    let row = |output: &&Output| {
        let names = output.settings.iter().map(|setting| format!("`{}`", setting.name));
        let names = names.collect::<Vec<_>>().join(", ");
        format!("| `{}` | {} | {names} |\n", output.form(), output.meaning)
    };
    let outputs: String = OUTPUTS.iter().map(row).collect();
    let mut settings: Vec<String> = Vec::new();
    for setting in OUTPUTS.iter().flat_map(|output| output.settings) {
        let row = format!("| `{}` | {setting} |\n", setting.name);
        if !settings.contains(&row) {
            settings.push(row);
        }
    }
    let readme = std::fs::read_to_string(support::root().join("README.md")).unwrap();
    for table in [outputs, settings.concat()] {
        assert!(readme.contains(&table), "README.md is to have:\n{table}");
    }
    let help = help(100);
    for output in OUTPUTS {
        assert!(help.contains(&output.form()), "{help}");
        assert!(output.settings.iter().all(|setting| help.contains(&setting.to_string())));
    }
    assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
}

/// What opening an output says when it cannot be.
fn open_error(text: &str) -> String {
    let Err(error) = accept(text).open(&context()) else { panic!("{text} was opened") };
    error.to_string()
}

#[test]
fn output_that_cannot_be_opened_says_why() {
    let error = open_error("json:/nowhere/at/all.json");
    assert_eq!(error, "cannot create /nowhere/at/all.json: no such file or directory");
    let error = open_error("ipfix-file:/?odid=1");
    assert_eq!(error, "cannot create /: is a directory");
    let error = open_error("ipfix://no-such-host.invalid?wait=1s");
    assert!(error.starts_with("cannot send to ipfix://no-such-host.invalid: "), "{error}");
    // A port that was free a moment ago: nobody listens.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let error = open_error(&format!("ipfix+tcp://127.0.0.1:{port}?wait=1s"));
    assert!(error.contains(&format!("127.0.0.1:{port}: connection refused")), "{error}");
}

#[test]
fn datagrams_go_to_the_default_port() {
    // An address of the loopback network that no collector of another test has.
    let address = Ipv4Addr::new(127, 41, 7, 3);
    for (scheme, port, version) in
        [("netflow5", 2055, 5), ("netflow9", 2055, 9), ("ipfix", 4739, 10)]
    {
        let Ok(socket) = UdpSocket::bind((address, port)) else {
            support::skip_without(&format!("UDP port {port} for a test"));
            continue;
        };
        receive_version(&socket, &format!("{scheme}://{address}"), version);
    }
}

#[test]
fn connections_go_to_the_default_port() {
    let address = Ipv4Addr::new(127, 41, 7, 4);
    for (scheme, port) in [("ipfix+tcp", 4739), ("ipfix+tls", 4740)] {
        let Ok(listener) = TcpListener::bind((address, port)) else {
            support::skip_without(&format!("TCP port {port} for a test"));
            continue;
        };
        let output = accept(&format!("{scheme}://{address}?odid=1"));
        let opener = std::thread::spawn(move || drop(output.open(&context())));
        // A peer that ends at once is enough: TLS then fails, TCP is open.
        drop(listener.accept().unwrap());
        opener.join().unwrap();
    }
}

#[test]
fn ipv6_host_in_brackets_is_an_address() {
    let localhost = IpAddr::V6(Ipv6Addr::LOCALHOST);
    let Ok(socket) = UdpSocket::bind((localhost, 0)) else {
        return support::skip_without("IPv6 on the loopback interface");
    };
    let port = socket.local_addr().unwrap().port();
    receive_version(&socket, &format!("ipfix://[::1]:{port}"), 10);
    receive_version(&socket, &format!("netflow9://{}", SocketAddr::new(localhost, port)), 9);
}

#[test]
fn host_name_is_resolved() {
    // The name may stand for addresses of both versions; this socket takes either.
    let any_v6 = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0));
    let socket = any_v6.or_else(|_| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))).unwrap();
    let port = socket.local_addr().unwrap().port();
    receive_version(&socket, &format!("ipfix://localhost:{port}"), 10);
}

#[test]
fn datagrams_and_connections_leave_from_the_source() {
    let source = Ipv4Addr::new(127, 41, 7, 9);
    for setting in ["source=127.41.7.9", "source=lo"] {
        let expected = if setting == "source=lo" { Ipv4Addr::LOCALHOST } else { source };
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let at = socket.local_addr().unwrap();
        let mut exporter = accept(&format!("ipfix://{at}?{setting}")).open(&context()).unwrap();
        exporter.finish().unwrap();
        exporter.export(&Batch::from(&[datagram()][..])).unwrap();
        exporter.finish().unwrap();
        assert_eq!(socket.recv_from(&mut [0; 2048]).unwrap().1.ip(), expected, "{setting}");

        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let at = listener.local_addr().unwrap();
        let exporter = accept(&format!("ipfix+tcp://{at}?{setting}")).open(&context()).unwrap();
        assert_eq!(listener.accept().unwrap().1.ip(), expected, "{setting}");
        drop(exporter);
    }
    for (source, words) in [
        ("192.0.2.1", "source=192.0.2.1: cannot assign requested address"),
        ("nolink0", "source=nolink0: no such interface"),
        ("::1", "127.0.0.1 has no address that the one of source= can reach"),
    ] {
        for scheme in ["ipfix", "ipfix+tcp"] {
            let error = open_error(&format!("{scheme}://127.0.0.1?source={source}&wait=1s"));
            assert!(error.contains(words) && error.contains("given up after 1 s"), "{error}");
        }
    }
}

/// Exports a record; the first datagram at the socket is of that version.
fn receive_version(socket: &UdpSocket, output: &str, version: u8) {
    let mut exporter = accept(output).open(&context()).unwrap();
    exporter.export(&Batch::from(&[datagram()][..])).unwrap();
    exporter.finish().unwrap();
    assert_eq!(exporter.counts().sent.records, 1);
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut first = [0; 2048];
    socket.recv(&mut first).expect("a datagram arrives");
    assert_eq!(first[..2], [0, version], "{output}");
    // The next output finds the socket empty.
    for _ in 1..exporter.counts().messages {
        socket.recv(&mut first).expect("every datagram arrives");
    }
}
