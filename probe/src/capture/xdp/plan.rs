//! Requirements of an AF_XDP capture, and the attempts to attach it.

use std::fmt::{self, Display, Formatter};

use probe_ebpf::{QUEUES_MAX, REDIRECT, REDIRECT_FRAGS};

use crate::capture::afxdp::mebibytes;
use crate::capture::kernel::KernelVersion;
use crate::sys::xsk::XskSizes;

/// From this version on, Linux has all that is needed.
pub(crate) const KERNEL_MIN: KernelVersion = KernelVersion { major: 5, minor: 15 };

/// Frames of several buffers need this version or later.
pub(crate) const KERNEL_MIN_FRAGS: KernelVersion = KernelVersion { major: 6, minor: 6 };

/// Sizes of chunks of memory. A frame must fit in the part that the kernel leaves of a chunk, or is
/// in several.
const CHUNKS: [u32; 2] = [2048, 4096];

/// Octets before a frame that the kernel leaves free.
const HEADROOM: u32 = 256;

/// Octets that the MTU does not include: an Ethernet header and two VLAN tags.
const LINK_LAYER: u32 = 14 + 8;

/// Maximum MTU whose frames fit in one buffer.
pub(crate) const ONE_BUFFER_MTU_MAX: u32 = CHUNKS[1] - HEADROOM - LINK_LAYER;

/// A worker may be late by this number of frames: about 4 ms at the highest rates. Another process
/// may occupy its CPU for as long.
const RING_DEFAULT: u32 = 32_768;

/// Minimum ring of the automatic choice.
const RING_MIN: u32 = 512;

/// Interface and memory of a capture.
#[derive(Clone, Debug)]
pub(crate) struct XdpSettings {
    pub(crate) name: String,
    pub(crate) ifindex: u32,
    /// `interface` of flow keys.
    pub(crate) number: u32,
    pub(crate) mtu: u32,
    /// Number of receive queues, from 0 on. Each gets a socket.
    pub(crate) queues: u32,
    /// Entries of each ring; a power of two, at most 65,536.
    pub(crate) ring: u32,
    /// Frames of memory for each queue: at least one for each entry of a ring. Zero copy needs some
    /// more, because they also fill the driver's own ring.
    pub(crate) frames: u32,
    /// Octets of memory for all queues together.
    pub(crate) memory_max: u64,
}

/// Frames of memory for a ring. When the ring is full of waiting frames, a zero-copy driver still
/// needs empty ones.
pub(crate) fn frames(ring: u32) -> u32 {
    ring + ring / 4
}

/// The default ring, or the largest one whose memory is within the limit.
pub(crate) fn ring_that_fits(queues: u32, memory_max: u64) -> u32 {
    let octets = u64::from(queues) * u64::from(CHUNKS[1]);
    let fits = |ring: &u32| u64::from(frames(*ring)) * octets <= memory_max;
    let halves = std::iter::successors(Some(RING_DEFAULT), |ring| Some(ring / 2));
    halves.take_while(|&ring| ring > RING_MIN).find(fits).unwrap_or(RING_MIN)
}

/// Plan of a capture.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(super) chunk: u32,
    /// Tried in this order until one works.
    pub(super) attempts: Vec<Attempt>,
}

/// A mode of attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(super) in_driver: bool,
    /// Whether a frame may be in several buffers.
    pub(super) segments: bool,
}

impl Attempt {
    pub(super) fn program(self) -> &'static str {
        if self.segments { REDIRECT_FRAGS } else { REDIRECT }
    }
}

impl Display for Attempt {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(if self.in_driver { "in driver mode" } else { "in generic mode" })?;
        f.write_str(if self.segments { " for frames of several buffers" } else { "" })
    }
}

impl XdpSettings {
    /// Octets of memory for all queues.
    pub(crate) fn memory(&self) -> u64 {
        u64::from(self.queues) * self.sizes(self.chunk().unwrap_or(CHUNKS[1])).memory()
    }

    /// The smallest size of chunks that hold a whole frame. `None` if a frame needs several.
    fn chunk(&self) -> Option<u32> {
        CHUNKS.into_iter().find(|chunk| self.fits_in(*chunk))
    }

    /// Whether a chunk of this size holds a whole frame.
    pub(super) fn fits_in(&self, chunk: u32) -> bool {
        self.mtu.saturating_add(LINK_LAYER) <= chunk - HEADROOM
    }

    pub(super) fn sizes(&self, chunk: u32) -> XskSizes {
        XskSizes { ring: self.ring, frames: self.frames, chunk }
    }

    /// Chooses the size of chunks and the attempts. The error is one sentence.
    pub(crate) fn plan(&self, kernel: KernelVersion) -> Result<Plan, String> {
        if kernel < KERNEL_MIN {
            return Err(format!(
                "AF_XDP needs Linux {KERNEL_MIN} or later, this is {kernel}; use --capture packet"
            ));
        }
        if !(1..=QUEUES_MAX).contains(&self.queues) {
            return Err(format!("{} receive queues, not 1 to {QUEUES_MAX}", self.queues));
        }
        if !self.ring.is_power_of_two() || !(64..=65_536).contains(&self.ring) {
            return Err(format!("rings of {}, not a power of two from 64 to 65,536", self.ring));
        }
        if self.frames < self.ring {
            return Err(format!("{} frames do not fill a ring of {}", self.frames, self.ring));
        }
        let fitting = self.chunk();
        let [_, largest] = CHUNKS;
        let chunk = fitting.unwrap_or(largest);
        let (need, most) = (self.memory(), self.memory_max);
        if need > most {
            return Err(format!(
                "{} queues need {} of memory for frames, more than {}; ask for smaller rings",
                self.queues,
                mebibytes(need),
                mebibytes(most)
            ));
        }
        let can_segment = kernel >= KERNEL_MIN_FRAGS;
        if fitting.is_none() && !can_segment {
            return Err(format!(
                "frames of an MTU of {} need Linux {KERNEL_MIN_FRAGS} or later, this is {kernel}; \
                 set the MTU to {ONE_BUFFER_MTU_MAX} or use --capture packet",
                self.mtu,
            ));
        }
        let one_buffer = fitting.is_some();
        // Some drivers use less of a buffer than fits in a chunk.
        let driver_segments = can_segment && chunk == largest;
        let attempts = [
            one_buffer.then_some(Attempt { in_driver: true, segments: false }),
            driver_segments.then_some(Attempt { in_driver: true, segments: true }),
            Some(Attempt { in_driver: false, segments: !one_buffer }),
        ];
        Ok(Plan { chunk, attempts: attempts.into_iter().flatten().collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KERNEL: KernelVersion = KernelVersion { major: 6, minor: 6 };

    fn settings() -> XdpSettings {
        XdpSettings {
            name: "eth1".to_owned(),
            ifindex: 7,
            number: 7,
            mtu: 1500,
            queues: 4,
            ring: 2048,
            frames: 4096,
            memory_max: 1 << 30,
        }
    }

    #[test]
    fn rings_shrink_to_the_memory_that_there_is() {
        for (queues, memory_max, ring) in [
            (1, 1 << 30, 32_768),
            (6, 1 << 30, 32_768),
            (7, 1 << 30, 16_384),
            (13, 1 << 30, 8192),
            (64, 1 << 30, 2048),
            (64, 1 << 20, 512),
        ] {
            assert_eq!(ring_that_fits(queues, memory_max), ring, "{queues} queues");
        }
    }

    #[test]
    fn the_mtu_decides_on_chunks_and_segments() {
        let plain = Attempt { in_driver: true, segments: false };
        let segments = Attempt { in_driver: true, segments: true };
        let generic = Attempt { in_driver: false, segments: false };
        let generic_segments = Attempt { in_driver: false, segments: true };
        for (mtu, chunk, attempts) in [
            (68, 2048, &[plain, generic][..]),
            (1500, 2048, &[plain, generic]),
            (1770, 2048, &[plain, generic]),
            (1771, 4096, &[plain, segments, generic]),
            (3818, 4096, &[plain, segments, generic]),
            (3819, 4096, &[segments, generic_segments]),
            (u32::MAX, 4096, &[segments, generic_segments]),
        ] {
            let plan = XdpSettings { mtu, ..settings() }.plan(KERNEL).unwrap();
            assert_eq!(plan, Plan { chunk, attempts: attempts.to_owned() }, "{mtu}");
        }
        let old = KernelVersion { major: 6, minor: 5 };
        let plan = XdpSettings { mtu: 3818, ..settings() }.plan(old).unwrap();
        assert_eq!(plan.attempts, [plain, generic]);
    }

    #[test]
    fn what_cannot_work_is_refused_in_a_sentence() {
        let check = |settings: XdpSettings, kernel: (u32, u32), expected: &str| {
            let kernel = KernelVersion { major: kernel.0, minor: kernel.1 };
            assert_eq!(settings.plan(kernel).unwrap_err(), expected);
        };
        check(
            settings(),
            (5, 14),
            "AF_XDP needs Linux 5.15 or later, this is 5.14; use --capture packet",
        );
        check(
            XdpSettings { mtu: 9000, ..settings() },
            (6, 5),
            "frames of an MTU of 9000 need Linux 6.6 or later, this is 6.5; set the MTU to 3818 or \
             use --capture packet",
        );
        check(
            XdpSettings { memory_max: 32 << 20, queues: 5, ..settings() },
            (6, 6),
            "5 queues need 40 MiB of memory for frames, more than 32 MiB; ask for smaller rings",
        );
        for queues in [0, 1025] {
            let expected = format!("{queues} receive queues, not 1 to 1024");
            check(XdpSettings { queues, ..settings() }, (6, 6), &expected);
        }
        for ring in [0, 32, 1000, 131_072] {
            let expected = format!("rings of {ring}, not a power of two from 64 to 65,536");
            check(XdpSettings { ring, ..settings() }, (6, 6), &expected);
        }
        check(
            XdpSettings { frames: 2047, ..settings() },
            (6, 6),
            "2047 frames do not fill a ring of 2048",
        );
        let most = XdpSettings { memory_max: 32 << 20, ..settings() };
        assert!(most.plan(KernelVersion { major: 5, minor: 15 }).is_ok());
    }
}
