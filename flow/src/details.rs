//! Details: optional facts about a flow, which its batch keeps beside the records.

use alloc::boxed::Box;
use alloc::sync::Arc;

use crate::place::Place;

/// Optional facts about one flow. Most flows have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// The name that the client asked the server for (TLS server name indication, RFC 6066 section
    /// 3): at most 255 octets.
    pub server_name: Option<Box<str>>,
    /// Where the source address is.
    pub source: Option<Arc<Place>>,
    /// Where the destination address is.
    pub destination: Option<Arc<Place>>,
}

/// The index of a record's details in its batch. It has one octet, so that a record has no octet
/// more than its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DetailsIndex(pub(crate) u8);

impl DetailsIndex {
    /// The record has no details.
    pub const NONE: Self = Self(u8::MAX);
}
