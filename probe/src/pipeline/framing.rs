//! Messages of IPFIX in a stream of octets (RFC 7011 section 10.4.1: nothing is between them).

/// The octets are not a message of IPFIX.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Octets of the shortest message: a header.
const MESSAGE_OCTETS_MIN: usize = 16;

/// Gives the messages that are complete, and keeps the rest. Returns their number.
pub(super) fn take(
    unfinished: &mut Vec<u8>,
    mut message: impl FnMut(&[u8]) -> bool,
) -> Result<u64, Malformed> {
    let (mut rest, mut messages) = (unfinished.as_slice(), 0);
    while let [a, b, c, d, ..] = *rest {
        let length = usize::from(u16::from_be_bytes([c, d]));
        let is_ipfix = [a, b] == [0, 10] && length >= MESSAGE_OCTETS_MIN;
        let octets = if is_ipfix { rest.get(..length) } else { Some(rest) };
        let Some(octets) = octets else { break };
        if !message(octets) || !is_ipfix {
            return Err(Malformed);
        }
        messages += 1;
        rest = rest.get(length..).unwrap_or_default();
    }
    let taken = unfinished.len() - rest.len();
    drop(unfinished.drain(..taken));
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: u8) -> Vec<u8> {
        let mut octets = vec![7; usize::from(length)];
        octets[..4].copy_from_slice(&[0, 10, 0, length]);
        octets
    }

    #[test]
    fn messages_are_found_at_any_cut() {
        let stream = [message(16), message(20), message(200)].concat();
        for cut in 1..stream.len() {
            let (mut unfinished, mut lengths) = (Vec::new(), Vec::new());
            for piece in stream.chunks(cut) {
                unfinished.extend_from_slice(piece);
                take(&mut unfinished, |octets| {
                    lengths.push(octets.len());
                    true
                })
                .unwrap();
            }
            assert_eq!((lengths, unfinished.len()), (vec![16, 20, 200], 0), "{cut}");
        }
    }

    #[test]
    fn what_is_no_message_ends_the_connection() {
        for octets in [[0, 9, 0, 20], [0, 10, 0, 15], *b"GET "] {
            let mut given = 0;
            let taken = take(&mut octets.to_vec(), |_| {
                given += 1;
                false
            });
            assert_eq!((taken, given), (Err(Malformed), 1), "{octets:?}");
        }
        assert_eq!(take(&mut vec![0, 10, 0], |_| true), Ok(0));
    }
}
