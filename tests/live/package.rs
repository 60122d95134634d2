//! The Debian package under systemd: installed, started, reloaded, upgraded and purged.

use std::fs;

use crate::ends::{frames, packets};
use crate::service::{SETTINGS, System};
use crate::support;
use crate::support::flows::flows;
use crate::support::net::{Links, Network};
use crate::support::package::package;

/// Installs the package of the folder there, with the settings of the folder.
const INSTALL: &str = r#"
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
cp "$folder"/out*/*.deb "$root"
mount --bind /dev "$root/dev"
chroot "$root" sh -c 'dpkg -i /flowprobe_*-1_*.deb'
umount "$root/dev"
cp "$folder/flowprobe.toml" "$root/etc/flowprobe/flowprobe.toml"
"#;

#[test]
fn package_runs_under_systemd_and_through_an_upgrade() {
    let Some(network) = Network::new(Links::default()) else { return };
    if !support::has_tool("systemd-nspawn") {
        return support::skip("systemd-nspawn (systemd-container) is not installed");
    }
    let folder = support::scratch();
    for revision in [1, 2] {
        if package(folder.path(), revision).is_none() {
            return;
        }
    }
    fs::write(folder.path().join("flowprobe.toml"), SETTINGS).expect("the folder is ours");
    let file = support::write(&folder, "some.pcap", &frames(100));
    let mut system = System::boot(&network, folder.path(), INSTALL, &[]);
    let before = system.service();
    let mut sent = network.send_file("tx0", &file, &[]).packets;
    let settings = "/etc/flowprobe/flowprobe.toml";
    let script = format!("sed -i 's/^idle-timeout.*/idle-timeout = \"2h\"/' {settings}");
    system.run(&["sh", "-c", &script]);
    system.run(&["systemctl", "reload", "flowprobe"]);
    let journal = ["journalctl", "-u", "flowprobe", "-o", "cat"];
    system.wait_for("the new settings are in force", |system| {
        system.run(&journal).contains("idle-timeout is now 2h").then_some(())
    });
    // A mistake has its priority in the journal, and the service goes on.
    system.run(&["sh", "-c", &format!("cp {settings} /saved; echo bogus = 1 >> {settings}")]);
    system.run(&["systemctl", "reload", "flowprobe"]);
    let errors = ["journalctl", "-u", "flowprobe", "-o", "cat", "-p", "err"];
    let errors = system.wait_for("the mistake is said", |system| {
        Some(system.run(&errors)).filter(|errors| errors.contains("not applied"))
    });
    assert!(errors.contains("bogus") && !errors.contains("is now 2h"), "{errors}");
    system.run(&["cp", "/saved", settings]);
    // Flows of before the upgrade leave, and it captures again with the same settings.
    system.run(&["sh", "-c", "dpkg -i /flowprobe_*-2_*.deb"]);
    let after = system.service();
    assert_ne!(before, after);
    sent += network.send_file("tx0", &file, &[]).packets;
    let kept = system.run(&["cat", settings]);
    assert_eq!(kept, SETTINGS.replace("idle-timeout = \"1h\"", "idle-timeout = \"2h\""));
    system.run(&["systemctl", "stop", "flowprobe"]);
    let written = system.run(&["cat", "/var/lib/flowprobe/flows.json"]);
    assert_eq!(packets(&flows(written.as_bytes())), sent);
    let owner = system.run(&["stat", "-c", "%U:%G %a", "/var/lib/flowprobe/flows.json"]);
    assert_eq!(owner, "flowprobe:flowprobe 640\n");
    system.run(&["systemctl", "start", "flowprobe"]);
    system.run(&["dpkg", "-P", "flowprobe"]);
    system.run(&["sh", "-c", "test ! -e /etc/flowprobe && test ! -e /var/lib/flowprobe"]);
    system.run(&["sh", "-c", "! pidof flowprobe"]);
}
