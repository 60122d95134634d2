//! Access settings of the server.

use std::fmt;
use std::net::SocketAddr;

use crate::memory::Memory;

/// Address of the page, and access to it.
#[derive(Clone)]
pub struct Settings {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// Names of this host in requests of a browser, besides addresses and `localhost`. Any other
    /// name is refused, so that a page of another site cannot reach this one under its own name
    /// (DNS rebinding).
    pub names: Vec<String>,
    /// The token that each request must have. `None`: no token is needed.
    pub token: Option<String>,
    /// The memory of the page's data.
    pub memory: Memory,
}

impl Settings {
    /// Whether only this host can reach it.
    pub fn is_local(&self) -> bool {
        self.listen.ip().is_loopback()
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("listen", &self.listen)
            .field("names", &self.names)
            .field("has_token", &self.token.is_some())
            .field("memory", &self.memory)
            .finish()
    }
}
