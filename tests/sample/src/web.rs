//! The web: people of the office at sites, strangers at the office's own site.

use super::connection::{Connection, Route, Side};
use super::dns::look_up;
use super::network::{Host, server, server6, service, service6, staff, staff6, stranger};
use super::packet::length;
use super::trace::{MILLI, SECOND, Trace};

const HTTP: u16 = 80;
pub(crate) const HTTPS: u16 = 443;

/// The office's web server.
pub(crate) const WEB_SERVER: u8 = 80;

/// A TLS connection that may carry data.
pub(crate) fn open_tls(trace: &mut Trace, time: u64, route: Route) -> Connection<'_> {
    let mut connection = Connection::open(trace, time, route);
    // A ClientHello, then a ServerHello with what follows it in TLS 1.3.
    let client_hello = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    connection.say(Side::Client, &client_hello, 517);
    let server_hello = [0x16, 3, 3, 0, 0x7a, 2, 0, 0, 0x76, 3, 3];
    let certificates = connection.trace.random.between(2400, 4300);
    connection.say(Side::Server, &server_hello, octets(certificates));
    connection.say(Side::Client, &[0x14, 3, 3, 0, 1, 1, 0x17, 3, 3, 0, 0x35], 64);
    connection
}

/// Data in TLS records.
pub(crate) fn say_encrypted(connection: &mut Connection<'_>, from: Side, size: usize) {
    let [high, low] = length(size.min(16_401) - 5).to_be_bytes();
    connection.say(from, &[0x17, 3, 3, high, low], size);
}

/// A visit: some requests, some of them with big answers.
fn visit(trace: &mut Trace, time: u64, route: Route, size_max: u32) {
    let mut connection = open_tls(trace, time, route);
    connection.gap = 150;
    for _ in 0..connection.trace.random.between(1, 4) {
        let request = connection.trace.random.between(180, 900);
        say_encrypted(&mut connection, Side::Client, octets(request));
        connection.wait(30 * MILLI);
        // Most answers are small.
        let most = connection.trace.random.between(900, size_max);
        let answer = connection.trace.random.between(600, most);
        say_encrypted(&mut connection, Side::Server, octets(answer));
        connection.wait(700 * MILLI);
    }
    connection.close(Side::Client);
}

/// The office at sites of the Internet, a third of it over IPv6.
pub(crate) fn browsing(trace: &mut Trace) {
    for number in 0..46_u8 {
        let time = u64::from(trace.random.below(106_000)) * MILLI;
        let site = number % 7 + 1;
        let client = 20 + number % 33;
        let name = format!("www{site}.example.com");
        let (client, server) = if number % 3 == 0 {
            (staff6(client), service6(site))
        } else {
            (staff(client), service(site))
        };
        let time = look_up(trace, time, client, &name, server.address);
        visit(trace, time, Route::out(client, server, HTTPS), 26_000);
    }
}

/// A few pages without encryption.
pub(crate) fn plain_pages(trace: &mut Trace) {
    for number in 0..8_u8 {
        let time = u64::from(trace.random.below(100_000)) * MILLI;
        let (client, server) = (staff(40 + number), service(9));
        let time = look_up(trace, time, client, "pages.example.org", server.address);
        let mut connection = Connection::open(trace, time, Route::out(client, server, HTTP));
        connection.say(Side::Client, b"GET / HTTP/1.1\r\nHost: pages.example.org\r\n", 412);
        connection.wait(12 * MILLI);
        let size = connection.trace.random.between(1000, 20_000);
        connection.say(
            Side::Server,
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n",
            octets(size),
        );
        connection.wait(SECOND);
        connection.close(Side::Server);
    }
}

/// A big file over IPv6.
pub(crate) fn download(trace: &mut Trace) {
    let (client, server) = (staff6(31), service6(8));
    let time = look_up(trace, 9 * SECOND, client, "mirror.example.net", server.address);
    let mut connection = open_tls(trace, time, Route::out(client, server, HTTPS));
    say_encrypted(&mut connection, Side::Client, 320);
    connection.gap = 22 * MILLI;
    say_encrypted(&mut connection, Side::Server, 620_000);
    connection.close(Side::Client);
}

/// Strangers at the office's web server.
pub(crate) fn visitors(trace: &mut Trace) {
    for number in 0..22_u8 {
        let time = u64::from(trace.random.below(105_000)) * MILLI;
        let from = stranger(80 + number);
        // Under the flood nobody gets through.
        if (77 * SECOND..91 * SECOND).contains(&time) {
            Connection::attempt(trace, time, Route::inward(from, server(WEB_SERVER), HTTPS), 3);
        } else if number % 4 == 0 {
            let from = service6(60 + number);
            visit(trace, time, Route::inward(from, server6(WEB_SERVER), HTTPS), 12_000);
        } else {
            visit(trace, time, Route::inward(from, server(WEB_SERVER), HTTPS), 12_000);
        }
    }
}

/// One of the staff's computers sends out what it copied: the biggest flow, at a steady pace, to
/// where nobody else goes.
pub(crate) fn exfiltration(trace: &mut Trace) {
    let thief: Host = staff(66);
    let mut connection = open_tls(trace, 14 * SECOND, Route::out(thief, stranger(5), HTTPS));
    connection.gap = 51 * MILLI;
    say_encrypted(&mut connection, Side::Client, 2_500_000);
    say_encrypted(&mut connection, Side::Server, 120);
}

fn octets(number: u32) -> usize {
    usize::try_from(number).expect("a size fits")
}
