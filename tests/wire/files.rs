//! Files of a live run: they are appended to, cut by other programs, and found unfinished.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use exporter::{Context, Destination, Exporter, Patience};
use flow::{Batch, Timestamp};

use crate::collector::{context, open};
use crate::record::{DAY, T0, udp4};
use crate::support::ipfix::session;
use crate::support::{documents, scratch, write};

const SCHEMES: [&str; 2] = ["json", "ipfix-file"];

fn live() -> Context {
    Context {
        patience: Patience::GoOn,
        uptime_start: Some(Timestamp::from_millis(T0)),
        ..context()
    }
}

/// Gives the output so many records, and time to write them.
fn export(exporter: &mut dyn Exporter, records: usize, now: u64) {
    exporter.export(&Batch::from(&vec![udp4(now); records][..])).unwrap();
    exporter.tick(Timestamp::from_millis(now)).unwrap();
}

/// One whole run.
fn run(url: &str, records: usize) {
    let mut exporter = open(url, &live());
    export(&mut *exporter, records, T0);
    exporter.finish().unwrap();
}

/// Flows in a file, all of which can be read: of messages, their templates are in it.
fn flows(scheme: &str, path: &Path) -> usize {
    let octets = fs::read(path).unwrap();
    if scheme == "json" {
        return documents(&octets).len();
    }
    session(&octets).iter().map(|message| message.flows().count()).sum()
}

#[test]
fn a_file_grows_from_run_to_run() {
    let folder = scratch();
    for scheme in SCHEMES {
        let path = folder.path().join(scheme);
        for run_number in 1..=3 {
            run(&format!("{scheme}:{}", path.display()), 5);
            assert_eq!(flows(scheme, &path), 5 * run_number, "{scheme}");
        }
    }
}

#[test]
fn a_replay_writes_its_file_anew() {
    let folder = scratch();
    for scheme in SCHEMES {
        let path = write(&folder, scheme, &[b'x'; 100_000]);
        let url = format!("{scheme}:{}", path.display());
        for _ in 0..2 {
            let mut exporter = open(&url, &context());
            let before = fs::metadata(&path).unwrap().len();
            assert!(before > 0, "it is not emptied before there is something to write");
            exporter.export(&Batch::from(&[udp4(T0); 3][..])).unwrap();
            exporter.finish().unwrap();
            assert_eq!(flows(scheme, &path), 3, "{scheme}");
        }
    }
}

#[test]
fn an_unfinished_end_is_removed() {
    let folder = scratch();
    for scheme in SCHEMES {
        let path = folder.path().join(scheme);
        let url = format!("{scheme}:{}", path.display());
        run(&url, 5);
        let one = fs::read(&path).unwrap();
        // Killed anywhere in the second run, also before its first octet.
        for part in [1, 3, one.len() / 2, one.len() - 1] {
            fs::write(&path, [&one[..], &one[..part]].concat()).unwrap();
            let before = flows_of_whole(scheme, &one, part);
            run(&url, 2);
            assert_eq!(flows(scheme, &path), 5 + before + 2, "{scheme}, {part}");
        }
    }
}

/// Flows in the whole documents or messages of a part.
fn flows_of_whole(scheme: &str, octets: &[u8], part: usize) -> usize {
    let part = &octets[..part];
    if scheme == "json" {
        return part.iter().filter(|&&octet| octet == b'\n').count();
    }
    let whole = crate::support::ipfix::whole_messages(part);
    session(whole).iter().map(|message| message.flows().count()).sum()
}

#[test]
fn what_is_not_ours_stays() {
    let folder = scratch();
    let path = write(&folder, "notes", b"a note without a line end");
    run(&format!("json:{}", path.display()), 1);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("a note without a line end\n{"), "{text}");
    // A file of messages has nothing else in it.
    let before = fs::read(&path).unwrap();
    let destination: Destination = format!("ipfix-file:{}", path.display()).parse().unwrap();
    let error = destination.open(&live()).err().unwrap().to_string();
    assert!(error.contains("something else than IPFIX messages"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_file_that_is_cut_has_no_hole_and_can_be_read() {
    let folder = scratch();
    for scheme in SCHEMES {
        for context in [live(), context()] {
            let path = folder.path().join(scheme);
            let copy = folder.path().join("copy");
            let mut exporter = open(&format!("{scheme}:{}", path.display()), &context);
            export(&mut *exporter, 300, T0);
            fs::copy(&path, &copy).unwrap();
            OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
            export(&mut *exporter, 20, T0 + 1000);
            exporter.finish().unwrap();
            assert_eq!(flows(scheme, &copy), 300, "{scheme}");
            assert_eq!(flows(scheme, &path), 20, "{scheme}");
            fs::remove_file(&path).unwrap();
        }
    }
}

#[test]
fn what_another_program_appends_stays() {
    let folder = scratch();
    let path = folder.path().join("shared");
    let mut exporter = open(&format!("json:{}", path.display()), &live());
    export(&mut *exporter, 1, T0);
    OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{}\n").unwrap();
    export(&mut *exporter, 1, T0 + 1000);
    exporter.finish().unwrap();
    assert_eq!(flows("json", &path), 3);
}

/// The files of a folder in the order of their names, and the flows in each.
fn files(scheme: &str, folder: &Path) -> Vec<(String, usize)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let mut files: Vec<_> = entries.map(|path| (name(&path), flows(scheme, &path))).collect();
    files.sort();
    files
}

fn names(files: &[(String, usize)]) -> Vec<&str> {
    files.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn a_file_that_was_moved_is_left_and_made_again() {
    for scheme in SCHEMES {
        let folder = scratch();
        let [path, moved] = ["flows", "moved"].map(|name| folder.path().join(name));
        let mut exporter = open(&format!("{scheme}:{}", path.display()), &live());
        export(&mut *exporter, 7, T0);
        fs::rename(&path, &moved).unwrap();
        // It is not looked for before it is asked to.
        export(&mut *exporter, 3, T0 + 500);
        // What was gathered belongs to the old file.
        exporter.export(&Batch::from(&[udp4(T0); 2][..])).unwrap();
        exporter.reopen().unwrap();
        assert_eq!(flows(scheme, &moved), 12, "{scheme}: it is whole at once");
        export(&mut *exporter, 5, T0 + 1000);
        // To open the same file again does no harm.
        exporter.reopen().unwrap();
        export(&mut *exporter, 1, T0 + 1500);
        exporter.finish().unwrap();
        assert_eq!(flows(scheme, &moved), 12, "{scheme}");
        assert_eq!(flows(scheme, &path), 6, "{scheme}");
        assert_eq!(exporter.counts().sent.records, 18);
    }
}

#[test]
fn a_file_that_cannot_be_made_again_goes_on() {
    for scheme in SCHEMES {
        let folder = scratch();
        let [inner, moved] = ["inner", "moved"].map(|name| folder.path().join(name));
        fs::create_dir(&inner).unwrap();
        let path = inner.join("flows");
        let mut exporter = open(&format!("{scheme}:{}", path.display()), &live());
        export(&mut *exporter, 4, T0);
        fs::rename(&inner, &moved).unwrap();
        exporter.reopen().unwrap();
        // A pipe in its place would make it wait for a reader.
        fs::create_dir(&inner).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        exporter.reopen().unwrap();
        export(&mut *exporter, 2, T0 + 1000);
        exporter.finish().unwrap();
        assert_eq!(flows(scheme, &moved.join("flows")), 6, "{scheme}");
        assert_eq!(exporter.counts().failed.records, 0);
    }
}

/// T0 is 07:08:09.
#[test]
fn files_follow_each_other_by_time() {
    for scheme in SCHEMES {
        for context in [live(), context()] {
            let folder = scratch();
            let pattern = folder.path().join("flows-%H%M%S");
            let mut exporter =
                open(&format!("{scheme}:{}?rotate=10s", pattern.display()), &context);
            for second in [0, 0, 5, 11, 12] {
                export(&mut *exporter, 2, T0 + second * 1000);
            }
            // Without a flow, a file is complete when its time is over.
            exporter.export(&Batch::from(&[udp4(T0 + 12_000); 1][..])).unwrap();
            exporter.tick(Timestamp::from_millis(T0 + 21_000)).unwrap();
            let so_far = files(scheme, folder.path());
            assert_eq!(
                names(&so_far),
                ["flows-070800", "flows-070810", "flows-070820", "flows-070830"]
            );
            exporter.finish().unwrap();
            let files = files(scheme, folder.path());
            let flows: Vec<_> = files.iter().map(|(_, flows)| *flows).collect();
            assert_eq!(flows, [4, 2, 5, 0], "{scheme}");
            assert_eq!(flows, so_far.iter().map(|(_, flows)| *flows).collect::<Vec<_>>());
            assert_eq!(exporter.counts().sent.records, 11);
        }
    }
}

#[test]
fn a_file_of_the_same_time_is_appended_to_live_and_made_anew_in_a_replay() {
    for scheme in SCHEMES {
        for (context, flows) in [(live(), 6), (context(), 3)] {
            let folder = scratch();
            let url = format!("{scheme}:{}?rotate=1h", folder.path().join("%H").display());
            for _ in 0..2 {
                let mut exporter = open(&url, &context);
                export(&mut *exporter, 3, T0);
                exporter.finish().unwrap();
            }
            assert_eq!(files(scheme, folder.path()), [("07".to_owned(), flows)], "{scheme}");
        }
    }
}

#[test]
fn files_follow_each_other_by_size() {
    const OCTETS_MAX: u64 = 10_000;
    for scheme in SCHEMES {
        for context in [live(), context()] {
            let folder = scratch();
            let url = format!("{scheme}:{}?rotate=10kB", folder.path().join("flows").display());
            let mut given = 0;
            for run in 0..3 {
                let mut exporter = open(&url, &context);
                for _ in 0..100 {
                    export(&mut *exporter, 3, T0 + run * DAY);
                    given += 3;
                }
                exporter.finish().unwrap();
                assert_eq!(exporter.counts().sent.records, 300);
            }
            let files = files(scheme, folder.path());
            assert!(files.len() > 3, "{files:?}");
            assert_eq!(files.iter().map(|(_, flows)| flows).sum::<usize>(), given, "{scheme}");
            for (name, _) in &files {
                // T0, or a number behind it.
                assert!(name.contains("-070809"), "{name}");
                let octets = fs::metadata(folder.path().join(name)).unwrap().len();
                // One document or message, and the final counts, may be beyond.
                assert!(octets < OCTETS_MAX + 8192 + 500, "{name}: {octets}");
            }
        }
    }
}

#[test]
fn folders_may_have_a_time_too() {
    let folder = scratch();
    let pattern = folder.path().join("%Y/%m/flows");
    let mut exporter = open(&format!("json:{}?rotate=1day", pattern.display()), &live());
    export(&mut *exporter, 1, T0);
    // 45 days on is another month.
    export(&mut *exporter, 2, T0 + 45 * DAY);
    exporter.finish().unwrap();
    let flows = |month| files("json", &folder.path().join("2024").join(month))[0].1;
    assert_eq!((flows("05"), flows("06")), (1, 2));
}

#[test]
fn live_files_that_are_full_are_not_appended_to() {
    let folder = scratch();
    let url = format!("json:{}?rotate=3kB", folder.path().join("flows-%Y").display());
    write(&folder, "flows-2024", &[b'\n'; 3000]);
    write(&folder, "flows-2024-1", b"{}\n");
    run(&url, 1);
    let files = files("json", folder.path());
    let expected = [("flows-2024", 0), ("flows-2024-1", 2)].map(|(name, n)| (name.to_owned(), n));
    assert_eq!(files, expected);
}

#[test]
fn times_of_files_that_make_no_sense_are_refused() {
    for (url, words) in [
        ("json:-?rotate=1h", "rotate needs a file"),
        ("json:x-%!?rotate=1h", "x-%!"),
        ("json:x?rotate=1", "rotate=1 is not whole seconds or a size"),
        ("json:x?rotate=100ms", "is not whole seconds or a size"),
        ("ipfix://h?rotate=1h", "not a setting"),
    ] {
        let error = url.parse::<Destination>().err().unwrap();
        assert!(error.contains(words), "{url}: {error}");
    }
    // Without rotation a name is what it is.
    let folder = scratch();
    let path = folder.path().join("100%-%Y");
    run(&format!("json:{}", path.display()), 1);
    assert!(path.exists());
}

/// The time of day may be set back.
#[test]
fn a_file_that_is_left_is_not_written_again() {
    for scheme in SCHEMES {
        let folder = scratch();
        let url = format!("{scheme}:{}?rotate=10s", folder.path().join("flows-%H%M%S").display());
        let mut exporter = open(&url, &live());
        for second in [0, 11, 1, 12] {
            export(&mut *exporter, 2, T0 + second * 1000);
        }
        exporter.finish().unwrap();
        let files = files(scheme, folder.path());
        assert_eq!(files.iter().map(|(_, flows)| flows).sum::<usize>(), 8, "{files:?}");
        assert_eq!(files[0], ("flows-070800".to_owned(), 2));
    }
}

#[test]
fn outputs_of_a_run_do_not_share_a_file() {
    for scheme in SCHEMES {
        let folder = scratch();
        let context = live();
        let url = |name: &str| format!("{scheme}:{}", folder.path().join(name).display());
        let mut plain = open(&url("flows-2024"), &context);
        let mut named = open(&format!("{}?rotate=1day", url("flows-%Y")), &context);
        export(&mut *plain, 1, T0);
        export(&mut *named, 2, T0);
        // An output that was moved away and comes back under the name of another one stays.
        let link = folder.path().join("link");
        fs::write(&link, "").unwrap();
        let mut third = open(&url("link"), &context);
        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink("flows-2024", &link).unwrap();
        third.reopen().unwrap();
        export(&mut *third, 4, T0);
        for exporter in [&mut plain, &mut named, &mut third] {
            exporter.finish().unwrap();
        }
        assert_eq!(flows(scheme, &folder.path().join("flows-2024")), 1, "{scheme}");
        assert_eq!(flows(scheme, &folder.path().join("flows-2024-1")), 2, "{scheme}");
    }
}
