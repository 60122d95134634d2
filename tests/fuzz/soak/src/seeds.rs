//! Cases to begin with: files of the corpus, and captures of the datagrams of exporters.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use flow::{Frame, LinkType, ObservationPoint, Timestamp, Tpids, datagram};

use crate::case::{Case, OCTETS_MAX, Part};
use crate::choose::Choose;
use crate::random::Random;

/// What cases are made of.
#[derive(Debug, Default)]
pub(crate) struct Seeds {
    cases: Vec<Case>,
    /// Captures that belong together.
    captures: Vec<Capture>,
}

/// The datagrams of a capture. Those with templates are first.
#[derive(Debug, Default)]
struct Capture {
    name: String,
    templates: Vec<Vec<u8>>,
    others: Vec<Vec<u8>>,
}

/// Octets of the headers of a classic capture file, and of each of its frames.
const FILE_HEADER: usize = 24;
const FRAME_HEADER: usize = 16;

impl Seeds {
    /// Reads all files below these folders.
    ///
    /// # Errors
    ///
    /// A folder or a file cannot be read.
    pub(crate) fn read(folders: &[PathBuf]) -> io::Result<Self> {
        let mut paths = Vec::new();
        for folder in folders {
            find(folder, &mut paths)?;
        }
        paths.sort();
        let mut seeds = Self::default();
        for path in paths {
            let octets = fs::read(&path)?;
            match path.extension().and_then(|it| it.to_str()) {
                Some("pcap") => seeds.add_capture(&path, &octets),
                None => seeds.cases.push(Case::of(&octets)),
                Some(_) => {}
            }
        }
        seeds.captures.retain(|it| !it.templates.is_empty() || !it.others.is_empty());
        Ok(seeds)
    }

    /// Number of cases and of captures.
    pub(crate) fn len(&self) -> (usize, usize) {
        (self.cases.len(), self.captures.len())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.cases.is_empty() && self.captures.is_empty()
    }

    /// One of the cases, or some datagrams of a capture, behind some of its templates.
    pub(crate) fn case(&self, random: &mut Random) -> Case {
        let of_cases = self.captures.is_empty() || random.below(3) == 0;
        let mut case = match random.pick(&self.cases) {
            Some(case) if of_cases => case.clone(),
            _ => Case::default(),
        };
        if random.below(2) == 0 {
            case.settings = random.octet();
        }
        if case.parts.is_empty()
            && let Some(capture) = random.pick(&self.captures)
        {
            let exporter = random.octet();
            let mut add = |from: &[Vec<u8>], count: u64, random: &mut Random| {
                for octets in (0..count).filter_map(|_| random.pick(from)) {
                    case.parts.push(Part { exporter, after: 0, octets: octets.clone() });
                }
            };
            let templates = random.below(3);
            add(&capture.templates, templates, random);
            let others = 1 + random.below(2);
            add(&capture.others, others, random);
        }
        case
    }

    /// A datagram of any of them.
    pub(crate) fn datagram(&self, random: &mut Random) -> Vec<u8> {
        let of_cases = self.captures.is_empty() || random.one_in(3);
        let octets = if of_cases && let Some(case) = random.pick(&self.cases) {
            random.pick(&case.parts).map(|part| &part.octets)
        } else {
            random.pick(&self.captures).and_then(|capture| {
                let (one, other) = (&capture.templates, &capture.others);
                let is_other = one.is_empty() || !other.is_empty() && random.one_in(2);
                random.pick(if is_other { other } else { one })
            })
        };
        octets.cloned().unwrap_or_default()
    }

    /// Files `X-template.pcap` and `X-data.pcap` are one capture.
    fn add_capture(&mut self, path: &Path, file: &[u8]) {
        let whole = path.with_extension("").display().to_string();
        let stem = whole.strip_suffix("template").or_else(|| whole.strip_suffix("data"));
        let name = stem.unwrap_or(&whole).to_owned();
        let place = self.captures.iter().position(|it| it.name == name);
        let place = place.unwrap_or_else(|| {
            self.captures.push(Capture { name, ..Capture::default() });
            self.captures.len() - 1
        });
        let capture = &mut self.captures[place];
        for octets in datagrams(file).filter(|octets| octets.len() <= OCTETS_MAX) {
            let into =
                if has_templates(octets) { &mut capture.templates } else { &mut capture.others };
            into.push(octets.to_vec());
        }
    }
}

fn find(path: &Path, into: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            find(&entry?.path(), into)?;
        }
    } else {
        into.push(path.to_owned());
    }
    Ok(())
}

/// The UDP datagrams of a classic capture file in either order of octets.
fn datagrams(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_little = file.first().is_some_and(|first| *first != 0xa1);
    let number = move |at: &[u8]| {
        let octets: [u8; 4] = at.get(..4)?.try_into().ok()?;
        Some(if is_little { u32::from_le_bytes(octets) } else { u32::from_be_bytes(octets) })
    };
    let link_type = file.get(20..).and_then(number).and_then(|it| u16::try_from(it).ok());
    let link_type = link_type.map_or(LinkType::Ethernet, LinkType::from_number);
    let mut rest = file.get(FILE_HEADER..).unwrap_or_default();
    std::iter::from_fn(move || {
        let length = usize::try_from(number(rest.get(8..)?)?).ok()?;
        let wire_length = number(rest.get(12..)?)?;
        let data = rest.get(FRAME_HEADER..FRAME_HEADER + length)?;
        rest = &rest[FRAME_HEADER + length..];
        let (time, point) = (Timestamp::default(), ObservationPoint::default());
        Some(Frame { data, wire_length, time, point, link_type })
    })
    .filter_map(|frame| datagram(&frame, Tpids::default()).ok().map(|it| it.payload))
}

/// Whether a message of NetFlow v9 or IPFIX begins with a set of templates.
fn has_templates(octets: &[u8]) -> bool {
    let header = match octets {
        [0, 9, ..] => 20,
        [0, 10, ..] => 16,
        _ => return false,
    };
    matches!(octets.get(header..), Some([0, 0..=3, ..]))
}
