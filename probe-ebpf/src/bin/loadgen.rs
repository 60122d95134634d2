//! The load generator's program: makes the next packet of synthetic traffic out of the frame that
//! it is run on, waits until that packet is due, and sends it into an interface.
//!
//! `cargo xtask loadgen` runs it on frames of the kernel's own making (`BPF_PROG_TEST_RUN` with
//! live frames). It is attached to nothing. The frame is Ethernet, IPv4 without options, then TCP
//! or UDP; its addresses are 0 and its header checksum is not set.

#![no_std]
#![no_main]

use core::ptr;

use aya_ebpf::bindings::xdp_action::{XDP_ABORTED, XDP_DROP};
use aya_ebpf::helpers::generated::{bpf_ktime_get_ns, bpf_redirect};
use aya_ebpf::macros::{map, xdp};
use aya_ebpf::maps::Array;
use aya_ebpf::programs::XdpContext;

/// Index of the interface to send into; 0 sends nothing.
#[unsafe(no_mangle)]
static INTERFACE: u32 = 0;

/// How many flows there are.
#[unsafe(no_mangle)]
static FLOWS: u32 = 0;

/// From the number of a flow to that of the next packet's. Where it has no divisor in common with
/// [`FLOWS`], each flow has had a packet before one has a second.
#[unsafe(no_mangle)]
static STEP: u32 = 0;

/// Sum of the 16-bit words of the IP header as it is in the frame.
#[unsafe(no_mangle)]
static HEADER_SUM: u32 = 0;

/// What changes: the flow of the next packet; when that packet is due, in nanoseconds of the
/// monotonic clock; and the time from a packet to the next, 0 for no pause.
#[map]
static STATE: Array<u64> = Array::with_max_entries(3, 0);

const NUMBER: u32 = 0;
const DUE: u32 = 1;
const INTERVAL: u32 = 2;

/// Readings of the clock, each some 20 ns, before a packet leaves too early. The kernel follows a
/// loop to its end before it lets it run, but not for ever.
const READINGS_MAX: u32 = 4096;

/// A packet that is later than this has missed its time: those after it are not sent sooner.
const LATE_MAX_NS: u64 = 200_000;

/// Octets of the frame up to the end of the ports.
const HEADERS: usize = 38;

#[xdp]
fn loadgen(ctx: XdpContext) -> u32 {
    send_next(&ctx).unwrap_or(XDP_ABORTED)
}

fn send_next(ctx: &XdpContext) -> Option<u32> {
    let number = STATE.get_ptr_mut(NUMBER)?;
    // SAFETY: an element of a map, which only this program changes while it runs, on one processor.
    let flow = unsafe { *number } as u32;
    let next = u64::from(flow) + u64::from(global(&STEP));
    let flows = u64::from(global(&FLOWS));
    // SAFETY: as above.
    unsafe { *number = if next >= flows { next - flows } else { next } };
    write(ctx, flow)?;
    wait()?;
    let interface = global(&INTERFACE);
    if interface == 0 {
        return Some(XDP_DROP);
    }
    // SAFETY: a helper that takes numbers only.
    Some(unsafe { bpf_redirect(interface, 0) } as u32)
}

/// Writes the addresses and ports of a flow, and the checksum of the IP header that follows.
#[inline(always)]
fn write(ctx: &XdpContext, flow: u32) -> Option<()> {
    let data = ctx.data();
    if data + HEADERS > ctx.data_end() {
        return None;
    }
    // Numbers are spread: neighbours are not in neighbouring places of any table.
    let mixed = flow.wrapping_mul(0x9e37_79b1);
    let mixed = mixed ^ (mixed >> 15);
    let source = 0x0a00_0000 | (flow & 0x00ff_ffff);
    // 198.18.0.0/15 is for benchmarks (RFC 2544).
    let destination = 0xc612_0000 | ((flow >> 24) << 8) | (mixed & 0xff);
    let port = 1024 + (mixed >> 16) % 60_000;
    let addresses = [source >> 16, source & 0xffff, destination >> 16, destination & 0xffff];
    let sum = addresses.iter().fold(global(&HEADER_SUM), |sum, word| sum + word);
    let sum = (sum & 0xffff) + (sum >> 16);
    let checksum = !((sum & 0xffff) + (sum >> 16)) & 0xffff;
    let [a, b, c, d] = addresses;
    let words = [checksum, a, b, c, d, port, 443].map(|word| (word as u16).to_be());
    // SAFETY: the frame is that long, which the verifier has seen, and begins at an even address.
    unsafe { ptr::write((data + 24) as *mut [u16; 7], words) };
    Some(())
}

/// Waits until the packet is due.
#[inline(always)]
fn wait() -> Option<()> {
    // SAFETY: as in `send_next`.
    let interval = unsafe { *STATE.get_ptr(INTERVAL)? };
    if interval == 0 {
        return Some(());
    }
    let due = STATE.get_ptr_mut(DUE)?;
    // SAFETY: as in `send_next`; the helper only gives a time.
    unsafe {
        let mut now = bpf_ktime_get_ns();
        if now > *due + LATE_MAX_NS {
            *due = now;
        }
        let mut readings = 0;
        while now < *due && readings < READINGS_MAX {
            now = bpf_ktime_get_ns();
            readings += 1;
        }
        *due += interval;
    }
    Some(())
}

/// What the loader has put in the place of a constant.
#[inline(always)]
fn global(value: &'static u32) -> u32 {
    // SAFETY: a reference is valid.
    unsafe { ptr::read_volatile(value) }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Some functions of the kernel are for programs of its own licence only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
