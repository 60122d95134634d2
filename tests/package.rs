//! The Debian package: what is in it, and what dpkg does with it on a system of its own, whose root
//! is this host's with what is written in memory.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use nix::unistd::geteuid;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::package::said;

/// The first package, or the second, each made once for all tests.
fn package(revision: u32) -> Option<PathBuf> {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    static MADE: Mutex<[Option<PathBuf>; 2]> = Mutex::new([const { None }; 2]);
    let folders = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packages");
    let folder = FOLDER.get_or_init(|| support::shared_folder(&folders)).path();
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let made = &mut made[revision as usize - 1];
    if made.is_none() {
        *made = support::package::package(folder, revision);
    }
    made.clone()
}

fn dpkg_deb(arguments: &[&str], package: &Path) -> String {
    said(&Command::new("dpkg-deb").args(arguments).arg(package).output().expect("dpkg-deb runs"))
}

/// The files of a package, in a folder.
fn unpacked(package: &Path, folder: &TempDir) -> PathBuf {
    let tree = folder.path().join("unpacked");
    let mut command = Command::new("dpkg-deb");
    said(&command.arg("--extract").arg(package).arg(&tree).output().expect("dpkg-deb runs"));
    tree
}

#[test]
fn package_is_the_same_each_time() {
    let folder = support::scratch();
    let Some(first) = package(1) else { return };
    let Some(second) = support::package::package(folder.path(), 1) else { return };
    assert_eq!(first.file_name(), second.file_name());
    let [first, second] = [first, second].map(|path| fs::read(path).unwrap());
    assert!(first == second, "the packages differ");
}

#[test]
fn package_has_what_a_service_needs() {
    let folder = support::scratch();
    let Some(package) = package(1) else { return };
    let field = |name| {
        dpkg_deb(&["--field"], &package)
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned))
    };
    assert_eq!(field("Version").unwrap(), format!("{}-1", env!("CARGO_PKG_VERSION")));
    assert!(field("Depends").unwrap().contains("libc6 (>= "), "{:?}", field("Depends"));
    let contents = dpkg_deb(&["--contents"], &package);
    for line in contents.lines() {
        assert!(line.contains(" root/root "), "{line}");
        let is_for_all = ["-rw-r--r--", "-rwxr-xr-x", "drwxr-xr-x"];
        assert!(is_for_all.iter().any(|mode| line.starts_with(mode)), "{line}");
    }
    let tree = unpacked(&package, &folder);
    let settings = fs::read(tree.join("etc/flowprobe/flowprobe.toml")).unwrap();
    assert_eq!(settings, fs::read(support::root().join("deploy/flowprobe.toml")).unwrap());
    for unit in ["flowprobe.service", "flowprobe-collect.service"] {
        let unit = fs::read_to_string(tree.join("usr/lib/systemd/system").join(unit)).unwrap();
        assert!(unit.contains("\nUser=flowprobe\n") && !unit.contains("DynamicUser"), "{unit}");
        assert!(unit.contains("\nExecStart=/usr/bin/flowprobe "), "{unit}");
    }
    let path = "usr/share/doc/flowprobe/sbom.cdx.json";
    check_materials(&serde_json::from_slice(&fs::read(tree.join(path)).unwrap()).unwrap());
}

/// What is known of each library: its licence, and of one from a registry its checksum.
fn check_materials(sbom: &Value) {
    assert_eq!((&sbom["bomFormat"], &sbom["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    let components = sbom["components"].as_array().unwrap();
    let named = |name: &str| components.iter().find(|it| it["name"] == name);
    for component in components {
        assert!(component["licenses"][0]["expression"].is_string(), "{component}");
    }
    let hash = named("ring").expect("TLS is by ring")["hashes"][0]["content"].as_str();
    assert_eq!(hash.map(str::len), Some(64));
    assert!(named("flow").is_some() && named("headless_chrome").is_none(), "tests are not in it");
    let known = |id: &Value| {
        *id == sbom["metadata"]["component"]["bom-ref"]
            || components.iter().any(|it| it["bom-ref"] == *id)
    };
    for node in sbom["dependencies"].as_array().unwrap() {
        let on = node["dependsOn"].as_array().unwrap();
        assert!(known(&node["ref"]) && on.iter().all(known), "{node}");
    }
}

/// Of 10; systemd calls up to 3 "OK".
const EXPOSURE_MAX_TENTHS: u32 = 30;

#[test]
fn unit_of_the_package_has_few_rights() {
    if !support::has_tool("systemd-analyze") {
        return support::skip("systemd-analyze (systemd) is not installed");
    }
    let folder = support::scratch();
    let Some(package) = package(1) else { return };
    let unit = unpacked(&package, &folder).join("usr/lib/systemd/system/flowprobe.service");
    let mut analyze = Command::new("systemd-analyze");
    analyze.args(["security", "--offline=true", "--no-pager"]);
    analyze.arg(format!("--threshold={EXPOSURE_MAX_TENTHS}")).arg(unit);
    let said = said(&analyze.output().expect("systemd-analyze runs"));
    assert!(said.contains("Overall exposure level"), "{said}");
}

/// Makes the root where nobody else sees it, and runs the script of its second argument there, with
/// the files of the others in its root folder.
const IN_ROOT: &str = r#"
system=$1 script=$2; shift 2
mount -t tmpfs tmpfs "$system"
root=$system/root
mkdir "$system/written" "$system/work" "$root"
mount -t overlay overlay \
    -o "lowerdir=/,upperdir=$system/written,workdir=$system/work" "$root"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
# Some images leave manuals out.
rm -rf "$root/etc/dpkg/dpkg.cfg.d"
cp "$@" "$root/"
exec chroot "$root" /bin/sh -exc "$script"
"#;

/// A life of the package. `dpkg --verify` names files that are not as the package has them.
const LIFE: &str = r#"
dpkg -i /flowprobe_*-1_*.deb
test "$(dpkg --verify flowprobe)" = ""
flowprobe --version
flowprobe --config /etc/flowprobe/flowprobe.toml --check-config
install -d /var/lib/flowprobe-collect
flowprobe collect --config /etc/flowprobe/collect.toml --check-config
test -e /usr/share/doc/flowprobe/docs/operating.md
getent passwd flowprobe | grep ':/nonexistent:/usr/sbin/nologin$'
getent group flowprobe
zcat /usr/share/man/man1/flowprobe.1.gz | grep '^.TH flowprobe'
bash -n /usr/share/bash-completion/completions/flowprobe
test ! -e /etc/systemd/system/multi-user.target.wants/flowprobe.service

install -d -o flowprobe -g flowprobe -m 0750 /var/lib/flowprobe
setpriv --reuid=flowprobe --regid=flowprobe --clear-groups \
    flowprobe -r /office.pcap -o json:/var/lib/flowprobe/flows.json --quiet
test "$(wc -l < /var/lib/flowprobe/flows.json)" = 4590

echo '# mine' >> /etc/flowprobe/flowprobe.toml
dpkg -i /flowprobe_*-2_*.deb
test "$(dpkg-query -W -f '${Version}' flowprobe)" = "$(flowprobe --version | cut -d ' ' -f 2)-2"
grep -x '# mine' /etc/flowprobe/flowprobe.toml

dpkg -r flowprobe
test ! -e /usr/bin/flowprobe
grep -x '# mine' /etc/flowprobe/flowprobe.toml
test -e /var/lib/flowprobe/flows.json
dpkg -i /flowprobe_*-2_*.deb
grep -x '# mine' /etc/flowprobe/flowprobe.toml

dpkg -P flowprobe
test ! -e /etc/flowprobe
test ! -e /var/lib/flowprobe
test ! -e /var/lib/flowprobe-collect
test ! -e /usr/share/doc/flowprobe
getent passwd flowprobe
if dpkg -s flowprobe; then exit 1; fi
echo lived
"#;

#[test]
fn package_is_installed_upgraded_removed_and_purged() {
    if !geteuid().is_root() {
        return support::skip_without("root");
    }
    let folder = support::scratch();
    let Some(first) = package(1) else { return };
    let Some(second) = package(2) else { return };
    let system = folder.path().join("system");
    fs::create_dir(&system).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-ec", IN_ROOT, "sh"]).arg(&system).arg(LIFE);
    command.args([first, second]).arg(support::office());
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    assert!(said(&command.output().expect("unshare runs")).ends_with("lived\n"));
}
