//! What the server does with one request.

use std::time::Duration;

use serde_json::{Value, json};

/// An answer, and the manner in which it is given.
#[derive(Clone, Debug)]
pub struct Step {
    /// None: the one that an engine gives.
    pub answer: Option<Answer>,
    /// How long to wait before it.
    pub delay: Duration,
    /// Whether the request waits until the test lets it go. It is then answered as one that comes
    /// then.
    pub is_held: bool,
    pub manner: Manner,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Manner {
    /// The answer is given as it should be.
    Whole,
    /// The answer is given before the body is read, then the connection is closed.
    Early,
    /// The request is read and never answered.
    Never,
    /// The body is not read, and nothing is answered.
    Unread,
    /// The connection is reset after so many octets of the body.
    CutRequest(u64),
    /// The connection is closed after so many octets of the answer, head and body.
    CutAnswer(usize),
    /// The answer is given an octet at a time, with pauses.
    Drip(Duration),
    /// What is answered is no HTTP.
    Garbage,
    /// The answer has so many octets in its body, all spaces. `u64::MAX` does not end.
    Flood(u64),
}

impl Manner {
    /// Whether the documents of the request are taken before the answer is given or lost.
    pub fn does_the_work(&self) -> bool {
        matches!(self, Self::Whole | Self::Never | Self::CutAnswer(_) | Self::Drip(_))
    }
}

impl Step {
    /// As an engine does.
    pub fn emulate() -> Self {
        Self { answer: None, delay: Duration::ZERO, is_held: false, manner: Manner::Whole }
    }

    /// As an engine does, or rather in this manner.
    pub fn manner(manner: Manner) -> Self {
        Self { manner, ..Self::emulate() }
    }

    /// This answer.
    pub fn answer(answer: Answer) -> Self {
        Self { answer: Some(answer), ..Self::emulate() }
    }

    /// An answer without more than this.
    pub fn status(status: u16) -> Self {
        Self::answer(Answer::status(status))
    }

    /// The same in another manner.
    pub fn given(self, manner: Manner) -> Self {
        Self { manner, ..self }
    }

    /// The same after a while.
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// The same once the test lets the request go.
    pub fn held(self) -> Self {
        Self { is_held: true, ..self }
    }
}

/// An answer of HTTP.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    pub fn json(status: u16, body: &Value) -> Self {
        let body = body.to_string().into_bytes();
        Self { body, ..Self::status(status) }.header("content-type", "application/json")
    }

    /// An error of a whole request, in the form that engines give it.
    pub fn error(status: u16, kind: &str, reason: &str) -> Self {
        let cause = json!({"type": kind, "reason": reason});
        let error = json!({"root_cause": [cause], "type": kind, "reason": reason});
        Self::json(status, &json!({"error": error, "status": status}))
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// As it goes over the connection.
    pub fn octets(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, phrase(self.status));
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!("content-length: {}\r\n\r\n", self.body.len());
        [head.into_bytes(), self.body.clone()].concat()
    }
}

fn phrase(status: u16) -> &'static str {
    match status {
        200..300 => "OK",
        300..400 => "Redirect",
        400..500 => "Client Error",
        _ => "Server Error",
    }
}
