//! Selection of the frames to be metered, by an expression in tcpdump's language.
//!
//! libpcap of the system compiles it, once for each link type. The program runs on each frame of
//! every source, so that excluded frames are counted as filtered.

use std::ffi::CString;
use std::sync::Arc;

use flow::{Filter, Frame, LinkType};

use crate::sys::libpcap::Libpcap;

/// Link types and their numbers in libpcap (`DLT_` values). The most frequent one is the first.
const LINK_TYPES: [(LinkType, u16); 25] = [
    (LinkType::Ethernet, 1),
    (LinkType::Null, 0),
    (LinkType::TokenRing, 6),
    (LinkType::Arcnet, 7),
    (LinkType::Fddi, 10),
    (LinkType::RawIp, 12),
    (LinkType::Ppp, 50),
    (LinkType::PppoeSession, 51),
    (LinkType::CiscoHdlc, 104),
    (LinkType::Wireless, 105),
    (LinkType::FrameRelay, 107),
    (LinkType::Loop, 108),
    (LinkType::Enc, 109),
    (LinkType::LinuxCooked, 113),
    (LinkType::Pflog, 117),
    (LinkType::Radiotap, 127),
    (LinkType::PppWithDirection, 166),
    (LinkType::Ppi, 192),
    (LinkType::Ipnet, 226),
    (LinkType::Ipv4, 228),
    (LinkType::Ipv6, 229),
    (LinkType::Nflog, 239),
    (LinkType::Infiniband, 242),
    (LinkType::Pktap, 258),
    (LinkType::LinuxCooked2, 276),
];

/// A filter of frames.
#[derive(Clone, Debug)]
pub(crate) struct FrameFilter {
    /// In the order of [`LINK_TYPES`]. `None` if the expression has no meaning for the link type.
    programs: Arc<Vec<(LinkType, Option<Filter>)>>,
}

impl FrameFilter {
    /// Compiles an expression.
    ///
    /// # Errors
    ///
    /// The expression is valid for no link type, or libpcap is missing; in one sentence.
    pub(crate) fn new(expression: &str) -> Result<Self, String> {
        let about = |problem: &str| format!("--filter {expression:?}: {problem}");
        let text = CString::new(expression).map_err(|_nul| about("it has a NUL character"))?;
        let libpcap = Libpcap::load().map_err(|problem| {
            about(&format!("libpcap, which compiles it, cannot be loaded ({problem})"))
        })?;
        let compile = |number| {
            let instructions = libpcap.compile(&text, number)?;
            Filter::new(&instructions)
                .map_err(|_invalid| "libpcap gave a program with an unknown operation".to_owned())
        };
        let compiled = LINK_TYPES.map(|(link_type, number)| (link_type, compile(number)));
        // The error for Ethernet is the most helpful one.
        if let [(_, Err(problem)), rest @ ..] = &compiled
            && rest.iter().all(|(_, compiled)| compiled.is_err())
        {
            return Err(about(problem));
        }
        let programs = compiled.into_iter().map(|(link_type, compiled)| (link_type, compiled.ok()));
        Ok(Self { programs: Arc::new(programs.collect()) })
    }

    /// Whether a frame is to be metered. A frame of an unsupported link type passes: it is counted
    /// as ignored.
    #[inline]
    pub(crate) fn passes(&self, frame: &Frame<'_>) -> bool {
        let program = self.programs.iter().find(|(link_type, _)| *link_type == frame.link_type);
        program.is_none_or(|(_, filter)| filter.as_ref().is_some_and(|it| it.matches(frame)))
    }
}
