//! The options of a block: code (2), length (2), value, padded to 4.

use flow::FlowDirection;

use crate::capture::file::format::{Damage, Order};
use crate::capture::file::window::Window;

/// Octets of an option before its value.
const HEADER: usize = 4;

/// The code of the end of options.
const END: u16 = 0;

/// The code of the number of packets that were lost before a packet, on its interface.
const DROP_COUNT: u16 = 4;

/// The code of the flags of a packet, and the bits of its direction.
const PACKET_FLAGS: u16 = 2;
const DIRECTION: u32 = 3;
const OUTBOUND: u32 = 2;

/// Calls `take` with the code and the value of each option, and leaves the window after the last
/// octet of all options. An option that claims more octets than are left ends them.
///
/// Options are read one by one, because comments may make a block longer than the window.
pub(super) fn each_option(
    window: &mut Window,
    order: Order,
    octets: usize,
    mut take: impl FnMut(u16, &[u8]),
) -> Result<(), Damage> {
    let mut left = octets;
    while left >= HEADER {
        if !window.wait(HEADER)? {
            return Err(Damage::CutShort("an option"));
        }
        let code = order.u16(window.octets(), 0);
        let end = HEADER + usize::from(order.u16(window.octets(), 2));
        if code == END || end > left {
            break;
        }
        if !window.wait(end)? {
            return Err(Damage::CutShort("an option"));
        }
        take(code, &window.octets()[HEADER..end]);
        let used = end.next_multiple_of(4).min(left);
        window.skip(used as u64);
        left -= used;
    }
    window.skip(left as u64);
    Ok(())
}

/// What the options of a packet say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PacketOptions {
    pub(super) direction: FlowDirection,
    /// Packets that were lost since the packet before, on the same interface.
    pub(super) dropped: u64,
}

impl PacketOptions {
    /// A packet without options.
    pub(super) const NONE: Self = Self { direction: FlowDirection::Ingress, dropped: 0 };

    /// Reads the options after the data of a packet. Options outside of the window are ignored.
    #[inline]
    pub(super) fn read(order: Order, options: &[u8]) -> Self {
        if options.len() < HEADER { Self::NONE } else { Self::find(order, options) }
    }

    #[cold]
    fn find(order: Order, mut options: &[u8]) -> Self {
        let mut found = Self::NONE;
        while let Some((header, rest)) = options.split_first_chunk::<HEADER>() {
            let (code, length) = (order.u16(header, 0), usize::from(order.u16(header, 2)));
            match (code, rest.get(..length)) {
                (END, _) | (_, None) => break,
                (PACKET_FLAGS, Some(value)) => {
                    if let Ok(flags) = value.try_into() {
                        let [flags] = order.words::<4, 1>(flags);
                        if flags & DIRECTION == OUTBOUND {
                            found.direction = FlowDirection::Egress;
                        }
                    }
                }
                (DROP_COUNT, Some(value)) => {
                    found.dropped = value.try_into().map_or(0, |count| order.u64(count));
                }
                _ => {}
            }
            options = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        found
    }
}
