//! Number and size of the rings of an interface.

use super::BLOCK_OCTETS;

/// The rings of an interface's sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rings {
    pub(crate) count: u32,
    /// Octets of each ring.
    pub(crate) octets: u64,
}

/// A ring of this size loses nothing while a worker is late by a second, up to 16 MB/s of headers.
const DEFAULT: u64 = 64 << 20;

/// If a ring would be smaller than this, the interface gets fewer sockets.
const GOOD: u64 = 4 << 20;

/// Two blocks: one is filled while the other is read.
const LEAST: u64 = 2 * BLOCK_OCTETS as u64;

impl Rings {
    /// The rings that fit in `room` octets, for at most `workers` sockets. `asked` is the requested
    /// size of each ring.
    ///
    /// # Errors
    ///
    /// The rings do not fit; in one sentence.
    pub(crate) fn within(room: u64, asked: Option<u64>, workers: usize) -> Result<Self, String> {
        let workers = workers.max(1) as u64;
        let (octets, count) = match asked.map(|asked| whole_blocks(asked).max(LEAST)) {
            Some(asked) => (asked, workers),
            None => {
                let count = (room / GOOD).clamp(1, workers);
                (whole_blocks(room / count).min(DEFAULT), count)
            }
        };
        if octets < LEAST || octets.saturating_mul(count) > room {
            return Err(format!(
                "its rings need {} KiB, and {} KiB are left of --packet-ring-max; raise that, or \
                 ask for smaller rings (--packet-ring) or fewer workers (--workers)",
                (octets.max(LEAST) * count) >> 10,
                room >> 10
            ));
        }
        Ok(Self { count: u32::try_from(count).unwrap_or(1), octets })
    }
}

fn whole_blocks(octets: u64) -> u64 {
    octets - octets % BLOCK_OCTETS as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn rings_have_room() {
        for (room, asked, workers, expected) in [
            (1024 * MIB, None, 2, Some((2, 64 * MIB))),
            (100 * MIB, None, 2, Some((2, 50 * MIB))),
            // 300 interfaces in 1 GiB.
            (1024 * MIB / 300, None, 2, Some((1, 3 * MIB + MIB / 4))),
            (9 * MIB, None, 256, Some((2, 4 * MIB + MIB / 2))),
            (MIB / 2, None, 2, Some((1, MIB / 2))),
            (MIB / 2 - 1, None, 2, None),
            (8 * MIB, Some(4 * MIB), 2, Some((2, 4 * MIB))),
            (8 * MIB - 1, Some(4 * MIB), 2, None),
            // The minimum.
            (8 * MIB, Some(1), 2, Some((2, MIB / 2))),
        ] {
            let rings = Rings::within(room, asked, workers).ok();
            assert_eq!(
                rings.map(|rings| (rings.count, rings.octets)),
                expected,
                "{room} {asked:?}"
            );
        }
    }
}
