//! The image of deploy/Containerfile, made by its steps in a root of its own: no builder of images
//! is needed.

mod support;

use std::fs;
use std::process::Command;

use nix::unistd::geteuid;

use crate::support::package::{package, said};

/// Makes the root where nobody else sees it: the base system, the package, and the steps. Then it
/// runs the image's command.
const STEPS: &str = r#"
base=$1 package=$2 settings=$3 sample=$4 steps=$5 command=$6 root=$7
mount -t tmpfs -o mode=755 tmpfs "$root"
debootstrap --variant=minbase "$base" "$root"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
cp /etc/resolv.conf "$root/etc/"
cp "$package" "$root/tmp/"
chroot "$root" sh -exc "$steps"
test -z "$(ls "$root/tmp")"
cp "$settings" "$root/etc/flowprobe/flowprobe.toml"
cp "$sample" "$root/office.pcap"
chroot "$root" sh -exc "$command --check-config"
chroot "$root" flowprobe --version
# libpcap is there.
chroot "$root" flowprobe -r /office.pcap --filter 'ip or ip6' -o json:/flows.json --quiet
chroot "$root" sh -c 'test "$(wc -l < /flows.json)" -gt 1000'
chroot "$root" sh -c 'test "$(stat -c %U /var/lib/flowprobe /run/flowprobe | uniq)" = flowprobe'
"#;

/// The rest of the lines of an instruction, with continued lines in one.
fn instruction(text: &str, name: &str) -> String {
    let text = text.replace("\\\n", " ");
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(name));
    let found = lines.next().unwrap_or_else(|| panic!("there is no {name}"));
    assert!(lines.next().is_none(), "{name} is there once");
    found.trim().to_owned()
}

/// The words of an instruction in JSON, for a shell.
fn words(text: &str, name: &str) -> String {
    let words: Vec<String> = serde_json::from_str(&instruction(text, name)).expect("a list");
    words.join(" ")
}

#[test]
#[ignore = "it loads a base system of Debian: 1 to 4 min"]
fn image_is_made_by_its_steps() {
    if !support::has_tool("debootstrap") {
        return support::skip("debootstrap is not installed");
    }
    if !geteuid().is_root() {
        return support::skip_without("root");
    }
    let folder = support::scratch();
    let Some(package) = package(folder.path(), 1) else { return };
    let file = support::root().join("deploy/Containerfile");
    let text = fs::read_to_string(file).expect("it is there");
    let base = instruction(&text, "FROM debian:");
    assert_eq!(instruction(&text, "COPY "), "flowprobe_*.deb /tmp/");
    let command = format!("{} {}", words(&text, "ENTRYPOINT "), words(&text, "CMD "));
    let system = folder.path().join("root");
    fs::create_dir(&system).expect("the folder is ours");
    let mut steps = Command::new("unshare");
    steps.args(["--mount", "--propagation", "private", "sh", "-exc", STEPS, "steps"]);
    steps.arg(base.trim_end_matches("-slim")).arg(package);
    steps.arg(support::root().join("deploy/flowprobe.toml"));
    steps.arg(support::root().join("tests/data/office.pcap"));
    steps.args([instruction(&text, "RUN "), command]).arg(system);
    said(&steps.output().expect("unshare runs"));
}
