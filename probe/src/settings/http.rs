//! Settings of the web page.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use exporter::sentence;

use super::values::size;

/// The variable that may hold the token.
const TOKEN_VARIABLE: &str = "FLOWPROBE_HTTP_TOKEN";

/// Length of a token in octets. It must not be easy to guess and must fit in a header.
const TOKEN_OCTETS: std::ops::RangeInclusive<usize> = 16..=1024;

/// Settings of the page and its metrics.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = Self::HEADING)]
pub(crate) struct HttpArguments {
    /// Show a page at this address (and /metrics, /healthz and /stats for programs); a replay keeps
    /// it until it is interrupted
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) http: Option<SocketAddr>,

    /// Permit an address that other hosts reach; it needs a token
    #[arg(long)]
    pub(crate) http_allow_remote: bool,

    /// Name of this host that browsers may use for the page (besides its addresses and localhost);
    /// may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) http_name: Vec<String>,

    /// File with the token that each request needs (as in "Authorization: Bearer TOKEN"); 16 to
    /// 1024 characters. The variable FLOWPROBE_HTTP_TOKEN can hold it instead
    #[arg(long, value_name = "FILE")]
    pub(crate) http_token_file: Option<PathBuf>,

    /// Maximum memory for the data of the page: traffic over time, and flow records for search and
    /// top lists, of which there are 100,000 at most
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = size)]
    pub(crate) page_memory: u64,
}

impl HttpArguments {
    /// Their heading in the help.
    pub(super) const HEADING: &str = "Page and metrics";

    /// The settings of the page, if it is enabled.
    ///
    /// # Errors
    ///
    /// A token cannot be used, or an address needs one; in one sentence.
    pub(crate) fn settings(&self) -> Result<Option<web::Settings>, String> {
        let Some(listen) = self.http else { return Ok(None) };
        let memory = usize::try_from(self.page_memory).unwrap_or(usize::MAX);
        let memory = web::Memory::divide(memory)
            .map_err(|problem| format!("--page-memory {}: {problem}", self.page_memory))?;
        let names = self.http_name.clone();
        let settings = web::Settings { listen, names, token: self.token()?, memory };
        if !settings.is_local() && !self.http_allow_remote {
            return Err(format!("--http {listen}: other hosts reach it; add --http-allow-remote"));
        }
        if !settings.is_local() && settings.token.is_none() {
            return Err(format!(
                "--http {listen}: other hosts reach it, so it needs --http-token-file or the \
                 variable {TOKEN_VARIABLE}"
            ));
        }
        Ok(Some(settings))
    }

    fn token(&self) -> Result<Option<String>, String> {
        let (place, text) = match &self.http_token_file {
            Some(path) => {
                let place = format!("--http-token-file {}", path.display());
                let text = fs::read_to_string(path)
                    .map_err(|problem| format!("{place}: {}", sentence(&problem)))?;
                (place, text)
            }
            None => match std::env::var(TOKEN_VARIABLE) {
                Ok(text) => (TOKEN_VARIABLE.to_owned(), text),
                Err(_not_there) => return Ok(None),
            },
        };
        let token = text.trim();
        if !TOKEN_OCTETS.contains(&token.len()) || !token.bytes().all(|it| it.is_ascii_graphic()) {
            return Err(format!("{place}: a token has 16 to 1024 visible ASCII characters"));
        }
        Ok(Some(token.to_owned()))
    }
}
