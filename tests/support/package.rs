//! The Debian package of the program that the tests run.

use std::path::{Path, PathBuf};
use std::process::Output;

/// Makes the package with this revision. `None`, and said, if its tools are not here.
#[track_caller]
pub fn package(folder: &Path, revision: u32) -> Option<PathBuf> {
    for tool in ["dpkg-deb", "dpkg-shlibdeps", "strip"] {
        if !super::has_tool(tool) {
            super::skip(&format!("{tool} (dpkg-dev, binutils) is not installed"));
            return None;
        }
    }
    let out = folder.join(format!("out{revision}"));
    let mut command = super::cargo();
    command.args(["xtask", "package", "--revision", &revision.to_string()]);
    command.arg("--out").arg(&out).arg("--program").arg(super::flowprobe().get_program());
    let output = command.output().expect("cargo runs");
    let path = said(&output).lines().last().map(PathBuf::from).expect("the name of the package");
    assert!(path.is_file() && path.starts_with(&out), "{}", path.display());
    Some(path)
}

/// What a command printed that succeeded.
#[track_caller]
pub fn said(output: &Output) -> String {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}
