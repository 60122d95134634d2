//! Hosts that do what they should not.

use super::*;

/// A record for each of so many hosts, some time apart.
fn each(hosts: u32, apart_ms: u64, make: impl Fn(u64, u32) -> FlowRecord) -> Vec<FlowRecord> {
    (0..hosts).map(|host| make(u64::from(host) * apart_ms, host)).collect()
}

#[test]
fn worms_flip_at_their_threshold() {
    let smb =
        |hosts| each(hosts, 100, |at, host| tcp(at, SYN, (inside(1), 4000), (outside(host), 445)));
    assert_flips("worm-port", &smb(9), &smb(12));
    let slammer = |octets| {
        each(14, 100, |at, host| {
            sized(udp(at, (inside(1), 4000), (outside(host), 1434)), 1, octets)
        })
    };
    assert_flips("worm-port", &slammer(403), &slammer(404));
    let code_red = |octets| {
        each(14, 100, |at, host| {
            sized(tcp(at, SYN, (outside(1), 4000), (inside(host), 80)), 3, octets)
        })
    };
    assert_flips("worm-port", &code_red(120), &code_red(144));
}

#[test]
fn a_worm_that_also_scans_is_two_incidents() {
    let smb = each(300, 10, |at, host| tcp(at, SYN, (inside(1), 4000), (outside(host), 445)));
    assert_eq!(found(&smb), ["worm-port"]);
    let ssh = each(300, 10, |at, host| tcp(at, SYN, (inside(1), 4000), (outside(host), 22)));
    assert_eq!(found(&[smb, ssh].concat()), ["worm-port", "scan-horizontal"]);
}

#[test]
fn backups_over_smb_are_no_worm() {
    let shares = each(50, 100, |at, host| {
        sized(tcp(at, SYN | ACK, (inside(1), 4000), (inside(100 + host), 445)), 90_000, 90_000_000)
    });
    assert_eq!(found(&shares), [""; 0]);
}

#[test]
fn senders_of_mail_flip_at_their_threshold_within_an_hour() {
    let mail = |hosts| {
        each(hosts, 120_000, |at, host| {
            sized(tcp(at, SYN | ACK, (inside(1), 4000), (outside(host), 25)), 20, 9000)
        })
    };
    assert_flips("mail-sender", &mail(19), &mail(22));
    let site =
        SiteSettings { mail_servers: vec!["10.0.0.1".parse().unwrap()], ..SiteSettings::default() };
    let events = events_of(detectors_with(Vec::new(), &site), &mail(60));
    assert_eq!(opened(&events), [""; 0], "a mail server");
}

#[test]
fn peers_of_edonkey_count_answered_or_not() {
    let peers = |hosts| {
        each(hosts, 20_000, |at, host| {
            if host.is_multiple_of(2) {
                udp(at, (inside(1), 4672), (outside(host), 4672))
            } else {
                tcp(at, SYN | ACK, (inside(1), 4000), (outside(host), 4662))
            }
        })
    };
    assert_flips("p2p-user", &peers(45), &peers(56));
}

#[test]
fn makers_of_sessions_are_compared_with_their_past() {
    let flows = |minutes: std::ops::Range<u64>, per_second: u64| {
        minutes
            .flat_map(move |minute| (0..60 * per_second).map(move |number| (minute, number)))
            .map(move |(minute, number)| {
                let at = minute * 60_000 + number * 1000 / per_second;
                sized(udp(at, (inside(1), 999), (outside(7), 999)), 9, 900)
            })
            .collect::<Vec<_>>()
    };
    let maker = |usual, then| [flows(0..8, usual), flows(8..9, then)].concat();
    let on = |records: &[FlowRecord]| {
        let off = RuleSettings { enabled: Some(false), ..rule("traffic-spike") };
        opened(&events_of(detectors_with(vec![off], &SiteSettings::default()), records))
    };
    assert_eq!(on(&maker(40, 300)), [""; 0], "not 8 times as many");
    assert_eq!(on(&maker(40, 330)), ["session-maker"]);
    assert_eq!(on(&maker(10, 250)), [""; 0], "below the threshold");
    assert_eq!(on(&flows(0..3, 400)), [""; 0], "a gateway, from the beginning");
}

#[test]
fn storms_of_unreachables_flip_at_their_threshold() {
    let storm = |count| each(count, 100, |at, host| icmp(at, 3, 1, outside(host % 7), inside(1)));
    assert_flips("unreachable-storm", &storm(99), &storm(100));
    let scan = each(300, 100, |at, host| tcp(at, SYN, (outside(9), 4000), (inside(host), 22)));
    let told = each(300, 100, |at, host| icmp(at, 3, 1, inside(host), outside(9)));
    assert_eq!(found(&[scan, told].concat()), ["scan-horizontal"], "the answers of a scan");
}

#[test]
fn spoofed_sources_are_told_by_interface() {
    let site = SiteSettings {
        local_networks: vec!["10.0.0.0/8".parse().unwrap()],
        outside_interfaces: vec!["1".to_owned()],
        ..SiteSettings::default()
    };
    let spoofed =
        |hosts| each(hosts, 100, |at, host| udp(at, (inside(host), 999), (inside(200_000), 999)));
    let found = |hosts| opened(&events_of(detectors_with(Vec::new(), &site), &spoofed(hosts)));
    assert_eq!(found(9), [""; 0]);
    assert_eq!(found(12), ["spoofed-sources"]);
    assert_eq!(super::found(&spoofed(50)), [""; 0], "nothing is known of the networks");
    // New hosts ask for their addresses, and neighbours talk with link-local ones.
    let site = SiteSettings {
        outside_interfaces: Vec::new(),
        inside_interfaces: vec!["1".to_owned()],
        ..site
    };
    let found =
        |records: &[FlowRecord]| opened(&events_of(detectors_with(Vec::new(), &site), records));
    let requests = |source: [u8; 4]| {
        let to = IpAddr::from([255; 4]);
        each(60, 100, |at, _| sized(udp(at, (source.into(), 68), (to, 67)), 100, 30_000))
    };
    assert_eq!(found(&requests([0; 4])), [""; 0]);
    assert_eq!(found(&requests([8; 4])), ["spoofed-sources"]);
    let neighbours = each(50, 100, |at, host| {
        let source = std::net::Ipv6Addr::from((0xfe80 << 112) + u128::from(host));
        udp(at, (source.into(), 5353), (std::net::Ipv6Addr::from(0xff02 << 112).into(), 5353))
    });
    assert_eq!(found(&neighbours), [""; 0]);
}

#[test]
fn heavy_networks_are_compared_with_their_past() {
    let voice = |minutes: std::ops::Range<u64>, megabits: u64| {
        let of_minute = |minute: u64| {
            let octets = megabits * 1_000_000 / 8 * 60 / 100;
            (0..100).map(move |number| {
                let from = (outside(number % 200), 5000);
                let at = minute * 60_000 + u64::from(number) * 600;
                sized(udp(at, from, (inside(number), 5000)), 50, octets)
            })
        };
        minutes.flat_map(of_minute).collect::<Vec<_>>()
    };
    let heavy = |usual, then| [voice(0..8, usual), voice(8..9, then)].concat();
    assert_flips("new-heavy-flow", &heavy(30, 119), &heavy(30, 121));
    assert_eq!(found(&heavy(1, 99)), [""; 0], "below the threshold");
}
