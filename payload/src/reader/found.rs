//! What is found in packets.

use flow::DnsAnswer;

use crate::dns::{Flags, Opcode, Question, ResponseCode};
use crate::http::{Request, Response};
use crate::quic::Version;
use crate::tls::{ClientHello, ServerHello};

/// What was found in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A DNS message.
    Dns(Box<Transaction>),
    /// A ClientHello.
    Hello {
        /// The hello.
        hello: Box<ClientHello>,
        /// The version if it came by QUIC.
        quic: Option<Version>,
    },
    /// A ServerHello.
    ServerHello(ServerHello),
    /// An HTTP/1 request.
    Request(Box<Request>),
    /// An HTTP/1 response.
    Response(Response),
}

/// A DNS message with what stays of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Identification.
    pub id: u16,
    /// Kind of the query.
    pub opcode: Opcode,
    /// The flags.
    pub flags: Flags,
    /// The code of a response. `None` for a query.
    pub response_code: Option<ResponseCode>,
    /// The first question.
    pub question: Option<Question>,
    /// Number of records in the answer section, as the header says.
    pub answers_count: u16,
    /// The first of them, if they are asked for.
    pub answers: Vec<DnsAnswer>,
}
