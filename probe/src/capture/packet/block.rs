//! Packets of a block of the ring, in the format of the kernel.
//!
//! `descriptor`, `packet` and `virtio` are the offsets of fields. Numbers have the host's byte
//! order. A virtio-net header of 10 octets precedes the link layer.

use std::ops::Range;

use flow::number::ethertype;
use flow::{FlowDirection, Offload, Segmented, Timestamp};

use crate::capture::layer::Layer;

/// Fields of a block, from its first octet on (`struct tpacket_block_desc`).
mod descriptor {
    use super::Field;

    pub(super) const STATUS: Field = 8..12;
    pub(super) const PACKETS: Field = 12..16;
    pub(super) const FIRST_PACKET: Field = 16..20;
}

/// Fields of a packet, from its first octet on (`struct tpacket3_hdr`).
mod packet {
    use super::Field;

    pub(super) const NEXT: Field = 0..4;
    pub(super) const SECONDS: Field = 4..8;
    pub(super) const NANOSECONDS: Field = 8..12;
    pub(super) const CAPTURED: Field = 12..16;
    pub(super) const LENGTH: Field = 16..20;
    pub(super) const STATUS: Field = 20..24;
    pub(super) const LINK_LAYER: Field = 24..26;
    pub(super) const NETWORK_LAYER: Field = 26..28;
    pub(super) const VLAN: Field = 32..36;
    pub(super) const VLAN_PROTOCOL: Field = 36..38;
    /// The whole header.
    pub(super) const HEADER: Field = 0..48;
    /// Packet type in the address that follows (`struct sockaddr_ll`).
    pub(super) const TYPE: usize = HEADER.end + 10;
}

/// Fields of a virtio-net header (`struct virtio_net_hdr`).
mod virtio {
    use super::Field;

    pub(super) const FLAGS: usize = 0;
    pub(super) const TYPE: usize = 1;
    pub(super) const SEGMENT_OCTETS: Field = 4..6;
    pub(super) const CHECKSUM_FROM: Field = 6..8;
}

/// Octets of a field.
type Field = Range<usize>;

const _: () = assert!(size_of::<libc::tpacket3_hdr>() == packet::HEADER.end);

/// The position in a block up to which packets were read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cursor {
    /// Packets that are left.
    left: u32,
    /// Offset of the next packet.
    offset: usize,
    is_full: bool,
}

/// A packet of a block.
#[derive(Debug)]
pub(super) struct RingPacket<'a> {
    /// From the link layer on, or from the network layer on.
    pub(super) data: &'a [u8],
    /// Length on the wire.
    pub(super) length: u32,
    pub(super) time: Timestamp,
    pub(super) direction: FlowDirection,
    /// Segmentation of a super-packet.
    pub(super) offload: Option<Offload>,
}

/// Number of packets that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable(pub(super) u32);

impl Cursor {
    /// Starts at the first packet of a block.
    pub(super) fn new(block: &[u8]) -> Self {
        let is_full = u32_of(block, descriptor::STATUS) & libc::TP_STATUS_BLK_TMO == 0;
        Self {
            left: u32_of(block, descriptor::PACKETS),
            offset: u32_of(block, descriptor::FIRST_PACKET) as usize,
            is_full,
        }
    }

    /// Whether the block had no room for more packets. Otherwise it was passed on because of its
    /// age.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// Packets that are left.
    pub(super) fn left(&self) -> u32 {
        self.left
    }

    /// The next packet; `None` at the end.
    ///
    /// # Errors
    ///
    /// A packet cannot be parsed, or none of the rest can, because the position of the next one is
    /// unknown.
    #[inline]
    pub(super) fn next<'a>(
        &mut self,
        block: &'a mut [u8],
        layer: Layer,
    ) -> Option<Result<RingPacket<'a>, Unreadable>> {
        let left = self.left.checked_sub(1)?;
        let packet = block.get_mut(self.offset..);
        let Some(packet) = packet.filter(|packet| packet.len() >= packet::HEADER.end) else {
            return Some(Err(Unreadable(std::mem::take(&mut self.left))));
        };
        self.left = left;
        self.offset += u32_of(packet, packet::NEXT) as usize;
        Some(read(packet, layer).ok_or(Unreadable(1)))
    }
}

fn read(packet: &mut [u8], layer: Layer) -> Option<RingPacket<'_>> {
    let link = usize::from(u16_of(packet, packet::LINK_LAYER));
    let network = usize::from(u16_of(packet, packet::NETWORK_LAYER));
    let (seconds, nanos) = (u32_of(packet, packet::SECONDS), u32_of(packet, packet::NANOSECONDS));
    let time = Timestamp::from_millis(u64::from(seconds) * 1000 + u64::from(nanos / 1_000_000));
    let end = link + u32_of(packet, packet::CAPTURED) as usize;
    let (mut length, mut begin) = (u32_of(packet, packet::LENGTH), link);
    let direction = match packet.get(packet::TYPE) {
        Some(&libc::PACKET_OUTGOING) => FlowDirection::Egress,
        _ => FlowDirection::Ingress,
    };
    let header = packet.get(link.checked_sub(VIRTIO_OCTETS)?..link)?.first_chunk()?;
    let mut offload = offload(header);
    match layer {
        Layer::Ethernet if u32_of(packet, packet::STATUS) & libc::TP_STATUS_VLAN_VALID != 0 => {
            // The virtio-net header has been read: the addresses are moved over it, to make room.
            begin = link.checked_sub(TAG_OCTETS)?;
            let tag = vlan_tag(packet);
            packet.get_mut(begin..end).and_then(|data| insert_tag(data, tag))?;
            length += 4;
            if let Some(Offload { header_offset: Some(offset), .. }) = &mut offload {
                *offset += TAG_OCTETS;
            }
        }
        Layer::Ethernet => {}
        Layer::Ip => {
            let skipped = network.saturating_sub(link).min(end - link);
            begin += skipped;
            length = length.saturating_sub(u32::try_from(skipped).unwrap_or(u32::MAX));
            if let Some(Offload { header_offset: Some(offset), .. }) = &mut offload {
                *offset = offset.saturating_sub(skipped);
            }
        }
    }
    Some(RingPacket { data: packet.get(begin..end)?, length, time, direction, offload })
}

/// The tag that the network card or the kernel took out of the frame.
fn vlan_tag(packet: &[u8]) -> [u8; TAG_OCTETS] {
    let has_protocol = u32_of(packet, packet::STATUS) & libc::TP_STATUS_VLAN_TPID_VALID != 0;
    let protocol =
        if has_protocol { u16_of(packet, packet::VLAN_PROTOCOL) } else { ethertype::VLAN };
    let [high, low] = protocol.to_be_bytes();
    let [.., vlan_high, vlan_low] = u32_of(packet, packet::VLAN).to_be_bytes();
    [high, low, vlan_high, vlan_low]
}

/// Inserts a tag after the addresses of a frame. The data begins with room for the tag.
fn insert_tag(data: &mut [u8], tag: [u8; TAG_OCTETS]) -> Option<()> {
    let room_and_addresses = data.get_mut(..ADDRESS_OCTETS + TAG_OCTETS)?;
    room_and_addresses.copy_within(TAG_OCTETS.., 0);
    room_and_addresses.get_mut(ADDRESS_OCTETS..)?.copy_from_slice(&tag);
    Some(())
}

/// Offload metadata of a super-packet, from the virtio-net header. `None` for an ordinary packet.
#[inline]
fn offload(header: &[u8; VIRTIO_OCTETS]) -> Option<Offload> {
    let protocol = match header[virtio::TYPE] & !GSO_ECN {
        GSO_TCPV4 | GSO_TCPV6 => Segmented::Tcp,
        GSO_UDP_L4 => Segmented::Udp,
        _ => return None,
    };
    // The checksum that has yet to be computed is that of the segmented header.
    let header_offset = (header[virtio::FLAGS] & NEEDS_CHECKSUM != 0)
        .then(|| usize::from(u16_of(header, virtio::CHECKSUM_FROM)));
    Some(Offload {
        protocol,
        segment_octets: u16_of(header, virtio::SEGMENT_OCTETS),
        header_offset,
    })
}

#[inline]
fn u32_of(octets: &[u8], field: Field) -> u32 {
    let field = octets.get(field).and_then(<[u8]>::first_chunk);
    field.map_or(0, |field| u32::from_ne_bytes(*field))
}

#[inline]
fn u16_of(octets: &[u8], field: Field) -> u16 {
    let field = octets.get(field).and_then(<[u8]>::first_chunk);
    field.map_or(0, |field| u16::from_ne_bytes(*field))
}

const ADDRESS_OCTETS: usize = 12;
const TAG_OCTETS: usize = 4;

/// linux/virtio_net.h.
const VIRTIO_OCTETS: usize = 10;
const NEEDS_CHECKSUM: u8 = 1;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
const GSO_ECN: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESSES: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

    /// A packet in the format of the kernel: the fields of its header, and its octets.
    #[derive(Clone, Default)]
    struct Written {
        status: u32,
        vlan: u32,
        vlan_protocol: u16,
        virtio: [u8; VIRTIO_OCTETS],
        link_octets: usize,
        data: Vec<u8>,
    }

    /// A block with these packets.
    fn block(packets: &[Written]) -> Vec<u8> {
        let mut block = vec![0; 48];
        let count = u32::try_from(packets.len()).unwrap();
        block[12..16].copy_from_slice(&count.to_ne_bytes());
        block[16..20].copy_from_slice(&48_u32.to_ne_bytes());
        for packet in packets {
            let link = 96_u16;
            let octets = u32::try_from(packet.data.len()).unwrap();
            let next = u32::from(link) + octets.next_multiple_of(16);
            let mut written = vec![0; 96];
            for (offset, value) in
                [(0, next), (4, 1_700_000_000), (8, 987_654_321), (12, octets), (16, octets)]
            {
                written[offset..offset + 4].copy_from_slice(&value.to_ne_bytes());
            }
            written[20..24].copy_from_slice(&packet.status.to_ne_bytes());
            written[24..26].copy_from_slice(&link.to_ne_bytes());
            let network = link + u16::try_from(packet.link_octets).unwrap();
            written[26..28].copy_from_slice(&network.to_ne_bytes());
            written[32..36].copy_from_slice(&packet.vlan.to_ne_bytes());
            written[36..38].copy_from_slice(&packet.vlan_protocol.to_ne_bytes());
            written[86..96].copy_from_slice(&packet.virtio);
            written.extend(&packet.data);
            written.resize(next as usize, 0);
            block.extend(written);
        }
        block
    }

    fn frame(payload: usize) -> Vec<u8> {
        let mut frame = Vec::from(ADDRESSES);
        frame.extend([8, 0]);
        frame.resize(14 + payload, 0xa5);
        frame
    }

    /// The packets that were read, in a form that can be compared.
    fn read_all(block: &mut [u8], layer: Layer) -> Vec<(Vec<u8>, u32, Option<Offload>)> {
        let mut cursor = Cursor::new(block);
        let mut all = Vec::new();
        while let Some(packet) = cursor.next(block, layer) {
            let packet = packet.unwrap();
            assert_eq!(packet.time, Timestamp::from_millis(1_700_000_000_987));
            all.push((packet.data.to_vec(), packet.length, packet.offload));
        }
        assert_eq!(cursor.left(), 0);
        all
    }

    #[test]
    fn packets_of_a_block_come_in_order() {
        let written: Vec<Written> = (46..50)
            .map(|payload| Written { data: frame(payload), ..Written::default() })
            .collect();
        let read = read_all(&mut block(&written), Layer::Ethernet);
        let expected: Vec<_> =
            (46..50_u32).map(|payload| (frame(payload as usize), 14 + payload, None)).collect();
        assert_eq!(read, expected);
        assert_eq!(read_all(&mut block(&[]), Layer::Ethernet), []);
    }

    #[test]
    fn vlan_tag_is_put_back() {
        let tags = [
            (libc::TP_STATUS_VLAN_VALID, 0, 0x8100_u16),
            (libc::TP_STATUS_VLAN_VALID | libc::TP_STATUS_VLAN_TPID_VALID, 0x88a8, 0x88a8),
        ];
        for (status, vlan_protocol, protocol) in tags {
            let virtio = [NEEDS_CHECKSUM, GSO_TCPV4 | GSO_ECN, 0, 0, 0, 0, 0, 0, 0, 0];
            let mut written = Written {
                status,
                vlan: 0x6007,
                vlan_protocol,
                virtio,
                data: frame(46),
                link_octets: 14,
            };
            written.virtio[4..6].copy_from_slice(&1448_u16.to_ne_bytes());
            written.virtio[6..8].copy_from_slice(&34_u16.to_ne_bytes());
            let read = read_all(&mut block(&[written.clone(), written]), Layer::Ethernet);
            let mut expected = Vec::from(ADDRESSES);
            expected.extend(protocol.to_be_bytes());
            expected.extend([0x60, 0x07, 8, 0]);
            expected.resize(64, 0xa5);
            let offload =
                Offload { protocol: Segmented::Tcp, segment_octets: 1448, header_offset: Some(38) };
            let expected = (expected, 64, Some(offload));
            assert_eq!(read, [expected.clone(), expected]);
        }
    }

    #[test]
    fn link_layers_without_headers_begin_with_ip() {
        let written = Written { link_octets: 4, data: frame(46), ..Written::default() };
        let read = read_all(&mut block(&[written]), Layer::Ip);
        assert_eq!(read, [(frame(46)[4..].to_vec(), 56, None)]);
    }

    #[test]
    fn offloads_are_told_apart() {
        let header = |kind| [0, kind, 0, 0, 1, 1, 0, 0, 0, 0];
        let of = |protocol| Some(Offload { protocol, segment_octets: 257, header_offset: None });
        assert_eq!(offload(&header(0)), None);
        // UFO: fragments of a datagram. Only old virtual machines send it.
        assert_eq!(offload(&header(3)), None);
        assert_eq!(offload(&header(GSO_TCPV4)), of(Segmented::Tcp));
        assert_eq!(offload(&header(GSO_TCPV6 | GSO_ECN)), of(Segmented::Tcp));
        assert_eq!(offload(&header(GSO_UDP_L4)), of(Segmented::Udp));
    }

    /// Reads at most `reads_max` times. Returns the counts of readable and unreadable packets.
    fn tally(block: &mut [u8], layer: Layer, reads_max: u32) -> (u64, u64) {
        let mut cursor = Cursor::new(block);
        let all = u64::from(cursor.left());
        let (mut readable, mut unreadable) = (0, 0);
        for _ in 0..reads_max {
            match cursor.next(block, layer) {
                Some(Ok(_)) => readable += 1,
                Some(Err(Unreadable(count))) => unreadable += u64::from(count),
                None => break,
            }
        }
        assert_eq!(readable + unreadable + u64::from(cursor.left()), all);
        (readable, unreadable)
    }

    #[test]
    fn nonsense_is_counted_and_passed_over() {
        let written =
            Written { status: libc::TP_STATUS_VLAN_VALID, data: frame(46), ..Written::default() };
        let sound = block(&[written.clone(), written.clone(), written]);
        let check = |layer, change: fn(&mut Vec<u8>), expected| {
            let mut block = sound.clone();
            change(&mut block);
            assert_eq!(tally(&mut block, layer, 10), expected, "{layer:?}");
        };
        let second = 48 + 96 + 64;
        assert_eq!(sound[second..second + 4], 160_u32.to_ne_bytes());
        for layer in [Layer::Ethernet, Layer::Ip] {
            check(layer, |_| {}, (3, 0));
            // The second begins and ends outside of the block, and points to the third.
            check(layer, |block| block[48 + 160 + 12..][..4].fill(0xff), (2, 1));
            check(layer, |block| block[48 + 160 + 24..][..2].fill(0xff), (2, 1));
            // It points to no packet.
            check(layer, |block| block[48 + 160..][..4].fill(0xff), (2, 1));
            check(layer, |block| block[48..][..4].fill(0xff), (1, 2));
            check(layer, |block| block[16..][..4].fill(0xff), (0, 3));
            check(layer, |block| block.truncate(48), (0, 3));
        }
    }

    #[test]
    fn nonsense_ends_the_block() {
        let written =
            Written { status: libc::TP_STATUS_VLAN_VALID, data: frame(46), ..Written::default() };
        let sound = block(&[written.clone(), written]);
        for layer in [Layer::Ethernet, Layer::Ip] {
            for length in 0..sound.len() {
                tally(&mut sound[..length].to_vec(), layer, u32::MAX);
            }
            for offset in (12..20).chain(48..96) {
                for value in [0, 1, 0x7f, 0xff] {
                    let mut damaged = sound.clone();
                    damaged[offset] = value;
                    tally(&mut damaged, layer, 100);
                }
            }
        }
    }
}
