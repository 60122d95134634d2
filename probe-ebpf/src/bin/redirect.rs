//! Hands each frame to the `AF_XDP` socket of the receive queue that it came in on. It does not
//! reach the host's network stack then: this is for mirror ports. Nothing in a frame is looked at,
//! so the verifier never sees a parser.

#![no_std]
#![no_main]
#![feature(core_intrinsics)]
#![expect(internal_features, reason = "the target has an atomic addition, its library has none")]

use core::intrinsics::{AtomicOrdering, atomic_xadd};
use core::ptr;

use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::bindings::xdp_action::XDP_PASS;
use aya_ebpf::macros::{map, xdp};
use aya_ebpf::maps::{Array, XskMap};
use aya_ebpf::programs::XdpContext;
use probe_ebpf::{QUEUES_MAX, QueueCounters};

#[map]
static SOCKETS: XskMap = XskMap::with_max_entries(QUEUES_MAX, 0);

#[map]
static COUNTERS: Array<QueueCounters> = Array::with_max_entries(QUEUES_MAX + 1, BPF_F_MMAPABLE);

#[xdp]
fn redirect(ctx: XdpContext) -> u32 {
    to_socket(ctx.rx_queue_index())
}

#[xdp(frags)]
fn redirect_frags(ctx: XdpContext) -> u32 {
    to_socket(ctx.rx_queue_index())
}

/// A queue without a socket is the host's.
#[inline(always)]
fn to_socket(queue: u32) -> u32 {
    let outcome = SOCKETS.redirect(queue, u64::from(XDP_PASS));
    if let Some(counters) = COUNTERS.get_ptr_mut(queue.min(QUEUES_MAX)) {
        // SAFETY: the kernel gave the address of an element, which stays while the program runs.
        // Only the address of a field is computed.
        let counter = unsafe {
            match outcome {
                Ok(_) => ptr::addr_of_mut!((*counters).redirected),
                Err(XDP_PASS) => ptr::addr_of_mut!((*counters).passed),
                Err(_) => ptr::addr_of_mut!((*counters).refused),
            }
        };
        // SAFETY: a word of a map's element, aligned, that is only ever changed atomically: in
        // generic mode frames of a queue may come by on two processors at once.
        unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(counter, 1) };
    }
    outcome.unwrap_or_else(|action| action)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Some functions of the kernel are for programs of its own licence only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
