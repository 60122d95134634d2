//! Decisions from facts, and facts of the interface that every host has.

use super::*;

fn route(network: &str, prefix: u8) -> Route {
    Route { network: network.parse().unwrap(), prefix }
}

fn mirror_port() -> Interface {
    Interface::made_up("eth1")
}

#[test]
fn mirror_port_may_be_consumed() {
    assert_eq!(mirror_port().consumable(&[]), Ok(()));
    assert_eq!(mirror_port().consumable(&[1, 2]), Ok(()));
    let mut configured = mirror_port();
    configured.addresses.push("169.254.1.1".parse().unwrap());
    let routes = [route("169.254.0.0", 16), route("169.254.1.1", 32), route("169.254.255.255", 32)];
    configured.routes.extend(routes);
    assert_eq!(configured.consumable(&[]), Ok(()));
    assert_eq!(configured.link_local().len(), 2);
    assert_eq!(
        Interface { addresses: vec![], routes: vec![], ..mirror_port() }.consumable(&[]),
        Ok(())
    );
}

#[test]
fn what_the_host_needs_may_not_be_consumed() {
    let flags = IFF_LOOPBACK.unsigned_abs();
    let with_address = |text: &str| {
        let mut port = mirror_port();
        port.addresses.push(text.parse().unwrap());
        (port, Reason::Address(text.parse().unwrap()))
    };
    let with_route = |route: Route| {
        let mut port = mirror_port();
        port.routes.push(route);
        (port, Reason::Route(route))
    };
    let cases = [
        (Interface { flags, ..mirror_port() }, Reason::Loopback),
        with_address("192.0.2.1"),
        with_address("2001:db8::1"),
        with_address("fec0::1"),
        with_route(route("0.0.0.0", 0)),
        with_route(route("::", 0)),
        with_route(route("2001:db8::", 32)),
        // Larger than the link-local network.
        with_route(route("169.254.0.0", 15)),
        with_route(route("fe80::", 9)),
        with_route(route("fc00::", 6)),
        (
            Interface { master: Some("bond0".to_owned()), ..mirror_port() },
            Reason::Master("bond0".to_owned()),
        ),
        (
            Interface { uppers: vec!["eth1.7".to_owned()], ..mirror_port() },
            Reason::Upper("eth1.7".to_owned()),
        ),
    ];
    for (interface, reason) in cases {
        assert_eq!(interface.consumable(&[]), Err(vec![reason]));
    }
    assert_eq!(mirror_port().consumable(&[2, 3]), Err(vec![Reason::Output]));
}

#[test]
fn all_reasons_are_given_as_sentences() {
    let mut port = mirror_port();
    port.addresses.push("192.0.2.1".parse().unwrap());
    port.routes.extend([route("0.0.0.0", 0), route("192.0.2.0", 24)]);
    port.uppers.push("vlan7".to_owned());
    let reasons = port.consumable(&[3]).unwrap_err();
    let sentences: Vec<String> = reasons.iter().map(ToString::to_string).collect();
    assert_eq!(
        sentences,
        [
            "it has the address 192.0.2.1",
            "the default route leads over it",
            "the route to 192.0.2.0/24 leads over it",
            "vlan7 is on top of it",
            "an output sends over it",
        ]
    );
}

#[test]
fn loopback_is_known() {
    let lo = Interface::find("lo").unwrap();
    assert_eq!((lo.name.as_str(), lo.hardware), ("lo", 772));
    assert!(lo.is_loopback());
    assert!(lo.mtu >= 1500 && lo.rx_queues >= 1, "{lo:?}");
    assert_eq!(lo.consumable(&[]).unwrap_err()[0], Reason::Loopback);
    if lo.is_up() {
        assert!(lo.addresses.contains(&IpAddr::from([127, 0, 0, 1])), "{lo:?}");
        assert_eq!(towards(IpAddr::from([127, 0, 0, 1])).unwrap(), Some(lo.index));
    }
}

#[test]
fn missing_interface_is_named() {
    let problem = Interface::find("none-such").unwrap_err();
    assert!(matches!(problem, FindError::NoSuchInterface { .. }), "{problem:?}");
    let problem = problem.to_string();
    assert!(problem.starts_with("cannot find interface none-such: "), "{problem}");
}
