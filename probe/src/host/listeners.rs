//! The sockets of a collector: of datagrams and of connections.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use exporter::{sentence, server_config};
use log::{info, warn};
use nix::sys::socket::sockopt::{
    Ipv6V6Only, RcvBuf, RcvBufForce, ReceiveTimestampns, ReuseAddr, ReusePort,
};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, getsockname, getsockopt,
    listen, setsockopt, socket,
};
use rustls::ServerConfig;

use crate::report::units::octets;
use crate::settings::listen::ListenSettings;
use crate::settings::listener::{Carrier, Listener, Protocols};
use crate::sys::datagrams::share_by_source;

/// Maximum size of a receive buffer: the kernel counts twice as much, in 31 bits.
const BUFFER_MAX: u64 = (i32::MAX / 2) as u64;

/// A socket that receives datagrams.
#[derive(Debug)]
pub(crate) struct ListenSocket {
    pub(crate) socket: OwnedFd,
    pub(crate) takes: Protocols,
    /// The listener in messages.
    pub(crate) name: String,
}

impl AsFd for ListenSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A socket at which connections come in.
#[derive(Debug)]
pub(crate) struct StreamListener {
    pub(crate) socket: TcpListener,
    /// Connections are under TLS.
    pub(crate) tls: Option<Arc<ServerConfig>>,
    /// The listener in messages.
    pub(crate) name: Arc<str>,
}

impl AsFd for StreamListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The sockets of a worker.
#[derive(Debug, Default)]
pub(crate) struct WorkerSockets {
    pub(crate) datagrams: Vec<ListenSocket>,
    pub(crate) streams: Vec<StreamListener>,
}

/// Connections that wait to be taken, at each socket.
const BACKLOG: i32 = 128;

/// Opens a socket of each listener for each worker. All datagrams of an exporter come to the same
/// worker.
///
/// # Errors
///
/// A socket cannot be opened; in one sentence.
pub(crate) fn open(
    settings: &ListenSettings,
    workers: usize,
) -> Result<Vec<WorkerSockets>, String> {
    let mut of_workers: Vec<_> = (0..workers).map(|_| WorkerSockets::default()).collect();
    for listener in &settings.listeners {
        let named = |problem| format!("--listen {listener}: {}", sentence(&problem));
        let tls = match &listener.carrier {
            Carrier::Tls(files) => {
                let authorities = files.authorities.as_deref();
                Some(server_config(&files.certificate, &files.key, authorities).map_err(named)?)
            }
            Carrier::Udp | Carrier::Tcp => None,
        };
        let sockets = open_listener(listener, workers).map_err(named)?;
        let first = sockets.first().map(|socket| local(socket.as_fd()));
        let address = first.transpose().ok().flatten().unwrap_or(listener.address);
        let name = Listener { address, ..listener.clone() }.to_string();
        if listener.carrier != Carrier::Udp {
            for (socket, of_worker) in sockets.into_iter().zip(&mut of_workers) {
                let (socket, tls, name) = (socket.into(), tls.clone(), Arc::from(name.as_str()));
                of_worker.streams.push(StreamListener { socket, tls, name });
            }
            info!("{name}: listens, for connections");
            continue;
        }
        let mut smallest = u64::MAX;
        for (socket, of_worker) in sockets.into_iter().zip(&mut of_workers) {
            smallest = smallest.min(enlarge(&socket, settings.receive_buffer));
            of_worker.datagrams.push(ListenSocket {
                socket,
                takes: listener.takes,
                name: name.clone(),
            });
        }
        info!("{name}: listens, receive buffer {}", octets(smallest));
        if smallest < settings.receive_buffer.min(BUFFER_MAX) {
            warn!(
                "{name}: the receive buffer has {}, less than --receive-buffer; sysctl -w \
                 net.core.rmem_max={} permits it",
                octets(smallest),
                settings.receive_buffer
            );
        }
    }
    Ok(of_workers)
}

/// # Errors
///
/// The errno of the system call that failed.
fn open_listener(listener: &Listener, workers: usize) -> io::Result<Vec<OwnedFd>> {
    let mut address = listener.address;
    let open_socket = |address, is_shared| match listener.carrier {
        Carrier::Udp => open_datagrams(address, is_shared),
        Carrier::Tcp | Carrier::Tls(_) => open_streams(address, is_shared),
    };
    // Sockets that share a port would share it with another program of the same user too.
    let alone = match open_socket(address, false) {
        Err(problem) if is_without_ipv6(&problem) && address.ip().is_unspecified() => {
            address.set_ip(Ipv4Addr::UNSPECIFIED.into());
            open_socket(address, false)?
        }
        opened => opened?,
    };
    if workers == 1 {
        return Ok(vec![alone]);
    }
    // The port that the system has chosen, if none was given.
    address = local(alone.as_fd())?;
    drop(alone);
    let mut sockets = Vec::new();
    for _ in 0..workers {
        sockets.push(open_socket(address, true)?);
        if let [first] = sockets.as_slice() {
            share_by_source(first.as_fd(), u32::try_from(workers).unwrap_or(u32::MAX))?;
        }
    }
    Ok(sockets)
}

/// Opens a socket of datagrams at this address.
fn open_datagrams(address: SocketAddr, is_shared: bool) -> io::Result<OwnedFd> {
    let opened = open_socket(address, SockType::Datagram, is_shared)?;
    setsockopt(&opened, ReceiveTimestampns, &true)?;
    bind(opened.as_raw_fd(), &SockaddrStorage::from(address))?;
    Ok(opened)
}

/// Opens a socket of connections at this address.
fn open_streams(address: SocketAddr, is_shared: bool) -> io::Result<OwnedFd> {
    let opened = open_socket(address, SockType::Stream, is_shared)?;
    // Connections of an earlier run may still be about to end.
    setsockopt(&opened, ReuseAddr, &true)?;
    bind(opened.as_raw_fd(), &SockaddrStorage::from(address))?;
    listen(&opened, Backlog::new(BACKLOG)?)?;
    Ok(opened)
}

fn open_socket(address: SocketAddr, kind: SockType, is_shared: bool) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let opened = socket(family, kind, flags, None)?;
    if address.ip().is_unspecified() && address.is_ipv6() {
        setsockopt(&opened, Ipv6V6Only, &false)?;
    }
    if is_shared {
        setsockopt(&opened, ReusePort, &true)?;
    }
    Ok(opened)
}

/// The address to which a socket is bound.
fn local(socket: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    let name: SockaddrStorage = getsockname(socket.as_raw_fd())?;
    let v4 = name.as_sockaddr_in().map(|it| SocketAddr::from((it.ip(), it.port())));
    let v6 = || name.as_sockaddr_in6().map(|it| SocketAddr::from((it.ip(), it.port())));
    v4.or_else(v6).ok_or_else(|| io::ErrorKind::Unsupported.into())
}

fn is_without_ipv6(problem: &io::Error) -> bool {
    let error = problem.raw_os_error();
    error == Some(libc::EAFNOSUPPORT) || error == Some(libc::EADDRNOTAVAIL)
}

/// Asks for a receive buffer of this size. Returns what there is.
fn enlarge(socket: &OwnedFd, wanted: u64) -> u64 {
    let wanted = usize::try_from(wanted.min(BUFFER_MAX)).unwrap_or(usize::MAX);
    // Beyond the limit of the system with a capability only.
    if setsockopt(socket, RcvBufForce, &wanted).is_err()
        && let Err(problem) = setsockopt(socket, RcvBuf, &wanted)
    {
        warn!("cannot set the size of a receive buffer: {}", problem.desc());
    }
    // The kernel gives twice as much, for its own data.
    getsockopt(socket, RcvBuf).map_or(0, |got| got as u64 / 2)
}
