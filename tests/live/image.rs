//! The steps of the image file, in a root of their own: a builder of images cannot be had
//! everywhere. What the image starts captures with the capabilities that the file names.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::ends::frames;
use crate::probe::Probe;
use crate::support;
use crate::support::net::{Host, Links, Network};
use crate::support::package::{package, said};

/// Runs what follows in the root that is the first argument, with the file systems of a container.
const IN_ROOT: &str = r#"
root=$1; shift
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /dev "$root/dev"
exec chroot "$root" "$@"
"#;

/// An instruction of the file, and what it is about.
type Step = (String, String);

/// The instructions, without comments.
fn steps(file: &str) -> Vec<Step> {
    let lines = file.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
    let whole = lines.replace("\\\n", " ");
    let steps = whole.lines().filter_map(|line| line.split_once(' '));
    steps.map(|(instruction, rest)| (instruction.to_owned(), rest.to_owned())).collect()
}

/// The capabilities in the comments of the file, as `setpriv` writes them.
fn capabilities(file: &str) -> String {
    let added = file.split("--cap-add ").skip(1).filter_map(|rest| rest.split_whitespace().next());
    added.map(|name| format!(",+{}", name.to_lowercase())).collect()
}

/// A command in the root, by a command that runs others.
fn within(root: &Path, mut command: Command) -> Command {
    command.args(["--mount", "sh", "-ec", IN_ROOT, "sh"]).arg(root);
    command.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C.UTF-8");
    command
}

fn words(list: &str) -> Vec<String> {
    serde_json::from_str(list).expect("a list of words")
}

/// Makes the image in a root. Returns the command that it starts.
fn build(steps: &[Step], root: &Path, package: &Path) -> Vec<String> {
    let mut starts = Vec::new();
    for (instruction, rest) in steps {
        match (instruction.as_str(), rest.split_once(' ')) {
            ("FROM", _) => {
                let release = rest.strip_prefix("debian:").and_then(|it| it.strip_suffix("-slim"));
                let release = release.expect("an image of Debian");
                let mut debootstrap = Command::new("debootstrap");
                debootstrap.args(["--variant=minbase", release]).arg(root);
                said(&debootstrap.output().expect("debootstrap runs"));
            }
            ("COPY", Some((_, folder))) => {
                let name = package.file_name().expect("it is a file");
                let to = root.join(folder.trim_start_matches('/')).join(name);
                fs::copy(package, to).expect("the package goes into the root");
            }
            ("RUN", _) => {
                let mut command = within(root, Command::new("unshare"));
                command.args(["/bin/sh", "-ec", rest]);
                said(&command.output().expect("a root can be entered"));
            }
            ("VOLUME", None) => assert!(root.join(rest.trim_start_matches('/')).is_dir()),
            ("ENTRYPOINT" | "CMD", _) => starts.extend(words(rest)),
            _ => panic!("{instruction} {rest}"),
        }
    }
    starts
}

const SETTINGS: &str = r#"
interface = "rx0"
idle-timeout = "1s"
output = "json:/var/lib/flowprobe/flows.json"
filter = "udp"
"#;

#[test]
#[ignore = "takes minutes: makes a system of Debian"]
fn image_captures_with_the_capabilities_that_its_file_names() {
    if !support::has_tool("debootstrap") {
        return support::skip("debootstrap is not installed");
    }
    let Some(network) = Network::new(Links::default()) else { return };
    let folder = support::scratch();
    let Some(package) = package(folder.path(), 1) else { return };
    let file = support::root().join("deploy/Containerfile");
    let file = fs::read_to_string(file).expect("the image has a file");
    let root = folder.path().join("root");
    let starts = build(&steps(&file), &root, &package);
    fs::write(root.join("etc/flowprobe/flowprobe.toml"), SETTINGS).expect("the folder is there");
    let ten = support::write(&folder, "ten.pcap", &frames(10));
    let mut command = within(&root, network.command(Host::Probe, "unshare"));
    command.args(["setpriv", &format!("--bounding-set=-all{}", capabilities(&file))]);
    command.args(starts).args(["--stats", "json"]);
    let mut probe = Probe::start(command);
    probe.wait_until_it_captures("rx0");
    let status = fs::read_to_string(format!("/proc/{}/status", probe.pid())).expect("it runs");
    let user = status.lines().find_map(|line| line.strip_prefix("Uid:")).expect("it has a user");
    assert_ne!(user.split_whitespace().next(), Some("0"), "{status}");
    network.send_file("tx0", &ten, &[]);
    let flows = root.join("var/lib/flowprobe/flows.json");
    probe.wait_until("the flows have left", |_| {
        fs::read(&flows).is_ok_and(|it| support::flows::flows(&it).len() == 10)
    });
    assert_eq!(probe.stop().count("metered.packets"), 10);
}
