//! A video call: sound and pictures both ways, each with its own type of service.

use super::network::{phone, stranger};
use super::packet::{Header, UDP, udp};
use super::random::Random;
use super::trace::{MILLI, SECOND, Trace};

/// Expedited and assured forwarding, as RFC 4594 has it for sound and pictures.
const SOUND: u8 = 0xb8;
const PICTURES: u8 = 0x88;

/// Milliseconds from one packet to the next.
const SOUND_PERIOD: u64 = 60;
const PICTURE_PERIOD: u64 = 44;

/// A meeting room and a partner, for 20 seconds.
pub(crate) fn video_call(trace: &mut Trace) {
    let (room, partner) = (phone(40), stranger(40));
    let begin = 44 * SECOND;
    let end = begin + 20 * SECOND;
    let ports = [16_384 + 2 * (trace.random.u16() % 4096), 20_002];
    for (hosts, ports) in [([room, partner], ports), ([partner, room], [ports[1], ports[0]])] {
        let streams = [(SOUND, SOUND_PERIOD, 111), (PICTURES, PICTURE_PERIOD, 96)];
        for (type_of_service, period, kind) in streams {
            let source = trace.random.u32().to_be_bytes();
            let first = trace.random.u32();
            let mut time = begin + trace.random.around(300 * MILLI);
            for number in 0_u16.. {
                if time > end {
                    break;
                }
                let size = size(&mut trace.random, type_of_service);
                // RTP (RFC 3550): version 2, kind, number, time of the sample, source.
                let mut head = vec![0x80, kind];
                head.extend((number + 100).to_be_bytes());
                let rate = u32::try_from(period * 48).expect("a short period");
                head.extend(first.wrapping_add(u32::from(number) * rate).to_be_bytes());
                head.extend(source);
                let payload = trace.random.message(&head, size);
                let header = Header { type_of_service, ..Trace::header(hosts[0], hosts[1], UDP) };
                trace.send_as(time, header, udp(ports, &payload));
                time += (period - 1) * MILLI + trace.random.around(MILLI);
            }
        }
    }
}

fn size(random: &mut Random, type_of_service: u8) -> usize {
    let size =
        if type_of_service == SOUND { random.between(170, 210) } else { random.between(900, 1180) };
    usize::try_from(size).expect("a size fits")
}
