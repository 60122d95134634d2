//! Filters: programs in classic BPF, which libpcap compiles from tcpdump's expressions.
//!
//! A program reads the octets of a frame and its length, has two registers and 16 words of memory,
//! and only jumps forward, so it always ends. A load beyond the captured octets ends it, and the
//! frame does not match.

use alloc::vec::Vec;

use crate::frame::Frame;
use crate::point::FlowDirection;

/// Maximum number of instructions, as in the kernel (`BPF_MAXINSNS`).
const INSTRUCTIONS_MAX: usize = 4096;

/// Words of memory (`BPF_MEMWORDS`).
const MEMORY_WORDS: usize = 16;

/// Packet type of a frame that came in.
const PACKET_HOST: u32 = 0;
/// Packet type of a frame that the host sent.
const PACKET_OUTGOING: u32 = 4;

/// An instruction, with the layout of `struct bpf_insn` of libpcap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct FilterInstruction {
    /// Operation and its modes.
    pub code: u16,
    /// Instructions that are skipped if a comparison holds.
    pub jump_true: u8,
    /// Instructions that are skipped if it does not hold.
    pub jump_false: u8,
    /// A constant, an offset, or a number of skipped instructions.
    pub k: u32,
}

/// The program is not a valid filter: it has no end, or an unknown operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidFilter;

/// A filter for frames of one link type.
#[derive(Clone, Debug)]
pub struct Filter {
    steps: Vec<Step>,
}

/// A checked instruction. Jumps have the index of their target.
#[derive(Clone, Copy, Debug)]
enum Step {
    LoadA(Source),
    LoadX(Source),
    StoreA(usize),
    StoreX(usize),
    Compute(Operation, Operand),
    Jump(usize),
    Branch { test: Test, with: Operand, yes: usize, no: usize },
    Return(u32),
    ReturnA,
    MoveAToX,
    MoveXToA,
}

/// Source of a loaded value.
#[derive(Clone, Copy, Debug)]
enum Source {
    Octets {
        width: usize,
        at: u32,
        is_indexed: bool,
    },
    /// Four times the low half of an octet: the length of an IPv4 header.
    HeaderLength(u32),
    WireLength,
    /// Direction of the frame as in Linux, for `inbound` and `outbound`.
    PacketType,
    Constant(u32),
    Memory(usize),
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Or,
    And,
    Xor,
    ShiftLeft,
    ShiftRight,
    Negate,
}

#[derive(Clone, Copy, Debug)]
enum Operand {
    Constant(u32),
    X,
}

#[derive(Clone, Copy, Debug)]
enum Test {
    Equal,
    Greater,
    GreaterOrEqual,
    AnyBit,
}

/// Bits of an instruction's code.
mod code {
    pub(super) const CLASS: u16 = 0x07;
    pub(super) const WIDTH: u16 = 0x18;
    pub(super) const MODE: u16 = 0xe0;
    pub(super) const OPERATION: u16 = 0xf0;
    pub(super) const OPERAND_X: u16 = 0x08;
    /// Offsets from here on are not octets of the frame, but metadata of Linux (`SKF_AD_OFF`).
    pub(super) const ANCILLARY: u32 = 0xffff_f000;
    /// Offset of the packet type (`SKF_AD_PKTTYPE`).
    pub(super) const PACKET_TYPE: u32 = ANCILLARY + 4;
    /// The program returns A.
    pub(super) const RETURN_A: u16 = 0x10;
    pub(super) const X_TO_A: u16 = 0x80;
}

impl Filter {
    /// Checks a program.
    ///
    /// # Errors
    ///
    /// The program is empty or too long, has a jump out of it, may run beyond its end, divides by a
    /// constant of zero, or has an unknown instruction.
    pub fn new(instructions: &[FilterInstruction]) -> Result<Self, InvalidFilter> {
        let count = instructions.len();
        if count > INSTRUCTIONS_MAX {
            return Err(InvalidFilter);
        }
        let steps: Option<Vec<_>> =
            (1..).zip(instructions).map(|(next, it)| Step::new(it, next, count)).collect();
        let steps = steps.ok_or(InvalidFilter)?;
        match steps.last() {
            Some(Step::Return(_) | Step::ReturnA) => Ok(Self { steps }),
            _ => Err(InvalidFilter),
        }
    }

    /// True if a frame matches.
    pub fn matches(&self, frame: &Frame<'_>) -> bool {
        self.run(frame).is_some_and(|octets| octets != 0)
    }

    /// The result of the program; `None` if it reads beyond the octets or divides by zero.
    fn run(&self, frame: &Frame<'_>) -> Option<u32> {
        let (mut a, mut x, mut memory) = (0_u32, 0_u32, [0_u32; MEMORY_WORDS]);
        let mut at = 0;
        loop {
            let step = self.steps.get(at)?;
            at += 1;
            match *step {
                Step::LoadA(source) => a = source.load(frame, x, &memory)?,
                Step::LoadX(source) => x = source.load(frame, x, &memory)?,
                Step::StoreA(word) => memory[word] = a,
                Step::StoreX(word) => memory[word] = x,
                Step::Compute(operation, with) => a = operation.of(a, with.value(x))?,
                Step::Jump(to) => at = to,
                Step::Branch { test, with, yes, no } => {
                    at = if test.holds(a, with.value(x)) { yes } else { no };
                }
                Step::Return(octets) => return Some(octets),
                Step::ReturnA => return Some(a),
                Step::MoveAToX => x = a,
                Step::MoveXToA => a = x,
            }
        }
    }
}

impl Step {
    /// Checks the instruction before index `next`, in a program of `count` instructions.
    fn new(it: &FilterInstruction, next: usize, count: usize) -> Option<Self> {
        let word = usize::try_from(it.k).ok()?;
        let is_word = word < MEMORY_WORDS;
        let operand =
            if it.code & code::OPERAND_X == 0 { Operand::Constant(it.k) } else { Operand::X };
        Some(match it.code & code::CLASS {
            0 => Self::LoadA(Source::new(it)?),
            1 => Self::LoadX(Source::new(it).filter(|source| source.is_for_x())?),
            2 if is_word => Self::StoreA(word),
            3 if is_word => Self::StoreX(word),
            4 => Self::Compute(Operation::new(it, operand)?, operand),
            5 => Self::jump(it, operand, next, count)?,
            6 if it.code & code::WIDTH == code::RETURN_A => Self::ReturnA,
            6 if it.code & code::WIDTH == 0 => Self::Return(it.k),
            7 if it.code & code::X_TO_A == 0 => Self::MoveAToX,
            7 => Self::MoveXToA,
            _ => return None,
        })
    }

    fn jump(it: &FilterInstruction, with: Operand, next: usize, count: usize) -> Option<Self> {
        let target = |skipped: usize| next.checked_add(skipped).filter(|&target| target < count);
        let test = match it.code & code::OPERATION {
            0x00 => return Some(Self::Jump(target(usize::try_from(it.k).ok()?)?)),
            0x10 => Test::Equal,
            0x20 => Test::Greater,
            0x30 => Test::GreaterOrEqual,
            0x40 => Test::AnyBit,
            _ => return None,
        };
        let (yes, no) = (target(it.jump_true.into())?, target(it.jump_false.into())?);
        Some(Self::Branch { test, with, yes, no })
    }
}

impl Source {
    fn new(it: &FilterInstruction) -> Option<Self> {
        let width = match it.code & code::WIDTH {
            0x00 => 4,
            0x08 => 2,
            0x10 => 1,
            _ => return None,
        };
        Some(match it.code & code::MODE {
            0x00 => Self::Constant(it.k),
            0x20 if it.k == code::PACKET_TYPE => Self::PacketType,
            0x20 if it.k >= code::ANCILLARY => return None,
            0x20 => Self::Octets { width, at: it.k, is_indexed: false },
            0x40 => Self::Octets { width, at: it.k, is_indexed: true },
            0x60 => Self::Memory(usize::try_from(it.k).ok().filter(|&word| word < MEMORY_WORDS)?),
            0x80 => Self::WireLength,
            0xa0 if width == 1 => Self::HeaderLength(it.k),
            _ => return None,
        })
    }

    /// True if X can be loaded from it.
    fn is_for_x(self) -> bool {
        !matches!(self, Self::Octets { .. } | Self::PacketType)
    }

    #[inline]
    fn load(self, frame: &Frame<'_>, x: u32, memory: &[u32]) -> Option<u32> {
        let octets = frame.data;
        match self {
            Self::Octets { width, at, is_indexed } => {
                let at = if is_indexed { at.checked_add(x)? } else { at };
                let at = usize::try_from(at).ok()?;
                let octets = octets.get(at..at.checked_add(width)?)?;
                Some(octets.iter().fold(0, |value, &octet| value << 8 | u32::from(octet)))
            }
            Self::HeaderLength(at) => {
                let octet = octets.get(usize::try_from(at).ok()?)?;
                Some(u32::from(octet & 15) * 4)
            }
            Self::WireLength => Some(frame.wire_length),
            Self::PacketType => Some(match frame.point.direction {
                FlowDirection::Ingress => PACKET_HOST,
                FlowDirection::Egress => PACKET_OUTGOING,
            }),
            Self::Constant(value) => Some(value),
            Self::Memory(word) => memory.get(word).copied(),
        }
    }
}

impl Operation {
    fn new(it: &FilterInstruction, operand: Operand) -> Option<Self> {
        let is_by_zero = matches!(operand, Operand::Constant(0));
        Some(match it.code & code::OPERATION {
            0x00 => Self::Add,
            0x10 => Self::Subtract,
            0x20 => Self::Multiply,
            0x30 if !is_by_zero => Self::Divide,
            0x40 => Self::Or,
            0x50 => Self::And,
            0x60 => Self::ShiftLeft,
            0x70 => Self::ShiftRight,
            0x80 => Self::Negate,
            0x90 if !is_by_zero => Self::Remainder,
            0xa0 => Self::Xor,
            _ => return None,
        })
    }

    #[inline]
    fn of(self, a: u32, with: u32) -> Option<u32> {
        Some(match self {
            Self::Add => a.wrapping_add(with),
            Self::Subtract => a.wrapping_sub(with),
            Self::Multiply => a.wrapping_mul(with),
            Self::Divide => a.checked_div(with)?,
            Self::Remainder => a.checked_rem(with)?,
            Self::Or => a | with,
            Self::And => a & with,
            Self::Xor => a ^ with,
            Self::ShiftLeft => a.checked_shl(with).unwrap_or(0),
            Self::ShiftRight => a.checked_shr(with).unwrap_or(0),
            Self::Negate => a.wrapping_neg(),
        })
    }
}

impl Operand {
    #[inline]
    fn value(self, x: u32) -> u32 {
        match self {
            Self::Constant(value) => value,
            Self::X => x,
        }
    }
}

impl Test {
    #[inline]
    fn holds(self, a: u32, with: u32) -> bool {
        match self {
            Self::Equal => a == with,
            Self::Greater => a > with,
            Self::GreaterOrEqual => a >= with,
            Self::AnyBit => a & with != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::LinkType;
    use crate::point::ObservationPoint;
    use crate::time::Timestamp;

    const fn instruction(code: u16, jump_true: u8, jump_false: u8, k: u32) -> FilterInstruction {
        FilterInstruction { code, jump_true, jump_false, k }
    }

    /// `ldh [12]; jeq #0x800, 0, 1; ret #65535; ret #0`
    const IPV4: [FilterInstruction; 4] = [
        instruction(0x28, 0, 0, 12),
        instruction(0x15, 0, 1, 0x0800),
        instruction(0x06, 0, 0, 65_535),
        instruction(0x06, 0, 0, 0),
    ];

    fn frame(data: &[u8], direction: FlowDirection) -> Frame<'_> {
        Frame {
            data,
            wire_length: 1500,
            time: Timestamp::default(),
            point: ObservationPoint { interface: 1, direction },
            link_type: LinkType::Ethernet,
        }
    }

    fn run(instructions: &[FilterInstruction], octets: &[u8]) -> Option<u32> {
        Filter::new(instructions).unwrap().run(&frame(octets, FlowDirection::Ingress))
    }

    #[test]
    fn packet_type_is_the_direction() {
        // `inbound`, as libpcap compiles it for Ethernet.
        let inbound = Filter::new(&[
            instruction(0x28, 0, 0, code::PACKET_TYPE),
            instruction(0x15, 0, 1, PACKET_OUTGOING),
            instruction(0x06, 0, 0, 0),
            instruction(0x06, 0, 0, 65_535),
        ])
        .unwrap();
        assert!(inbound.matches(&frame(&[], FlowDirection::Ingress)));
        assert!(!inbound.matches(&frame(&[], FlowDirection::Egress)));
    }

    #[test]
    fn ethertype_decides() {
        let mut frame = [0; 14];
        assert_eq!(run(&IPV4, &frame), Some(0));
        frame[12] = 8;
        assert_eq!(run(&IPV4, &frame), Some(65_535));
        // Cut in the Ethertype.
        assert_eq!(run(&IPV4, &frame[..13]), None);
    }

    #[test]
    fn loads_of_each_kind() {
        let octets = [0x45, 2, 3, 4, 5];
        for (loads, expected) in [
            (&[instruction(0x20, 0, 0, 1)][..], 0x0203_0405),
            (&[instruction(0x30, 0, 0, 4)], 5),
            (&[instruction(0x80, 0, 0, 0)], 1500),
            (&[instruction(0xb1, 0, 0, 0), instruction(0x87, 0, 0, 0)], 20),
            (&[instruction(0x01, 0, 0, 3), instruction(0x48, 0, 0, 0)], 0x0405),
            (
                &[
                    instruction(0x00, 0, 0, 7),
                    instruction(0x02, 0, 0, 9),
                    instruction(0x60, 0, 0, 9),
                ],
                7,
            ),
        ] {
            let program = [loads, &[instruction(0x16, 0, 0, 0)]].concat();
            assert_eq!(run(&program, &octets), Some(expected), "{loads:?}");
        }
    }

    #[test]
    fn arithmetic_as_in_the_kernel() {
        for (code, a, k, expected) in [
            (0x04, u32::MAX, 1, Some(0)),
            (0x14, 0, 1, Some(u32::MAX)),
            (0x24, 1 << 31, 2, Some(0)),
            (0x34, 7, 2, Some(3)),
            (0x44, 5, 2, Some(7)),
            (0x54, 7, 2, Some(2)),
            (0x64, 1, 32, Some(0)),
            (0x74, 8, 3, Some(1)),
            (0x84, 1, 0, Some(u32::MAX)),
            (0x94, 7, 4, Some(3)),
            (0xa4, 7, 2, Some(5)),
        ] {
            let program = [
                instruction(0x00, 0, 0, a),
                instruction(code, 0, 0, k),
                instruction(0x16, 0, 0, 0),
            ];
            assert_eq!(run(&program, &[]), expected, "{code:#x}");
        }
        // By X, which is 0.
        assert_eq!(run(&[instruction(0x3c, 0, 0, 0), instruction(0x16, 0, 0, 0)], &[]), None);
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        let end = instruction(0x06, 0, 0, 0);
        for program in [
            &[][..],
            &[instruction(0x28, 0, 0, 12)],
            &[instruction(0x15, 0, 1, 0), end],
            &[instruction(0x05, 0, 0, u32::MAX), end],
            &[instruction(0x34, 0, 0, 0), end],
            &[instruction(0x94, 0, 0, 0), end],
            &[instruction(0x02, 0, 0, 16), end],
            &[instruction(0x60, 0, 0, 16), end],
            &[instruction(0x41, 0, 0, 0), end],
            &[instruction(0x38, 0, 0, 0), end],
            &[instruction(0xf5, 0, 0, 0), end],
            // What else Linux knows of a frame, here its mark.
            &[instruction(0x20, 0, 0, code::ANCILLARY + 20), end],
            &[end; INSTRUCTIONS_MAX + 1],
        ] {
            assert_eq!(Filter::new(program).unwrap_err(), InvalidFilter, "{program:?}");
        }
    }
}
