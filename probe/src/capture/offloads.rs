//! Offloads of a network card that make counts wrong, depending on the place of the capture.

use log::warn;

use crate::sys::ethtool::{Ethtool, Offloads};

/// Place of the capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CapturePlace {
    /// XDP in the driver: frames as they come from the card.
    Driver,
    /// Generic XDP, which comes after GRO.
    Generic,
    /// AF_PACKET: frames come with the offload metadata of the kernel.
    Stack,
}

/// An offload that can make counts wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HarmfulOffload {
    Lro,
    Gro,
    Rxvlan,
}

/// Offloads that are on and make counts wrong at this place.
pub(crate) fn harmful_offloads(offloads: Offloads, place: CapturePlace) -> Vec<HarmfulOffload> {
    let Offloads { lro, gro, rxvlan } = offloads;
    [
        lro.then_some(HarmfulOffload::Lro),
        (gro && place == CapturePlace::Generic).then_some(HarmfulOffload::Gro),
        (rxvlan && place != CapturePlace::Stack).then_some(HarmfulOffload::Rxvlan),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Warns of offloads that make counts wrong, when a capture begins. Says nothing if the driver does
/// not report its offloads.
pub(crate) fn warn_of_harmful_offloads(interface: &str, place: CapturePlace) {
    let Ok(offloads) = Ethtool::new(interface).and_then(|mut driver| driver.offloads()) else {
        return;
    };
    for harmful_offload in harmful_offloads(offloads, place) {
        let (name, problem) = (harmful_offload.name(), harmful_offload.problem());
        warn!("{name} of {interface} is on: {problem}; {}", harmful_offload.remedy(interface));
    }
}

impl HarmfulOffload {
    /// The common name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lro => "LRO",
            Self::Gro => "GRO",
            Self::Rxvlan => "rxvlan",
        }
    }

    /// Effect on the capture.
    pub(crate) fn problem(self) -> &'static str {
        match self {
            Self::Lro => "the card puts packets together, which makes counts too low",
            Self::Gro => "generic XDP comes after it, which makes counts too low",
            Self::Rxvlan => "XDP does not see the VLAN tags that the card takes out",
        }
    }

    /// The command that turns it off.
    pub(crate) fn remedy(self, interface: &str) -> String {
        format!("ethtool -K {interface} {} off", self.name().to_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_falsifies_depends_on_where_frames_are_taken() {
        use HarmfulOffload::{Gro, Lro, Rxvlan};
        let all = Offloads { lro: true, gro: true, rxvlan: true };
        assert_eq!(harmful_offloads(all, CapturePlace::Driver), [Lro, Rxvlan]);
        assert_eq!(harmful_offloads(all, CapturePlace::Generic), [Lro, Gro, Rxvlan]);
        assert_eq!(harmful_offloads(all, CapturePlace::Stack), [Lro]);
        for place in [CapturePlace::Driver, CapturePlace::Generic, CapturePlace::Stack] {
            assert_eq!(harmful_offloads(Offloads::default(), place), []);
        }
        assert_eq!(Rxvlan.remedy("eth1"), "ethtool -K eth1 rxvlan off");
        assert_eq!(Gro.remedy("eth1"), "ethtool -K eth1 gro off");
    }
}
