//! Who may ask for what.

use std::fmt;
use std::net::SocketAddr;

/// Where the page is, and who may see it.
#[derive(Clone)]
pub struct Settings {
    /// The address to listen at.
    pub listen: SocketAddr,
    /// Names of this host that a browser may ask for, besides addresses and `localhost`. Any other
    /// name is refused, so that a foreign page cannot reach this one under its own name (DNS
    /// rebinding).
    pub names: Vec<String>,
    /// The token that each request must have, if there is one.
    pub token: Option<String>,
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
            .finish()
    }
}
