//! The options of a block: code (2), length (2), value, padded to 4.

use flow::FlowDirection;

use crate::capture::file::format::{Damage, Order};
use crate::capture::file::window::Window;

/// Octets of an option before its value.
const HEADER: usize = 4;

/// The code of the end of options.
const END: u16 = 0;

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

/// The direction of a packet, from the options after its data. Options outside of the window are
/// ignored.
#[inline]
pub(super) fn packet_direction(order: Order, options: &[u8]) -> FlowDirection {
    if options.len() < HEADER { FlowDirection::Ingress } else { find_direction(order, options) }
}

#[cold]
fn find_direction(order: Order, mut options: &[u8]) -> FlowDirection {
    while let Some((header, rest)) = options.split_first_chunk::<HEADER>() {
        let (code, length) = (order.u16(header, 0), usize::from(order.u16(header, 2)));
        match (code, rest.first_chunk::<4>()) {
            (END, _) => break,
            (PACKET_FLAGS, Some(flags)) if length == flags.len() => {
                let [flags] = order.words(flags);
                if flags & DIRECTION == OUTBOUND {
                    return FlowDirection::Egress;
                }
                break;
            }
            _ => options = rest.get(length.next_multiple_of(4)..).unwrap_or_default(),
        }
    }
    FlowDirection::Ingress
}
