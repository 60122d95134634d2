//! Services of every day: time, mail, remote logins, the branch office, tests of the way.

use super::connection::{Connection, Route, Side};
use super::dns::look_up;
use super::network::{branch, gateway, phone, server, service, service6, staff, staff6, stranger};
use super::packet::{Header, ICMP, ICMPV6, icmp, icmp_error, udp};
use super::trace::{MILLI, SECOND, START, Trace};
use super::web::{HTTPS, open_tls, say_encrypted};

const NTP: u16 = 123;
const SMTP: u16 = 25;
const SSH: u16 = 22;
const IMAPS: u16 = 993;

const ESP: u8 = 50;

/// The mail server's place among the servers.
const MAIL_SERVER: u8 = 25;

/// Clients ask for the time.
pub(crate) fn clocks(trace: &mut Trace) {
    // Seconds from 1900 to 1970.
    const ERA: u64 = 2_208_988_800;
    for number in 0..30_u8 {
        let time = u64::from(trace.random.below(109_000)) * MILLI;
        let client = if number % 3 == 0 { phone(11 + number) } else { staff(20 + number) };
        let clock = service(123);
        let seconds = u32::try_from(START + ERA + time / SECOND).expect("until 2036").to_be_bytes();
        let mut question = vec![0x23, 0, 6, 0xec];
        question.resize(40, 0);
        question.extend([&seconds[..], &[0; 4]].concat());
        let mut answer = vec![0x24, 1, 6, 0xec, 0, 0, 0, 0, 0, 0, 0, 16];
        answer.extend(b"GPS\0");
        for _ in 0..4 {
            answer.extend([&seconds[..], &[0; 4]].concat());
        }
        trace.udp(time, [client, clock], [NTP, NTP], &question);
        trace.udp(time + 17 * MILLI, [clock, client], [NTP, NTP], &answer);
    }
}

/// Mail comes in, and people look for it.
pub(crate) fn mail(trace: &mut Trace) {
    for number in 0..7_u8 {
        let time = u64::from(number) * 15 * SECOND + trace.random.around(4 * SECOND);
        let route = Route::inward(stranger(30 + number), server(MAIL_SERVER), SMTP);
        let mut connection = Connection::open(trace, time, route);
        let client = Side::Client;
        let server = Side::Server;
        let talk: [(Side, &[u8]); 9] = [
            (server, b"220 mail.example.com ESMTP\r\n"),
            (client, b"EHLO mx.example.net\r\n"),
            (server, b"250-mail.example.com\r\n250 SIZE 52428800\r\n"),
            (client, b"MAIL FROM:<news@example.net>\r\n"),
            (server, b"250 2.1.0 Ok\r\n"),
            (client, b"RCPT TO:<staff@example.com>\r\n"),
            (server, b"250 2.1.5 Ok\r\n"),
            (client, b"DATA\r\n"),
            (server, b"354 End data with <CR><LF>.<CR><LF>\r\n"),
        ];
        for (from, words) in talk {
            connection.say(from, words, words.len());
            connection.wait(3 * MILLI);
        }
        let size = usize::try_from(connection.trace.random.between(1500, 30_000));
        connection.say(
            client,
            b"From: news@example.net\r\nSubject: March\r\n",
            size.expect("fits"),
        );
        connection.say(server, b"250 2.0.0 Ok: queued\r\n", 22);
        connection.close(client);
    }
    for number in 0..9_u8 {
        let time = u64::from(trace.random.below(100_000)) * MILLI;
        let client = staff(22 + 3 * number);
        let server = server(MAIL_SERVER);
        let time = look_up(trace, time, client, "mail.example.com", server.address);
        let mut connection = open_tls(trace, time, Route::local(client, server, IMAPS));
        for size in [60, 44, 52] {
            say_encrypted(&mut connection, Side::Client, size);
            let answer = usize::try_from(connection.trace.random.between(90, 2800));
            say_encrypted(&mut connection, Side::Server, answer.expect("a size fits"));
            connection.wait(250 * MILLI);
        }
        connection.close(Side::Client);
    }
}

/// An administrator types on a server for the whole time.
pub(crate) fn administration(trace: &mut Trace) {
    let mut connection =
        Connection::open(trace, 2 * SECOND, Route::local(staff(21), server(10), SSH));
    connection.say(Side::Server, b"SSH-2.0-OpenSSH_9.2p1\r\n", 23);
    connection.say(Side::Client, b"SSH-2.0-OpenSSH_9.6p1\r\n", 23);
    for _ in 0..80 {
        connection.say(Side::Client, &[], 36);
        connection.say(Side::Server, &[], 52);
        connection.wait(1_280 * MILLI);
    }
}

/// The branch office: a tunnel for its traffic, and computers behind two tags.
pub(crate) fn branch_office(trace: &mut Trace) {
    let (here, there) = (server(4), stranger(90));
    let index = trace.random.u32().to_be_bytes();
    for number in 0..130_u32 {
        let time = u64::from(number) * 840 * MILLI + trace.random.around(120 * MILLI);
        let head = [index, (number + 1).to_be_bytes()].concat();
        let sizes = [104, 184, 1368, 136];
        let (size, answer) = (sizes[number as usize % 4], sizes[number as usize / 4 % 4]);
        let question = trace.random.message(&head, size);
        trace.send(time, here, there, ESP, question);
        let answer = trace.random.message(&head, answer);
        trace.send(time + 21 * MILLI, there, here, ESP, answer);
    }
    for number in 0..6_u8 {
        let time = u64::from(number) * 16 * SECOND + trace.random.around(6 * SECOND);
        let client = branch(20 + number);
        let time = look_up(trace, time, client, "intranet.example.com", server(81).address);
        let mut connection = open_tls(trace, time, Route::local(client, server(81), HTTPS));
        say_encrypted(&mut connection, Side::Client, 700);
        connection.wait(8 * MILLI);
        say_encrypted(&mut connection, Side::Server, 9000);
        connection.close(Side::Client);
    }
}

/// Pings over both versions of IP, a traceroute, and a port that nobody listens at.
pub(crate) fn tests_of_the_way(trace: &mut Trace) {
    let pings =
        [(staff(21), service(1), ICMP, [8, 0]), (staff6(21), service6(1), ICMPV6, [128, 129])];
    for (from, to, protocol, kinds) in pings {
        let id = trace.random.u16().to_be_bytes();
        for number in 0..20_u8 {
            let time = 30 * SECOND + u64::from(number) * SECOND + trace.random.around(2 * MILLI);
            let rest = [id[0], id[1], 0, number + 1];
            let data: Vec<u8> = (0..56).collect();
            trace.send(time, from, to, protocol, icmp(kinds[0], 0, rest, &data));
            trace.send(time + 13 * MILLI, to, from, protocol, icmp(kinds[1], 0, rest, &data));
        }
    }
    traceroute(trace);
    let (client, clock) = (phone(12), server(53));
    for number in 0..3 {
        let time = 71 * SECOND + number * 5 * SECOND;
        let (ports, words) = ([514, 514], b"<14>phone: registered");
        let header = trace.udp(time, [client, clock], ports, words);
        let refused = icmp_error(3, 3, &header, udp(ports, words));
        trace.send(time + 200, clock, client, ICMP, refused);
    }
}

/// Three packets for each hop; the routers on the way answer, at last the host itself.
fn traceroute(trace: &mut Trace) {
    let (from, to) = (staff(21), service(1));
    for probe in 0..18_u8 {
        let hop = probe / 3 + 1;
        let time = 52 * SECOND + u64::from(probe) * 90 * MILLI;
        let ports = [40_321, 33_434 + u16::from(probe)];
        let header = trace.udp(time, [from.with_ttl(hop), to], ports, &[0; 32]);
        let (router, kind, code) = match hop {
            1 => (gateway(from, [10, 10, 0, 1].into()), 11, 0),
            6 => (to, 3, 3),
            _ => (stranger(240 + hop), 11, 0),
        };
        let arrived = Header { from: from.with_ttl(1), ..header };
        let answer = icmp_error(kind, code, &arrived, udp(ports, &[0; 32]));
        trace.send(time + u64::from(hop) * 3 * MILLI, router, from, ICMP, answer);
    }
}
