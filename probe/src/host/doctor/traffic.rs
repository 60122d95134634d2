//! Packets that come in while somebody listens: of which tunnels they are.

use std::thread;
use std::time::{Duration, Instant};

use flow::{
    DecapSettings, Dissection, HashSeed, KeyFields, Naming, NewClock, Observation, Observer,
    ObserverSettings, Sampling, Sink, Tpids, TunnelKind,
};

use super::facts::Facts;
use crate::capture::packet::{BLOCK_OCTETS, Direction, PacketSettings, PacketSocket};
use crate::capture::{PacketSource, Polled};

/// How long it is listened.
pub(super) const LISTENED: Duration = Duration::from_millis(500);

/// Time between two looks at the sockets.
const LOOK: Duration = Duration::from_millis(20);

/// Frames that are read of a socket at a time.
const FRAMES: usize = 1024;

/// Room for what comes between two looks.
const RING_OCTETS: usize = 16 * BLOCK_OCTETS;

/// Packets that came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Traffic {
    pub(super) packets: u64,
    /// Those that look like tunnels, in the order of [`TunnelKind::ALL`].
    pub(super) tunnels: [u64; TunnelKind::ALL.len()],
}

/// Listens to all interfaces together, as far as this process may.
pub(super) fn listen(all: &mut [Facts]) {
    let mut ears: Vec<_> = all.iter_mut().filter_map(Ear::new).collect();
    let end = Instant::now() + LISTENED;
    while !ears.is_empty() && Instant::now() < end {
        thread::sleep(LOOK);
        ears.retain_mut(Ear::hears);
    }
}

/// An interface that is listened to.
struct Ear<'facts> {
    socket: PacketSocket,
    observer: Observer,
    heard: Heard<'facts>,
}

impl<'facts> Ear<'facts> {
    fn new(facts: &'facts mut Facts) -> Option<Self> {
        let interface = &facts.interface;
        let settings = PacketSettings {
            name: interface.name.clone(),
            ifindex: interface.index,
            number: interface.index,
            sockets: 1,
            ring_octets: RING_OCTETS,
            direction: Direction::In,
            promiscuous: true,
            reads_payload: false,
            dissection: Dissection::default(),
        };
        let is_up = interface.is_up();
        let socket = PacketSocket::open_all(&settings).ok().filter(|_| is_up)?.pop()?;
        let observer = Observer::new(&ObserverSettings {
            key: KeyFields::SEVEN,
            idle_timeout_ms: 1000,
            active_timeout_ms: 1000,
            sampling: Sampling { interval: 1 },
            tpids: Tpids::default(),
            decap: DecapSettings::default(),
            seed: HashSeed::new(0),
        });
        let traffic = facts.traffic.insert(Traffic::default());
        Some(Self { socket, observer, heard: Heard { packet: Observation::default(), traffic } })
    }

    /// Takes what has come in; whether more may come.
    fn hears(&mut self) -> bool {
        let Self { socket, observer, heard } = self;
        let polled = socket.poll(FRAMES, |frame| observer.observe(frame, heard));
        matches!(polled, Ok(Polled::More | Polled::Idle))
    }
}

/// Counts packets.
struct Heard<'facts> {
    packet: Observation,
    traffic: &'facts mut Traffic,
}

impl Sink for Heard<'_> {
    fn vacancy(&mut self) -> &mut Observation {
        &mut self.packet
    }

    fn push(&mut self) {
        self.traffic.packets += 1;
        if let Some(kind) = TunnelKind::of_ends(&self.packet.key()) {
            self.traffic.tunnels[kind as usize] += 1;
        }
    }

    fn begin_clock(&mut self, _clock: NewClock) {}

    fn learn(&mut self, _naming: Naming) {}
}
