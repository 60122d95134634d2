//! Files: a server of shares (SMB), and one of the engineers (NFS over UDP, in fragments).

use super::connection::{Connection, Route, Side};
use super::network::{Host, server, server6, staff, staff6};
use super::packet::length;
use super::trace::{MILLI, SECOND, Trace};

pub(crate) const SMB: u16 = 445;

const NFS: u16 = 2049;

/// The file server's place among the servers.
pub(crate) const FILE_SERVER: u8 = 10;

/// Commands of SMB2.
const NEGOTIATE: u8 = 0;
const SESSION_SETUP: u8 = 1;
const TREE_CONNECT: u8 = 3;
const CREATE: u8 = 5;
const CLOSE: u8 = 6;
const READ: u8 = 8;
const WRITE: u8 = 9;

/// An SMB2 message of so many octets.
fn smb2(connection: &mut Connection<'_>, from: Side, command: u8, size: usize) {
    let [_, high, middle, low] = u32::try_from(size - 4).expect("at most 16 MiB").to_be_bytes();
    let mut head = vec![0, high, middle, low, 0xfe, b'S', b'M', b'B', 64, 0, 1, 0];
    head.extend([0, 0, 0, 0, command, 0, 1, 0, from as u8, 0, 0, 0]);
    // Offset of the next, message, process and tree, session, signature.
    head.extend([0; 44]);
    connection.say(from, &head, size);
}

fn ask(connection: &mut Connection<'_>, command: u8, request: usize, response: usize) {
    smb2(connection, Side::Client, command, request);
    connection.wait(400);
    smb2(connection, Side::Server, command, response);
}

/// A session up to an open file.
fn open_share(trace: &mut Trace, time: u64, client: Host) -> Connection<'_> {
    let mut connection =
        Connection::open(trace, time, Route::local(client, server(FILE_SERVER), SMB));
    ask(&mut connection, NEGOTIATE, 290, 262);
    ask(&mut connection, SESSION_SETUP, 162, 371);
    ask(&mut connection, SESSION_SETUP, 650, 80);
    ask(&mut connection, TREE_CONNECT, 142, 88);
    ask(&mut connection, CREATE, 322, 304);
    connection
}

/// People read and write files of the share.
pub(crate) fn shares(trace: &mut Trace) {
    for number in 0..9_u8 {
        let time = u64::from(trace.random.below(95_000)) * MILLI;
        let mut connection = open_share(trace, time, staff(24 + 3 * number));
        for _ in 0..connection.trace.random.between(1, 5) {
            let size = connection.trace.random.between(900, 16_000);
            let size = usize::try_from(size).expect("a size fits");
            if number % 3 == 0 {
                ask(&mut connection, WRITE, 116 + size, 88);
            } else {
                ask(&mut connection, READ, 121, 84 + size);
            }
            connection.wait(2 * SECOND);
        }
        ask(&mut connection, CLOSE, 96, 132);
        connection.close(Side::Client);
    }
}

/// What is sent out later is first read from the file server, all of it, in a few seconds.
pub(crate) fn theft(trace: &mut Trace) {
    let mut connection = open_share(trace, 5 * SECOND, staff(66));
    connection.gap = 60;
    for _ in 0..8 {
        ask(&mut connection, READ, 121, 65_620);
        connection.wait(350 * MILLI);
    }
    connection.close(Side::Client);
}

/// Reads of 8 KiB, each answer a datagram in six fragments.
pub(crate) fn datagrams(trace: &mut Trace) {
    let clients = [(staff(33), server(11), 34 * SECOND), (staff6(34), server6(11), 58 * SECOND)];
    for (client, server, begin) in clients {
        let port = 700 + trace.random.u16() % 300;
        for number in 0..22 {
            let time = begin + number * 130 * MILLI + trace.random.around(20 * MILLI);
            let call = trace.random.u32();
            let request = trace.random.message(&rpc_call(call), 44 + 64 + 12);
            trace.udp(time, [client, server], [port, NFS], &request);
            let reply = trace.random.message(&rpc_reply(call), 44 + 8192);
            trace.udp(time + 900, [server, client], [NFS, port], &reply);
        }
    }
}

/// READ of NFS version 3, with an empty AUTH_NONE credential (RFC 5531, RFC 1813).
fn rpc_call(id: u32) -> Vec<u8> {
    let handle = length(64).into();
    [id, 0, 2, 100_003, 3, 6, 0, 0, 0, 0, handle].map(u32::to_be_bytes).concat()
}

/// A successful reply without attributes of the file.
fn rpc_reply(id: u32) -> Vec<u8> {
    [id, 1, 0, 0, 0, 0, 0, 0, 8192, 0, 8192].map(u32::to_be_bytes).concat()
}
