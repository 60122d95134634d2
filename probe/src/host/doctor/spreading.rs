//! How a card spreads packets over its queues: what that means for fragments, and for the two
//! directions of a conversation.

use exporter::{Finding, Level};

use super::facts::Facts;
use crate::capture::kernel::KernelVersion;
use crate::host::method::Method;
use crate::sys::ethtool::{HashedPackets, ReceiveHash, fields, functions, transforms};

/// Whether the fragments of a UDP datagram stay together.
pub(super) fn fragments(facts: &Facts) -> Option<Finding> {
    if facts.interface.rx_queues < 2 {
        return None;
    }
    let finding = |text: &str| Finding::ok("spreading", text.to_owned());
    let udp = HashedPackets::ALL.iter().position(|packets| *packets == HashedPackets::UdpV4)?;
    if facts.hash_fields[udp]? & PORTS != 0 {
        let remedy = format!("ethtool -N {} rx-flow-hash udp4 sd", facts.interface.name);
        let text = "UDP by ports too: later fragments may miss the first one, which has the ports";
        Some(finding(text).at(Level::Note, &remedy))
    } else {
        Some(finding("UDP by addresses: fragments stay together"))
    }
}

/// Whether both directions of a conversation reach one worker. Flows have one direction, so this
/// only matters to what joins both: names in payload (`--payload`).
pub(super) fn directions(facts: &Facts, method: &Method) -> Finding {
    let finding = |text| Finding::ok("directions", text);
    let together =
        |why| finding(format!("both directions of a conversation reach one worker: {why}"));
    if let Method::Packet { .. } = method {
        return together("the kernel's fan-out is symmetric");
    } else if facts.interface.rx_queues < 2 {
        return together("there is one queue");
    } else if facts.share.workers == 1 {
        return together("there is only one worker");
    }
    match symmetry(facts.hash.as_ref(), &facts.hash_fields) {
        Symmetry::Symmetric(why) => together(why),
        Symmetry::OneSided(packets) => {
            let (name, packets) = (&facts.interface.name, packets.name());
            let text = format!("{SPLIT}: fields that differ between them are hashed ({packets})");
            let remedy = format!("ethtool -N {name} rx-flow-hash {packets} sd");
            finding(text).at(Level::Note, remedy)
        }
        Symmetry::Asymmetric(why) => {
            finding(format!("{SPLIT}: {why}")).at(Level::Note, make_symmetric(facts))
        }
        Symmetry::Unknown => {
            let text = format!("{SPLIT}: how the card hashes is unknown");
            let remedy = "look at payload.one_sided in the totals; --capture packet joins both";
            finding(text).at(Level::Note, remedy)
        }
    }
}

/// Commands that make the hash symmetric.
fn make_symmetric(facts: &Facts) -> String {
    let key = facts.hash.as_ref().map_or(0, |hash| hash.key.len());
    let mut ways = Vec::new();
    if facts.system.kernel >= KERNEL_MIN_TRANSFORM {
        ways.push("xfrm symmetric-xor".to_owned());
    }
    if key > 0 {
        ways.push(format!("hkey 6d:5a:... ({key} octets)"));
    }
    if ways.is_empty() {
        return "--capture packet joins both".to_owned();
    }
    let (name, ways) = (&facts.interface.name, ways.join(", or "));
    format!("ethtool -X {name} hfunc toeplitz {ways}; --capture packet joins both")
}

/// Whether a hash is the same for both directions of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Symmetry {
    /// It is, for this reason.
    Symmetric(&'static str),
    /// It is not, for this reason.
    Asymmetric(&'static str),
    /// It is not, because packets of this kind are hashed by one side.
    OneSided(HashedPackets),
    /// The driver does not tell enough.
    Unknown,
}

/// Judges a hash, and the fields that are hashed, in the order of [`HashedPackets::ALL`]. Packets
/// whose fields the driver does not tell are taken to be hashed by both sides, as all cards do if
/// nobody sets it otherwise.
pub(super) fn symmetry(
    hash: Option<&ReceiveHash>,
    hashed: &[Option<u64>; HashedPackets::ALL.len()],
) -> Symmetry {
    let all = || HashedPackets::ALL.into_iter().zip(hashed);
    let is_one_sided = |hashed: u64| {
        let has = |field: u64| hashed & field != 0;
        has(fields::SOURCE) != has(fields::DESTINATION)
            || has(fields::SOURCE_PORT) != has(fields::DESTINATION_PORT)
            || hashed & !SAME_IN_BOTH != 0
    };
    if hash.is_some_and(|hash| is_one_queue(&hash.table)) {
        return Symmetry::Symmetric("the card's table has one queue");
    }
    if let Some((packets, _)) = all().find(|(_, hashed)| hashed.is_some_and(is_one_sided)) {
        return Symmetry::OneSided(packets);
    }
    let Some(ReceiveHash { function, transform, key, .. }) = hash else {
        return Symmetry::Unknown;
    };
    let hashes_ports = || hashed.iter().any(|hashed| hashed.is_none_or(|it| it & PORTS != 0));
    match *function {
        _ if transform & transforms::SYMMETRIC_XOR != 0 => Symmetry::Symmetric("symmetric-xor"),
        _ if transform & transforms::SYMMETRIC_OR_XOR != 0 => {
            Symmetry::Symmetric("symmetric-or-xor")
        }
        functions::TOEPLITZ if key.iter().all(|octet| *octet == 0) => Symmetry::Unknown,
        functions::TOEPLITZ if repeats(key) => Symmetry::Symmetric("the hash key repeats"),
        functions::TOEPLITZ => Symmetry::Asymmetric("the hash key does not repeat"),
        // Cards differ in how many bits they take at once: two ports may be in one word.
        functions::XOR if hashes_ports() => Symmetry::Unknown,
        functions::XOR => Symmetry::Symmetric("XOR of the addresses"),
        functions::CRC32 => Symmetry::Asymmetric("CRC-32 depends on the order"),
        _ => Symmetry::Unknown,
    }
}

/// Whether the table leads each hash to the same queue.
fn is_one_queue(table: &[u32]) -> bool {
    table.split_first().is_some_and(|(first, rest)| rest.iter().all(|queue| queue == first))
}

/// Whether a Toeplitz key repeats every 16 bits. Then fields that change places have the same
/// hash, since all of them begin at a multiple of 16 bits (Woo and Park, "Scalable TCP session
/// monitoring with symmetric receive-side scaling", 2012).
fn repeats(key: &[u8]) -> bool {
    key.len() > 2 && key.iter().zip(&key[2..]).all(|(octet, next)| octet == next)
}

const SPLIT: &str =
    "the two directions may reach two workers, and --payload then sees one side only";

const PORTS: u64 = fields::SOURCE_PORT | fields::DESTINATION_PORT;

/// Fields that both directions have alike, or one from each side.
const SAME_IN_BOTH: u64 =
    fields::VLAN | fields::PROTOCOL | fields::SOURCE | fields::DESTINATION | PORTS;

/// The first version with `xfrm symmetric-xor`.
const KERNEL_MIN_TRANSFORM: KernelVersion = KernelVersion { major: 6, minor: 8 };

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: u64 = fields::SOURCE | fields::DESTINATION;

    /// The key of Microsoft's description of RSS, which many cards have.
    const MICROSOFT: [u8; 40] = [
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f,
        0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
        0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
    ];

    fn toeplitz(key: &[u8]) -> ReceiveHash {
        let table = (0..128).map(|entry| entry % 4).collect();
        ReceiveHash { function: functions::TOEPLITZ, transform: 0, table, key: key.to_vec() }
    }

    /// The hash of a card, straight from its definition.
    fn hash(key: &[u8], input: &[u8]) -> u32 {
        let bit = |octets: &[u8], index: usize| octets[index / 8] >> (7 - index % 8) & 1 == 1;
        let window = |from: usize| {
            (from..from + 32).fold(0_u32, |word, index| word << 1 | u32::from(bit(key, index)))
        };
        let set = (0..input.len() * 8).filter(|&index| bit(input, index));
        set.fold(0, |hash, index| hash ^ window(index))
    }

    #[test]
    fn key_that_repeats_gives_both_directions_one_hash() {
        let (client, server) = ([192, 0, 2, 7], [198, 51, 100, 9]);
        let (near, far) = (51_234_u16.to_be_bytes(), 443_u16.to_be_bytes());
        let there = [&client[..], &server, &near, &far].concat();
        let back = [&server[..], &client, &far, &near].concat();
        let v6 = [[0x20; 16], [0x3f; 16]];
        let there_v6 = [&v6[0][..], &v6[1], &near, &far].concat();
        let back_v6 = [&v6[1][..], &v6[0], &far, &near].concat();
        for (key, is_symmetric) in [
            ([0x6d, 0x5a].repeat(20), true),
            ([0x6d, 0x5a].repeat(26), true),
            (MICROSOFT.to_vec(), false),
        ] {
            assert_eq!(hash(&key, &there) == hash(&key, &back), is_symmetric);
            assert_eq!(hash(&key, &there_v6) == hash(&key, &back_v6), is_symmetric);
            let judged = symmetry(Some(&toeplitz(&key)), &[None; 4]);
            assert_eq!(matches!(judged, Symmetry::Symmetric(_)), is_symmetric, "{judged:?}");
        }
        // The verification suite of Microsoft: 66.9.149.187:2794 to 161.142.100.80:1766.
        let known = [66, 9, 149, 187, 161, 142, 100, 80, 0x0a, 0xea, 0x06, 0xe6];
        assert_eq!(hash(&MICROSOFT, &known), 0x51cc_c178);
    }

    #[test]
    fn one_other_octet_of_the_key_is_enough() {
        let key = [0x6d, 0x5a].repeat(26);
        for index in 0..key.len() {
            let mut other = key.clone();
            other[index] ^= 1;
            let judged = symmetry(Some(&toeplitz(&other)), &[None; 4]);
            assert!(matches!(judged, Symmetry::Asymmetric(_)), "{index}");
        }
    }

    #[test]
    fn hash_is_judged_by_function_and_transform() {
        let of = |function, transform| {
            let hash = ReceiveHash { function, transform, ..toeplitz(&MICROSOFT) };
            move |hashed| symmetry(Some(&hash), &[Some(hashed); 4])
        };
        let symmetric = |judged| matches!(judged, Symmetry::Symmetric(_));
        for function in [functions::TOEPLITZ, functions::XOR, functions::CRC32] {
            assert!(symmetric(of(function, transforms::SYMMETRIC_XOR)(BOTH | PORTS)));
            assert!(symmetric(of(function, transforms::SYMMETRIC_OR_XOR)(BOTH | PORTS)));
        }
        assert!(symmetric(of(functions::XOR, 0)(BOTH)));
        assert_eq!(of(functions::XOR, 0)(BOTH | PORTS), Symmetry::Unknown);
        assert!(matches!(of(functions::CRC32, 0)(BOTH), Symmetry::Asymmetric(_)));
        for unknown in [0, 8] {
            assert_eq!(of(unknown, 0)(BOTH), Symmetry::Unknown);
        }
    }

    #[test]
    fn fields_of_one_side_are_found_before_all_else() {
        let good = ReceiveHash { transform: transforms::SYMMETRIC_XOR, ..toeplitz(&MICROSOFT) };
        let flow_label = 1 << 9;
        for bad in [
            fields::SOURCE,
            BOTH | fields::DESTINATION_PORT,
            fields::DESTINATION | PORTS,
            BOTH | PORTS | flow_label,
        ] {
            for (index, packets) in HashedPackets::ALL.into_iter().enumerate() {
                let mut hashed = [Some(BOTH | PORTS | fields::VLAN), None, Some(BOTH), Some(0)];
                assert!(matches!(symmetry(Some(&good), &hashed), Symmetry::Symmetric(_)));
                hashed[index] = Some(bad);
                assert_eq!(symmetry(Some(&good), &hashed), Symmetry::OneSided(packets));
                assert_eq!(symmetry(None, &hashed), Symmetry::OneSided(packets));
            }
        }
    }

    #[test]
    fn driver_that_does_not_tell_is_unknown_and_one_queue_is_symmetric() {
        assert_eq!(symmetry(None, &[None; 4]), Symmetry::Unknown);
        assert_eq!(symmetry(None, &[Some(BOTH | PORTS); 4]), Symmetry::Unknown);
        for key in [&[][..], &[0; 40]] {
            assert_eq!(symmetry(Some(&toeplitz(key)), &[None; 4]), Symmetry::Unknown);
        }
        let hash = |table| ReceiveHash { table, ..toeplitz(&MICROSOFT) };
        let judged = |table| symmetry(Some(&hash(table)), &[Some(fields::SOURCE); 4]);
        assert!(matches!(judged(vec![3; 128]), Symmetry::Symmetric(_)));
        assert!(matches!(judged(vec![3, 2]), Symmetry::OneSided(_)));
        assert!(matches!(judged(Vec::new()), Symmetry::OneSided(_)));
    }
}
