//! Settings of the places of addresses.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::values::interval;

/// Files that say where addresses are.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Places of addresses")]
pub(crate) struct PlaceSettings {
    /// MMDB file with countries, cities or AS of networks, as MaxMind, DB-IP, IPinfo and others
    /// publish them; may be given several times: the first that knows something counts
    #[arg(long, value_name = "FILE")]
    pub(crate) geo: Vec<PathBuf>,

    /// CSV file with own networks, which count before --geo; columns cidr, name, asn, country,
    /// city, lat, lon, role, site, of which a first line may name some
    #[arg(long, value_name = "FILE")]
    pub(crate) networks: Option<PathBuf>,

    /// Live, time between two looks whether these files have changed; 0s looks only at SIGHUP
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = interval)]
    pub(crate) geo_refresh: Duration,
}

impl PlaceSettings {
    /// Whether places are looked up.
    pub(crate) fn is_given(&self) -> bool {
        !self.geo.is_empty() || self.networks.is_some()
    }

    /// All files.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.geo.iter().chain(&self.networks)
    }
}
