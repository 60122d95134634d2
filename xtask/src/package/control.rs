//! What dpkg reads of the package: its name and needs, its settings files, scripts and sums.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::tree::Tree;
use super::{printed, source};

/// Its settings, which an upgrade leaves as they are.
const CONFFILES: &str = "/etc/flowprobe/flowprobe.toml\n/etc/flowprobe/collect.toml\n";

const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

/// Octets of a unit of `Installed-Size`.
const KIB: u64 = 1024;

pub(super) fn write(tree: &Tree, version: &str, architecture: &str) -> Result<()> {
    for script in SCRIPTS {
        let content = source(&format!("deploy/debian/{script}"))?;
        tree.add_with(&format!("DEBIAN/{script}"), &content, 0o755)?;
    }
    tree.add("DEBIAN/conffiles", CONFFILES.as_bytes())?;
    tree.add("DEBIAN/md5sums", sums(tree)?.as_bytes())?;
    let libraries = libraries(tree)?;
    let size = installed_size(tree)?;
    let text = format!(
        "Package: flowprobe
Version: {version}
Architecture: {architecture}
Maintainer: The flowprobe authors <flowprobe@users.noreply.github.com>
Installed-Size: {size}
Depends: {libraries}, passwd
Recommends: libpcap0.8
Suggests: ethtool
Section: net
Priority: optional
Homepage: https://github.com/flowprobe/flowprobe
Description: flow probe: NetFlow v5, v9, IPFIX and JSON from packets
 flowprobe meters the flows of a mirror port, past the host's network stack, or
 of capture files, and sends them to collectors, into files, into Elasticsearch
 or OpenSearch. It accounts for every packet and every record.
 .
 The service is not started before its settings are made:
 /etc/flowprobe/flowprobe.toml
"
    );
    tree.add("DEBIAN/control", text.as_bytes())
}

/// The packages of the libraries that the program needs, in the versions that it needs.
fn libraries(tree: &Tree) -> Result<String> {
    // The tool wants the folder of a source package.
    let folder = tree.path().with_extension("libraries");
    let made = fs::create_dir_all(folder.join("debian"));
    made.with_context(|| format!("making {}", folder.display()))?;
    let control = "Source: flowprobe\n\nPackage: flowprobe\nArchitecture: any\n";
    fs::write(folder.join("debian/control"), control).context("writing debian/control")?;
    let program = fs::canonicalize(tree.path().join("usr/bin/flowprobe"))?;
    let mut command = Command::new("dpkg-shlibdeps");
    let said = printed(command.arg("-O").arg(program).current_dir(&folder));
    fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    let said = said?;
    let needs = said.strip_prefix("shlibs:Depends=").context("dpkg-shlibdeps says no needs")?;
    Ok(needs.to_owned())
}

/// By which `dpkg --verify` knows changed files.
fn sums(tree: &Tree) -> Result<String> {
    let files = tree.files()?;
    let files = files.iter().filter(|path| !path.starts_with("etc"));
    let sums = printed(Command::new("md5sum").args(files).current_dir(tree.path()))?;
    Ok(sums + "\n")
}

/// In KiB. Each file takes whole ones.
fn installed_size(tree: &Tree) -> Result<u64> {
    let octets = |path: &Path| Ok(fs::metadata(tree.path().join(path))?.len());
    let sizes: Result<Vec<u64>> = tree.files()?.iter().map(|path| octets(path)).collect();
    Ok(sizes?.into_iter().map(|size| size.div_ceil(KIB)).sum())
}
