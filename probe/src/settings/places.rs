//! Settings of the places of addresses.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::values::interval;

/// Files with the places of addresses.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Places of addresses")]
pub(crate) struct PlaceSettings {
    /// MMDB file with countries, cities or AS of networks (of MaxMind, DB-IP, IPinfo and others);
    /// may be given several times: the first one with an entry counts
    #[arg(long, value_name = "FILE")]
    pub(crate) geo: Vec<PathBuf>,

    /// CSV file with own networks, which take precedence over --geo; columns cidr, name, asn,
    /// country, city, lat, lon, role, site; a first line may name some of them
    #[arg(long, value_name = "FILE")]
    pub(crate) networks: Option<PathBuf>,

    /// Live, time between two checks of these files for changes; 0s checks only at SIGHUP
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
