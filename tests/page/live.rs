//! The page of a live run: what it shows, what Prometheus reads, and clients that are slow on
//! purpose.

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::browser::{Seen, grouped};
use crate::client::Shown;
use crate::prometheus::Prometheus;
use crate::support::net::{Host, Links, Network};
use crate::support::{self, wait_until};

const PATIENCE: Duration = Duration::from_secs(60);

/// The length of the test with slow clients, and packets a second: so much that a machine that is
/// busy with other tests loses none. `FLOWPROBE_SLOW_CLIENTS=60` makes it a minute at this rate, by
/// AF_XDP.
const SLOW_SECONDS: u64 = 10;
const SLOW_RATE: u64 = 25_000;
const HIGH_RATE: u64 = 2_000_000;

/// Clients that come at once, and those of them that the page does not serve at that time. It
/// closes these, however busy the machine is.
const SLOW_CLIENTS: u64 = 1000;
const REFUSED_AT_ONCE: u64 = SLOW_CLIENTS - 64;

/// A run that captures from `rx0`. Its page is on the loopback of the probe's host.
pub fn capture(network: &Network, arguments: &[&str]) -> Shown {
    capture_from(network, "rx0", "packet", arguments)
}

fn capture_from(network: &Network, interface: &str, way: &str, arguments: &[&str]) -> Shown {
    network.offload(Host::Probe, interface, "gro", "on");
    let mut command = network.command(Host::Probe, support::flowprobe().get_program());
    command.args(["-i", interface, "--capture", way, "--http", "127.0.0.1:0"]);
    command.args(["-o", "json:/dev/null", "--stats", "json"]).args(arguments);
    let shown = Shown::spawn(command);
    shown.wait_for(&format!("{interface}: "));
    shown
}

#[test]
fn the_page_shows_a_live_run_while_it_goes_on() {
    let Some(network) = Network::new(Links::default()) else { return };
    let page = capture(&network, &["--idle-timeout", "1s"]);
    let mut sent = 0;
    network.on(Host::Probe, || {
        let Some(seen) = Seen::open(&page) else { return };
        for _ in 0..2 {
            let settings = ["--flows", "500", "--rate", "20k", "--packets", "40k"];
            sent += network.send_flows("tx0", &settings).packets;
            // The numbers change while the page is looked at.
            seen.go("health");
            seen.wait_for("#counters", &format!("packets metered\t{}", grouped(sent)));
            seen.wait_for("#counters", "records ended: idle\t");
            let shown = seen.wait_for("#interfaces", &grouped(sent));
            assert!(shown.contains("packets/s") && shown.contains(" /s"), "{shown}");
        }
        seen.wait_for("#state", "live \u{b7} good");
        seen.wait_for("#rates", "packets");
        seen.go("traffic");
        seen.wait_for("#top-note", "still in the table");
        let label = "document.querySelector('#chart-traffic canvas').getAttribute('aria-label')";
        let chart = seen.evaluate(label);
        // How fast packets come depends on what else the machine does.
        assert!(chart.as_str().is_some_and(|label| !label.contains("in all 0 b/s")), "{chart}");
        seen.wait_for("#traffic .legend", "packet counters");
        seen.pictures("traffic-live");
        seen.evaluate("document.querySelector('#view [data-value=interface]').click()");
        seen.wait_for("#traffic .legend", "rx0");
        let series = page.get("/api/v1/series?span=5m").json();
        let counted = series["counted"]["packets"].as_array().expect("points");
        let counted: u64 = counted.iter().filter_map(Value::as_u64).sum();
        // The first second of statistics has nothing before it, and the last is not over.
        assert!(counted > sent / 2 && counted <= sent, "{counted} of {sent}");
        seen.assert_silent();
    });
    if sent == 0 {
        // There is no browser.
        return;
    }
    let shown = network.on(Host::Probe, || page.get("/stats")).json();
    let statistics = page.end();
    for count in
        ["/metered/packets", "/metered/octets", "/received/packets", "/interfaces/0/frames"]
    {
        assert_eq!(shown.pointer(count), statistics.pointer(count), "{count}: {statistics}");
    }
    assert_eq!(statistics["metered"]["packets"], sent, "{statistics}");
}

/// A name with markup is text on the page, and a label of metrics.
#[test]
fn a_hostile_name_of_an_interface_is_text() {
    const NAME: &str = "<u>rx0&lt;";
    let Some(network) = Network::beside(Links::default()) else { return };
    for words in [&["down"][..], &["name", NAME]] {
        network.ip(Host::Probe, &[&["link", "set", "rx0"], words].concat());
    }
    network.ip(Host::Probe, &["link", "set", NAME, "up"]);
    let page = capture_from(&network, NAME, "packet", &[]);
    network.on(Host::Probe, || {
        let metrics = page.get("/metrics").body;
        assert!(metrics.contains(&format!("{{interface=\"{NAME}\"}}")), "{metrics}");
        let Some(seen) = Seen::open(&page) else { return };
        seen.go("health");
        seen.wait_for("#interfaces", NAME);
        seen.assert_is_text();
    });
}

#[test]
fn prometheus_reads_a_live_run_up_to_its_totals() {
    if !support::has_tool("prometheus") {
        support::skip("Prometheus is not installed");
        return;
    }
    let Some(network) = Network::new(Links::default()) else { return };
    let page = capture(&network, &["--idle-timeout", "1s"]);
    let mut sent = 0;
    let [octets, records] = network.on(Host::Probe, || {
        let prometheus = Prometheus::start(&page);
        for _ in 0..2 {
            let settings = ["--flows", "500", "--rate", "20k", "--packets", "40k"];
            sent += network.send_flows("tx0", &settings).packets;
            wait_until("Prometheus has all", || {
                ["flowprobe_metered_packets_total", "sum(flowprobe_ended_packets_total)"]
                    .iter()
                    .all(|name| prometheus.number(name) == sent as f64)
            });
        }
        assert_eq!(prometheus.number("sum(flowprobe_interface_lost_packets_total)"), 0.0);
        let on_wire = prometheus.number("sum(flowprobe_interface_packets_total)");
        assert_eq!(on_wire, sent as f64);
        assert_eq!(prometheus.number("sum(flowprobe_queue_dropped_records_total)"), 0.0);
        assert_eq!(prometheus.number("count(flowprobe_queue_batches_limit)"), 3.0);
        for name in ["worker_metered_packets", "worker_ended_packets", "worker_packets"] {
            let by_worker = prometheus.number(&format!("sum(flowprobe_{name}_total)"));
            assert_eq!(by_worker, sent as f64, "{name}");
        }
        ["octets", "records"]
            .map(|unit| prometheus.number(&format!("sum(flowprobe_ended_{unit}_total)")))
    });
    let statistics = page.end();
    assert_eq!(statistics["metered"]["packets"], sent, "{statistics}");
    assert_eq!(statistics["metered"]["octets"].as_f64(), Some(octets), "{statistics}");
    let ended = statistics["ended"].as_object().expect("reasons");
    let ended: u64 = ended.values().filter_map(|tally| tally["records"].as_u64()).sum();
    assert_eq!(ended as f64, records, "{statistics}");
}

/// Each flow has records of the active timeout, and packets that are in no record yet.
#[test]
fn top_lists_have_each_packet_once_while_flows_go_on() {
    let Some(network) = Network::new(Links::default()) else { return };
    let page = capture(&network, &["--active-timeout", "2s", "--idle-timeout", "1h"]);
    let get = |path: &str| network.on(Host::Probe, || page.get(path)).json();
    let top = || get("/api/v1/top?of=source&by=packets&span=15m");
    let settings = ["--flows", "200", "--rate", "20k", "--packets", "160k"];
    let mut most_in_table = 0;
    let sent = thread::scope(|scope| {
        let sending = scope.spawn(|| network.send_flows("tx0", &settings).packets);
        while !sending.is_finished() {
            let top = top();
            let counted = top["all"]["packets"].as_u64().expect("a count");
            let in_table = top["in_table"]["packets"].as_u64().unwrap_or(0);
            // The statistics may be a second old.
            thread::sleep(Duration::from_millis(1100));
            let metered = get("/stats")["metered"]["packets"].as_u64().unwrap_or(0);
            assert!(counted <= metered, "{counted}, but {metered} were metered");
            most_in_table = most_in_table.max(in_table);
        }
        sending.join().expect("packets are sent")
    });
    assert!(most_in_table > 1000, "{most_in_table}");
    let is_whole = |top: &Value| top["all"]["packets"] == sent;
    wait_until("all packets are in the list", || is_whole(&top()));
    // It stays so: later looks add nothing.
    for _ in 0..4 {
        thread::sleep(Duration::from_secs(1));
        let top = top();
        assert!(is_whole(&top), "{top}");
        assert!(top["records"].as_u64().is_some_and(|records| records >= 400), "{top}");
    }
    assert_eq!(page.end()["metered"]["packets"], sent);
}

/// Connections that send a request octet by octet; those that are closed come again. Returns how
/// many came again.
fn send_slowly(page: &Shown, time: Duration) -> u64 {
    let begin = Instant::now();
    let connect = || {
        let stream = TcpStream::connect(&page.address).expect("the page listens");
        stream.set_nonblocking(true).expect("a socket can be made so");
        stream
    };
    let mut slow: Vec<_> = (0..SLOW_CLIENTS).map(|_| connect()).collect();
    let mut again = 0;
    let goes_on = |again| {
        let patience = if again < REFUSED_AT_ONCE { PATIENCE } else { time };
        begin.elapsed() < patience.max(time)
    };
    while goes_on(again) {
        for stream in &mut slow {
            if stream.write_all(b"G").is_err() && goes_on(again) {
                // It waits while the page has too much to do.
                *stream = connect();
                again += 1;
            }
        }
        thread::sleep(Duration::from_millis(500));
    }
    again
}

#[test]
fn a_thousand_slow_clients_cost_no_packet() {
    let Some(network) = Network::new(Links::default()) else { return };
    let asked = std::env::var("FLOWPROBE_SLOW_CLIENTS").ok();
    let seconds = asked.as_ref().map_or(SLOW_SECONDS, |it| it.parse().expect("seconds"));
    // The generator's processor does what the kernel does for AF_PACKET too, and is not as fast.
    let (rate, way) = if asked.is_some() { (HIGH_RATE, "afxdp") } else { (SLOW_RATE, "packet") };
    let page = capture_from(&network, "rx0", way, &[]);
    let time = Duration::from_secs(seconds);
    let (sent, again) = thread::scope(|scope| {
        let slow = scope.spawn(|| network.on(Host::Probe, || send_slowly(&page, time)));
        let [rate, seconds] = [rate, seconds].map(|it| it.to_string());
        let settings = ["--flows", "20k", "--rate", &rate, "--seconds", &seconds];
        let sent = network.send_flows("tx0", &settings);
        (sent, slow.join().expect("clients go on"))
    });
    let rate = sent.packets as f64 / sent.time.as_secs_f64();
    println!("{} packets, {rate:.0}/s; {again} connections again", sent.packets);
    assert!(again >= REFUSED_AT_ONCE, "clients are closed: {again}");
    let healthy = network.on(Host::Probe, || page.get("/healthz"));
    assert_eq!(healthy.status, 200, "{healthy:?}");
    let statistics = page.end();
    assert_eq!(statistics["interfaces"][0]["lost"], 0, "{statistics}");
    assert_eq!(statistics["metered"]["packets"], sent.packets, "{statistics}");
}
