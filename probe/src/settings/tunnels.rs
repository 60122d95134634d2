//! Settings of tunnels.

use clap::{Args, ValueEnum};
use flow::{DecapSettings, L2tpV3, TunnelKind, TunnelKinds, VxlanPorts};

use super::values;

/// Tunnels to decapsulate, and the form of their packets.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = Self::HEADING)]
pub(crate) struct TunnelArguments {
    /// Meter the innermost IP packet of tunnels: all, or some of vxlan, vxlangpe, geneve, gre,
    /// erspan, gtpu, ipip, etherip, mplsudp, l2tp, teredo
    #[arg(long, value_name = "TUNNELS", value_parser = kinds)]
    decap: Option<TunnelKinds>,

    /// UDP ports of VXLAN, up to 4
    #[arg(long, value_name = "PORTS", default_value = "4789,8472", value_parser = vxlan_ports)]
    vxlan_ports: VxlanPorts,

    /// Octets before the frame in L2TPv3 packets, as both ends agreed: cookie=0|4|8,sublayer=0|4
    #[arg(long, value_name = "FORM", value_parser = l2tpv3)]
    l2tpv3: Option<L2tpV3>,

    /// Fields of a tunnel that are in the flow key: network is its kind and the VNI or VSID; all
    /// adds any other ID and the outer addresses
    #[arg(long, value_name = "PART", default_value = "network")]
    tunnel_key: TunnelKey,
}

/// Fields of a tunnel that are in the flow key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TunnelKey {
    /// Its kind, and its ID if that is a network identifier.
    Network,
    /// Kind, ID and outer addresses.
    All,
}

impl TunnelArguments {
    /// Their heading in the help.
    pub(super) const HEADING: &str = "Tunnels";

    /// A setting without effect, in one sentence.
    pub(super) fn problem(&self) -> Option<&'static str> {
        let has_l2tp = self.decap.unwrap_or_default().contains(TunnelKind::L2tpV3);
        (self.l2tpv3.is_some() && !has_l2tp)
            .then_some("--l2tpv3 has an effect with --decap l2tp only")
    }

    /// The settings of dissection.
    pub(super) fn settings(&self) -> DecapSettings {
        let kinds = self.decap.unwrap_or_default();
        let whole_key = self.tunnel_key == TunnelKey::All;
        let Self { vxlan_ports, l2tpv3, .. } = *self;
        DecapSettings { kinds, vxlan_ports, l2tpv3, whole_key }
    }
}

/// Kinds of tunnels, by their names in the setting.
fn kinds(text: &str) -> Result<TunnelKinds, String> {
    if text == "all" {
        return Ok(TunnelKinds::ALL);
    }
    let mut kinds = TunnelKinds::default();
    for word in text.split(',') {
        let named = TunnelKinds::of_option(word);
        if named.is_empty() {
            let mut words = Vec::new();
            for option in TunnelKind::ALL.map(TunnelKind::option) {
                if !words.contains(&option) {
                    words.push(option);
                }
            }
            return Err(format!("{word:?} is none of all, {}", words.join(", ")));
        }
        kinds = kinds.with(named);
    }
    Ok(kinds)
}

/// UDP ports of VXLAN.
fn vxlan_ports(text: &str) -> Result<VxlanPorts, String> {
    let mut ports = VxlanPorts([0; VxlanPorts::MAX]);
    let given = values::ports(text)?;
    let places = ports.0.get_mut(..given.len());
    places.ok_or_else(|| format!("at most {} ports", VxlanPorts::MAX))?.copy_from_slice(&given);
    Ok(ports)
}

/// The form of L2TPv3 packets: `cookie=4,sublayer=0`. Each is 0 by default.
fn l2tpv3(text: &str) -> Result<L2tpV3, String> {
    let mut form = L2tpV3::default();
    for setting in text.split(',') {
        match setting {
            "cookie=0" => form.cookie = 0,
            "cookie=4" => form.cookie = 4,
            "cookie=8" => form.cookie = 8,
            "sublayer=0" => form.sublayer = 0,
            "sublayer=4" => form.sublayer = 4,
            _ => return Err("the form is cookie=0|4|8,sublayer=0|4".to_owned()),
        }
    }
    Ok(form)
}
