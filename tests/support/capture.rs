//! Capture files, made by hand.

/// A packet of a capture.
#[derive(Clone, Debug)]
pub struct Captured {
    /// Nanoseconds since the epoch.
    pub nanos: u64,
    /// Octets on the wire; `data` may be fewer.
    pub wire_length: u32,
    pub data: Vec<u8>,
    /// pcapng: position of the interface in the section.
    pub interface: u32,
    /// pcapng: flagged as sent by the host.
    pub outbound: bool,
}

impl Captured {
    /// A whole frame, at a time in milliseconds.
    pub fn at(millis: u64, data: Vec<u8>) -> Self {
        let wire_length = u32::try_from(data.len()).unwrap();
        Self { nanos: millis * 1_000_000, wire_length, data, interface: 0, outbound: false }
    }

    /// The packet, cut at a snap length.
    pub fn cut(mut self, snap_length: usize) -> Self {
        self.data.truncate(snap_length);
        self
    }

    /// The packet, sent by the host.
    pub fn outbound(mut self) -> Self {
        self.outbound = true;
        self
    }

    /// The packet, on another interface.
    pub fn on(mut self, interface: u32) -> Self {
        self.interface = interface;
        self
    }
}

/// Byte order of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Little,
    Big,
}

impl Order {
    pub fn u16(self, value: u16) -> [u8; 2] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    pub fn u32(self, value: u32) -> [u8; 4] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }
}

/// A classic pcap file of Ethernet frames, microseconds, little-endian.
pub fn pcap(packets: &[Captured]) -> Vec<u8> {
    pcap_as(Order::Little, false, 1, packets)
}

/// A classic pcap file of any form.
pub fn pcap_as(order: Order, nanoseconds: bool, link: u32, packets: &[Captured]) -> Vec<u8> {
    let magic = if nanoseconds { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
    let mut file = Vec::new();
    file.extend(order.u32(magic));
    file.extend(order.u16(2));
    file.extend(order.u16(4));
    for word in [0, 0, 262_144, link] {
        file.extend(order.u32(word));
    }
    for packet in packets {
        let fraction = packet.nanos % 1_000_000_000;
        let header = [
            (packet.nanos / 1_000_000_000).try_into().unwrap(),
            u32::try_from(fraction).unwrap() / if nanoseconds { 1 } else { 1000 },
            packet.data.len().try_into().unwrap(),
            packet.wire_length,
        ];
        header.iter().for_each(|&word| file.extend(order.u32(word)));
        file.extend(&packet.data);
    }
    file
}

/// A pcapng block: type, length, body padded to 4, length.
pub fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let padded = body.len().next_multiple_of(4);
    let length = u32::try_from(padded + 12).unwrap();
    let mut block = Vec::new();
    block.extend(order.u32(kind));
    block.extend(order.u32(length));
    block.extend(body);
    block.resize(8 + padded, 0);
    block.extend(order.u32(length));
    block
}

/// A Section Header Block.
pub fn section(order: Order) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(order.u32(0x1a2b_3c4d));
    body.extend(order.u16(1));
    body.extend(order.u16(0));
    body.extend([0xff; 8]);
    block(order, 0x0a0d_0d0a, &body)
}

/// An Interface Description Block with options, each a code and a value.
pub fn interface(order: Order, link: u16, snap_length: u32, options: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(order.u16(link));
    body.extend(order.u16(0));
    body.extend(order.u32(snap_length));
    for (code, value) in options {
        body.extend(order.u16(*code));
        body.extend(order.u16(value.len().try_into().unwrap()));
        body.extend(*value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    block(order, 1, &body)
}

/// An Enhanced Packet Block, in microseconds.
pub fn enhanced(order: Order, packet: &Captured) -> Vec<u8> {
    enhanced_at(order, packet, packet.nanos / 1000)
}

/// An Enhanced Packet Block with a time in ticks.
pub fn enhanced_at(order: Order, packet: &Captured, ticks: u64) -> Vec<u8> {
    let mut body = Vec::new();
    let words = [
        packet.interface,
        u32::try_from(ticks >> 32).unwrap(),
        u32::try_from(ticks & 0xffff_ffff).unwrap(),
        packet.data.len().try_into().unwrap(),
        packet.wire_length,
    ];
    words.iter().for_each(|&word| body.extend(order.u32(word)));
    body.extend(&packet.data);
    if packet.outbound {
        body.resize(body.len().next_multiple_of(4), 0);
        // epb_flags: outbound, received as unicast.
        body.extend([order.u16(2), order.u16(4)].concat());
        body.extend(order.u32(2 | 1 << 2));
    }
    block(order, 6, &body)
}

/// A pcapng file with one section and this number of Ethernet interfaces.
pub fn pcapng(interfaces: u32, packets: &[Captured]) -> Vec<u8> {
    let order = Order::Little;
    let mut file = section(order);
    (0..interfaces).for_each(|_| file.extend(interface(order, 1, 0, &[])));
    packets.iter().for_each(|packet| file.extend(enhanced(order, packet)));
    file
}
