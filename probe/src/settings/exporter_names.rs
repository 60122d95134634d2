//! The file of `--exporters-file`: what the user calls exporters.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use collect::ExporterNames;
use exporter::sentence;

/// Most octets of the file.
const OCTETS_MAX: u64 = 64 << 20;

/// Most octets of a name.
const NAME_MAX: usize = 255;

/// Reads the file: an address and a name a line. Empty lines and those with `#` have no meaning.
///
/// # Errors
///
/// The file cannot be read, or a line is wrong; in one sentence.
pub(super) fn read(path: &Path) -> Result<ExporterNames, String> {
    let shown = path.display();
    let problem = |problem| format!("--exporters-file {shown}: {}", sentence(&problem));
    if path.metadata().map_err(problem)?.len() > OCTETS_MAX {
        return Err(format!("--exporters-file {shown}: it has more than 64 MiB"));
    }
    let text = fs::read_to_string(path).map_err(problem)?;
    let mut names = ExporterNames::new();
    for (line, number) in text.lines().zip(1_u32..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let named = named(line).ok_or_else(|| {
            format!("--exporters-file {shown}, line {number}: ADDRESS NAME is needed")
        })?;
        if names.insert(named.0, named.1.into()).is_some() {
            return Err(format!("--exporters-file {shown}, line {number}: this address is twice"));
        }
    }
    Ok(names)
}

fn named(line: &str) -> Option<(IpAddr, &str)> {
    let (address, name) = line.split_once(char::is_whitespace)?;
    let address: IpAddr = address.parse().ok()?;
    let name = name.trim();
    let is_name = name.len() <= NAME_MAX && !name.contains(char::is_control);
    is_name.then_some((address.to_canonical(), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_an_address_and_a_name() {
        let address = |text: &str| text.parse().unwrap();
        assert_eq!(named("192.0.2.1 edge 1"), Some((address("192.0.2.1"), "edge 1")));
        assert_eq!(named("::ffff:192.0.2.1\t edge"), Some((address("192.0.2.1"), "edge")));
        for wrong in ["192.0.2.1", "edge 192.0.2.1", "192.0.2.1 a\u{7}"] {
            assert_eq!(named(wrong), None, "{wrong}");
        }
        assert_eq!(named(&format!("::1 {}", "x".repeat(256))), None);
    }
}
