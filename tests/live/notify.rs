//! What the program tells a service manager.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::probe::{METHODS, Probe};
use crate::support;
use crate::support::net::{Host, Links, Network};

/// The messages until one has this line.
#[track_caller]
fn until(socket: &UnixDatagram, line: &str) -> Vec<String> {
    let begin = Instant::now();
    let mut messages = Vec::new();
    while begin.elapsed() < Duration::from_secs(30) {
        let mut octets = [0; 4096];
        let Ok(length) = socket.recv(&mut octets) else { continue };
        let message = String::from_utf8(octets[..length].to_vec()).expect("messages are text");
        let is_it = message.lines().any(|it| it.starts_with(line));
        messages.push(message);
        if is_it {
            return messages;
        }
    }
    panic!("no {line} in {messages:?}")
}

/// Starts it as a service manager does that wants a sign of life each second.
fn start(network: &Network, settings: &Path, socket: &Path) -> Probe {
    let mut command = network.command(Host::Probe, "setsid");
    command.arg(support::flowprobe().get_program()).arg("--config").arg(settings);
    command.args(METHODS[1]).env("NOTIFY_SOCKET", socket).env("WATCHDOG_USEC", "1000000");
    Probe::start(command)
}

#[test]
fn a_service_manager_is_told_what_it_does() {
    let Some(network) = Network::new(Links::default()) else { return };
    let folder = support::scratch();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a time");
    let file = folder.path().join("settings.toml");
    let write = |more: &str| {
        let flows = folder.path().join("flows").display().to_string();
        let text = format!("interface = \"rx0\"\noutput = \"json:{flows}\"\n{more}\n");
        fs::write(&file, text).expect("the folder is ours");
    };
    write("");
    let probe = start(&network, &file, &path);
    let messages = until(&socket, "READY=1");
    assert_eq!(messages.len(), 1, "nothing comes before: {messages:?}");
    assert!(probe.messages().contains("rx0: "), "it captures: {}", probe.messages());
    until(&socket, "STATUS=up ");
    let begin = Instant::now();
    (0..3).for_each(|_| _ = until(&socket, "WATCHDOG=1"));
    assert!(begin.elapsed() < Duration::from_millis(2500), "{:?}", begin.elapsed());
    // While a setting is taken, and while one is refused.
    for (settings, said) in [("tags = \"on\"", ": read again: "), ("bogus = 1", "not applied")] {
        write(settings);
        probe.signal(Signal::SIGHUP);
        let messages = until(&socket, "RELOADING=1");
        assert!(messages.last().is_some_and(|it| it.contains("\nMONOTONIC_USEC=")), "{messages:?}");
        assert!(!probe.messages().contains(said), "{}", probe.messages());
        until(&socket, "READY=1");
        assert!(probe.messages().contains(said), "{}", probe.messages());
    }
    probe.signal(Signal::SIGTERM);
    until(&socket, "STOPPING=1");
    assert_eq!(probe.wait().status, 0);
}
