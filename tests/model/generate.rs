//! Scripts out of seeds: few hosts, so that packets meet; times that fall on the edges of the
//! rules, one millisecond before and one after.

use flow::{FlowDirection, IpVersion, KeyField, TIMEOUT_MS_MAX};

use crate::script::{
    AH, Content, DCCP, ESP, GRE, ICMP, ICMPV6, Ip, Length, Packet, Part, SCTP, Script, Settings,
    TCP, UDP, UDP_LITE,
};
use crate::support::random;

/// Three days.
const VERY_LATE_MS: u32 = 1 << 28;

/// Choices: the same for the same seed.
#[derive(Debug)]
pub struct Random(random::Random);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(random::Random::new(seed))
    }

    /// A number from 0 to below the limit.
    pub fn below<T: TryFrom<u64>>(&mut self, limit: u64) -> T {
        T::try_from(self.0.below(limit)).ok().expect("the limit fits the type")
    }

    /// True so many times in a thousand.
    pub fn often(&mut self, per_mille: u64) -> bool {
        self.0.below(1000) < per_mille
    }

    pub fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below::<usize>(of.len() as u64)].clone()
    }
}

const SECOND: i64 = 1000;
const HOUR: i64 = 3600 * SECOND;
const DAY: i64 = 24 * HOUR;

impl Script {
    /// The script of a seed.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let settings = settings(&mut random);
        let length = random.pick(&[50, 200, 200, 700, 700, 3000]);
        let packets = Generator::new(random, &settings).packets(length);
        Self { seed, settings, packets }
    }

    /// As [`Script::new`], under these settings.
    pub fn under(settings: Settings, seed: u64, length: usize) -> Self {
        let packets = Generator::new(Random::new(seed), &settings).packets(length);
        Self { seed, settings, packets }
    }
}

fn settings(random: &mut Random) -> Settings {
    let day = TIMEOUT_MS_MAX;
    let (idle_ms, active_ms) = random.pick(&[
        (15_000, 60_000),
        (15_000, 60_000),
        (15_000, 60_000),
        (60_000, 15_000),
        (2000, 2000),
        (1999, 5000),
        (2001, 10_000),
        (500, 1000),
        (3000, 100),
        (1, 1),
        (1, day),
        (day, 1),
        (day, day),
        (90_000, 2000),
    ]);
    use KeyField::*;
    let seven =
        [Source, Destination, SourcePort, DestinationPort, Protocol, TypeOfService, Interface];
    let key = random.pick(&[
        seven.to_vec(),
        seven.to_vec(),
        seven.to_vec(),
        KeyField::ALL.to_vec(),
        seven[..5].to_vec(),
        [&seven[..5], &[Vlan]].concat(),
        seven[1..].to_vec(),
        seven[..4].to_vec(),
        vec![Source, Destination],
        vec![SourcePort, Protocol, Vlan],
        vec![DestinationPort, TypeOfService, Interface],
        vec![Vlan],
        [&seven[..], &[Direction]].concat(),
        vec![Destination, Direction],
    ]);
    let sampling = random.pick(&[1, 1, 1, 1, 1, 1, 2, 3, 10]);
    let idle_ms_of = random.pick(&[
        vec![],
        vec![],
        vec![],
        vec![(6, 500)],
        vec![(6, 100_000), (17, 1)],
        vec![(17, 40_000), (1, 10)],
        vec![(6, 2001), (17, day)],
    ]);
    let has_protocol = key.contains(&Protocol);
    let idle_ms_of = if has_protocol { idle_ms_of } else { vec![] };
    Settings { idle_ms, active_ms, idle_ms_of, key, sampling }
}

/// Nearly all packets come in.
const DIRECTIONS: [FlowDirection; 4] =
    [FlowDirection::Ingress, FlowDirection::Ingress, FlowDirection::Ingress, FlowDirection::Egress];

struct Generator<'a> {
    random: Random,
    settings: &'a Settings,
    /// The two ends of conversations; the first ones talk most.
    conversations: Vec<Packet>,
    /// Packets a thousand that keep the pace of the source.
    calm: u64,
    /// Milliseconds between packets, when all is calm.
    pace: u64,
    /// What the clock of the source shows.
    source: i64,
    /// About the latest time so far, after a step back the latest since then.
    newest: i64,
    excursion: Option<Excursion>,
    recent: Vec<Packet>,
}

/// Packets whose clock is behind.
struct Excursion {
    packets: usize,
    back_to: i64,
    done: usize,
}

impl<'a> Generator<'a> {
    fn new(mut random: Random, settings: &'a Settings) -> Self {
        let many = random.often(100);
        let count = if many { 2500 } else { random.pick(&[1, 3, 10, 40]) };
        let ports = if many { 2000 } else { random.pick(&[1, 2, 4]) };
        let hosts = random.pick(&[1, 2, 5]);
        let conversations = (0..count).map(|_| conversation(&mut random, hosts, ports)).collect();
        // Times in the table are the low bits of milliseconds: where those wrap is of interest.
        let start = random.pick(&[
            0,
            5,
            (1 << 31) - 3000,
            (1 << 32) - 20_000,
            400 * (1 << 32) - 10_000,
            1_700_000_000_000,
        ]);
        Self {
            calm: if many { 999 } else { random.pick(&[300, 700, 950]) },
            pace: if many { 1 } else { random.pick(&[1, 4, 50, 500]) },
            random,
            settings,
            conversations,
            source: start,
            newest: start,
            excursion: None,
            recent: Vec::new(),
        }
    }

    fn packets(mut self, length: usize) -> Vec<Packet> {
        (0..length).map(|_| self.packet()).collect()
    }

    fn packet(&mut self) -> Packet {
        let packet = if self.excursion.is_some() {
            let time = self.time_of_excursion();
            self.packet_at(time)
        } else if self.random.often(self.calm) || self.recent.is_empty() {
            let time = self.calm_time();
            self.packet_at(time)
        } else {
            self.restless_packet()
        };
        if packet.time > self.newest {
            self.newest = packet.time;
        }
        self.recent.push(packet.clone());
        if self.recent.len() > 30 {
            self.recent.remove(0);
        }
        packet
    }

    fn calm_time(&mut self) -> i64 {
        let step: i64 = self.random.below(self.pace + 1);
        self.source += step;
        self.source
    }

    fn restless_packet(&mut self) -> Packet {
        match self.random.below(100_u64) {
            0..40 => self.aimed_packet(),
            40..75 => {
                let late = self.lateness();
                self.packet_at((self.newest - late).max(0))
            }
            75..83 => {
                self.source = self.newest + self.jump();
                self.packet_at(self.source)
            }
            83..93 => {
                self.begin_excursion();
                let time = self.time_of_excursion();
                self.packet_at(time)
            }
            _ => {
                self.source += self.random.below::<i64>(u64::from(self.settings.idle_ms) + 2);
                self.packet_at(self.source)
            }
        }
    }

    /// A packet of a flow, or of a datagram, at the edge of one of its times.
    fn aimed_packet(&mut self) -> Packet {
        let mut packet = self.random.pick(&self.recent);
        let idle = match &packet.content {
            Content::Ip(ip) => self.settings.idle_ms(ip.transport.protocol),
            Content::Arp => self.settings.idle_ms,
        };
        let (idle, active) = (idle.into(), self.settings.active_ms.into());
        let ahead = self.random.pick(&[idle, idle, active, active, 2 * SECOND, 30 * SECOND]);
        let ahead = ahead + self.random.pick(&[0, 1]);
        if let Content::Ip(ip) = &mut packet.content {
            match ip.part {
                Part::First(id) => {
                    ip.part = Part::Later(id);
                    let lifetime = 30 * SECOND + self.random.pick(&[0, 1]);
                    packet.time += self.random.pick(&[lifetime, -lifetime]);
                }
                Part::Whole | Part::Atomic(_) | Part::Later(_) => packet.time += ahead,
            }
            if ip.transport.protocol == TCP {
                ip.transport.tcp_control_bits = control_bits(&mut self.random);
            }
        }
        packet.time = packet.time.max(0);
        if packet.time > self.source {
            self.source = packet.time;
        }
        packet
    }

    fn lateness(&mut self) -> i64 {
        let idle = i64::from(self.settings.idle_ms);
        let active = i64::from(self.settings.active_ms);
        let near = self.random.below(u64::from(self.settings.idle_ms) + 1);
        let edge = self.random.pick(&[idle, active, 2000, i64::from(VERY_LATE_MS)]);
        let around = edge + self.random.pick(&[-1, 0, 1]);
        self.random.pick(&[1, near, near, near, around, around, 3 * HOUR, 40 * DAY, i64::MAX / 2])
    }

    fn jump(&mut self) -> i64 {
        self.random.pick(&[
            20 * SECOND,
            61 * SECOND,
            HOUR,
            DAY,
            DAY + 1,
            i64::from(VERY_LATE_MS),
            i64::from(VERY_LATE_MS) + 1,
            (1 << 31) + 5,
            1 << 32,
            (1 << 32) + 1000,
        ])
    }

    /// The clock of the source is set back, for a while or for good.
    fn begin_excursion(&mut self) {
        let idle = i64::from(self.settings.idle_ms);
        let by = self.random.pick(&[idle + 1, idle + 200, idle + HOUR, idle + 5 * DAY, idle / 2]);
        let packets = self.random.pick(&[3, 63, 64, 65, 130, usize::MAX]);
        self.excursion = Some(Excursion { packets, back_to: self.newest, done: 0 });
        self.source = (self.newest - by).max(0);
    }

    fn time_of_excursion(&mut self) -> i64 {
        let idle = i64::from(self.settings.idle_ms);
        let Some(excursion) = &mut self.excursion else { return self.source };
        excursion.done += 1;
        if excursion.done == 64 {
            self.newest = self.source;
            if self.random.often(200) {
                // Now was set back, and the next packets are behind that again.
                self.source = (self.source - idle - 1).max(0);
                return self.newest;
            }
        }
        if excursion.done > 200 || excursion.done == excursion.packets {
            if excursion.packets < usize::MAX {
                self.source = excursion.back_to;
            }
            self.excursion = None;
        } else if self.random.often(5) {
            // One packet in time breaks the row.
            return (self.newest - self.random.pick(&[0, idle])).max(0);
        } else if self.random.often(300) {
            self.source += 1;
        }
        self.source
    }

    fn packet_at(&mut self, time: i64) -> Packet {
        let random = &mut self.random;
        let count = self.conversations.len() as u64;
        let one: usize = random.below(count);
        let mut packet = self.conversations[one.min(random.below(count))].clone();
        packet.time = time;
        if random.often(20) {
            packet.content = Content::Arp;
        }
        if random.often(200) {
            packet.tags = tags(random);
        }
        if random.often(30) {
            packet.point.interface = random.pick(&[1, 2]);
        }
        if random.often(50) {
            packet.point.direction = random.pick(&DIRECTIONS);
        }
        if let Content::Ip(ip) = &mut packet.content {
            vary(random, ip);
        }
        packet
    }
}

/// Who talks to whom over what.
fn conversation(random: &mut Random, hosts: u64, ports: u64) -> Packet {
    let version = random.pick(&[IpVersion::V4, IpVersion::V4, IpVersion::V6]);
    let icmp = if version == IpVersion::V4 { ICMP } else { ICMPV6 };
    // In IPv6 the Authentication Header is walked through.
    let other = if version == IpVersion::V4 { AH } else { GRE };
    let protocol =
        random.pick(&[TCP, TCP, TCP, TCP, UDP, UDP, icmp, SCTP, DCCP, UDP_LITE, GRE, ESP, other]);
    let mut packet = Packet::of_tcp(0, 1000 + random.below::<u16>(ports), 0);
    packet.point.interface = random.pick(&[1, 1, 1, 2]);
    packet.point.direction = random.pick(&DIRECTIONS);
    packet.tags = tags(random);
    if let Content::Ip(ip) = &mut packet.content {
        ip.version = version;
        ip.source = 1 + random.below::<u8>(hosts);
        ip.destination = 1 + random.below::<u8>(hosts);
        ip.type_of_service = random.pick(&[0, 0, 0, 0xb9]);
        ip.transport.protocol = protocol;
        ip.transport.destination_port = 2000 + random.below::<u16>(ports);
    }
    packet
}

/// What differs from packet to packet.
fn vary(random: &mut Random, ip: &mut Ip) {
    ip.ttl = random.pick(&[64, 64, 64, 63, 1, 255, 0, 128]);
    ip.transport.payload = random.pick(&[0, 0, 1, 10, 100, 1400]);
    if ip.transport.protocol == TCP {
        ip.transport.tcp_control_bits = control_bits(random);
    }
    if random.often(20) {
        ip.type_of_service = random.below(256);
    }
    if random.often(100) {
        let id = random.below(4);
        ip.part = random.pick(&[Part::First(id), Part::Later(id), Part::Later(id)]);
        if ip.version == IpVersion::V6 && random.often(200) {
            ip.part = Part::Atomic(id);
        }
        // In IPv6 only the first fragment may know the protocol, so the others' does not count.
        if matches!(ip.part, Part::Later(_)) && random.often(300) {
            ip.transport.protocol = random.pick(&[TCP, UDP]);
        }
    } else if random.often(60) {
        ip.length = length(random, ip.version);
        if ip.length == Length::Zero && random.often(500) {
            // 60 octets may be padding, 61 are not.
            ip.transport.payload = 0;
            ip.transport.payload = 60 + random.below::<usize>(2) - ip.carried();
        }
    }
    if random.often(60) {
        let header = ip.header() + ip.extension();
        ip.captured = Some(header + random.pick(&[0, 1, 2, 3, 4, 13, 14, 30]));
    } else if ip.length == Length::True && random.often(10) {
        ip.captured = Some(random.below(ip.header() as u64));
    }
}

fn length(random: &mut Random, version: IpVersion) -> Length {
    let little = random.below::<u16>(20) + 1;
    let common = [Length::Zero, Length::Says(little), Length::Says(1500), Length::Says(65_000)];
    match version {
        IpVersion::V4 if random.often(300) => random.pick(&[Length::BelowHeader, Length::Says(0)]),
        IpVersion::V4 | IpVersion::V6 => random.pick(&common),
    }
}

fn control_bits(random: &mut Random) -> u8 {
    const FIN: u8 = 0x01;
    const SYN: u8 = 0x02;
    const RST: u8 = 0x04;
    const PSH: u8 = 0x08;
    const ACK: u8 = 0x10;
    let any = random.below(256);
    random.pick(&[
        ACK,
        ACK,
        ACK,
        ACK,
        ACK | PSH,
        ACK | PSH,
        SYN,
        SYN | ACK,
        FIN | ACK,
        FIN | ACK,
        RST,
        FIN | SYN,
        any,
        0,
    ])
}

/// No tag, one, or two; the outer one with a priority, which is no part of the VLAN id.
fn tags(random: &mut Random) -> Vec<u16> {
    random.pick(&[
        vec![],
        vec![],
        vec![5],
        vec![6],
        vec![0xe000 | 5],
        vec![0xa000],
        vec![7, 5],
        vec![0x0fff, 6, 5],
    ])
}
