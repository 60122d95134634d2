//! Domain names: compression (RFC 1035 section 4.1.4) and presentation (section 5.1).

use crate::flaw::Flaw;
use crate::text::Name;

/// Octets of a name on the wire, the length octets and the root's among them.
const WIRE_MAX: usize = 255;

const POINTERS_MAX: usize = 32;

/// Reads the name at this place. Also returns the place behind it.
///
/// # Errors
///
/// It is incomplete, longer than 255 octets, or has a label of an unknown kind, or a pointer that
/// does not lead back.
pub(super) fn read_name(message: &[u8], start: usize) -> Result<(Name, usize), Flaw> {
    let mut name = Name::new();
    let (mut at, mut run, mut behind) = (start, start, None);
    let (mut wire, mut pointers) = (1, 0);
    loop {
        let length = *message.get(at).ok_or(Flaw::Incomplete)?;
        match length >> 6 {
            0 if length == 0 => break,
            0 => {
                let end = at + 1 + usize::from(length);
                let label = message.get(at + 1..end).ok_or(Flaw::Incomplete)?;
                wire += 1 + label.len();
                if wire > WIRE_MAX {
                    return Err(Flaw::Malformed);
                }
                push_label(&mut name, label).ok_or(Flaw::TooLong)?;
                at = end;
            }
            3 => {
                let low = *message.get(at + 1).ok_or(Flaw::Incomplete)?;
                behind.get_or_insert(at + 2);
                let target = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                pointers += 1;
                if target >= run || pointers > POINTERS_MAX {
                    return Err(Flaw::Malformed);
                }
                (at, run) = (target, target);
            }
            _ => return Err(Flaw::Malformed),
        }
    }
    if name.is_empty() {
        name.push(b".").ok_or(Flaw::TooLong)?;
    }
    Ok((name, behind.unwrap_or(at + 1)))
}

fn push_label(name: &mut Name, label: &[u8]) -> Option<()> {
    if !name.is_empty() {
        name.push(b".")?;
    }
    label.iter().try_for_each(|octet| match octet.to_ascii_lowercase() {
        special @ (b'.' | b'\\') => name.push(&[b'\\', special]),
        plain @ 0x21..=0x7e => name.push(&[plain]),
        other => {
            let digit = |value: u8| b'0' + value % 10;
            name.push(&[b'\\', digit(other / 100), digit(other / 10), digit(other)])
        }
    })
}
