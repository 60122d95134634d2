//! The page in a real browser: what it shows, how it looks, and a console without messages.

use std::collections::HashMap;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use headless_chrome::browser::tab::Tab;
use headless_chrome::protocol::cdp::types::Event;
use headless_chrome::protocol::cdp::{Emulation, Log, Page, Runtime};
use headless_chrome::{Browser, LaunchOptions};
use serde_json::Value;
use tempfile::TempDir;

use crate::client::Shown;
use crate::support::capture::{Captured, pcap};
use crate::support::{self, packet, payload, tunnel};

const PATIENCE: Duration = Duration::from_secs(20);

/// A browser with one page, and what was said on its console.
pub struct Seen {
    tab: Arc<Tab>,
    said: Arc<Mutex<Vec<String>>>,
    /// It ends when it is dropped.
    _browser: Browser,
    /// What it leaves behind.
    _folder: TempDir,
}

impl Seen {
    /// Opens a page, if there is a browser.
    pub fn open(page: &Shown) -> Option<Self> {
        if !support::has_tool("chromium") {
            support::skip("chromium is not installed");
            return None;
        }
        let folder = support::scratch();
        let temporary = ("TMPDIR".to_owned(), folder.path().display().to_string());
        let options = LaunchOptions {
            process_envs: Some(HashMap::from([temporary])),
            // As root the browser has no sandbox.
            sandbox: false,
            window_size: Some((1300, 900)),
            idle_browser_timeout: Duration::from_secs(120),
            ..LaunchOptions::default()
        };
        let browser = Browser::new(options).expect("the browser starts");
        let tab = browser.new_tab().expect("the browser has a tab");
        tab.call_method(Log::Enable(None)).expect("the browser tells of its log");
        tab.call_method(Runtime::Enable(None)).expect("the browser tells of its console");
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let ear = Arc::clone(&said);
        let listener = move |event: &Event| {
            let words = match event {
                Event::LogEntryAdded(entry) => format!("{:?}", entry.params.entry),
                Event::RuntimeConsoleAPICalled(call) => format!("{:?}", call.params.args),
                Event::RuntimeExceptionThrown(thrown) => format!("{:?}", thrown.params),
                _ => return,
            };
            ear.lock().unwrap_or_else(PoisonError::into_inner).push(words);
        };
        tab.add_event_listener(Arc::new(listener)).expect("the browser tells of events");
        tab.navigate_to(&format!("http://{}/", page.address)).expect("the page can be opened");
        tab.wait_until_navigated().expect("the page is there");
        Some(Self { tab, said, _browser: browser, _folder: folder })
    }

    pub fn evaluate(&self, script: &str) -> Value {
        let result = self.tab.evaluate(script, true).expect("a script runs");
        result.value.unwrap_or(Value::Null)
    }

    /// The text of an element.
    fn text(&self, selector: &str) -> String {
        let script = format!("document.querySelector({selector:?})?.innerText ?? ''");
        self.evaluate(&script).as_str().unwrap_or_default().to_owned()
    }

    pub fn wait_for(&self, selector: &str, words: &str) -> String {
        let begin = Instant::now();
        loop {
            let text = self.text(selector);
            if text.contains(words) {
                return text;
            }
            assert!(begin.elapsed() < PATIENCE, "no {words:?} in {selector}: {text}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn go(&self, part: &str) {
        self.evaluate(&format!("location.hash = {part:?}"));
    }

    /// Writes what it looks like to target/, for people.
    pub fn picture(&self, name: &str) {
        let format = Page::CaptureScreenshotFormatOption::Png;
        let picture = self.tab.capture_screenshot(format, None, None, true).expect("a picture");
        let folder = support::root().join("target/page");
        fs::create_dir_all(&folder).expect("a folder for pictures");
        fs::write(folder.join(format!("{name}.png")), picture).expect("a picture can be written");
    }

    /// The same at three widths, in light and dark; nothing is wider than the window.
    pub fn pictures(&self, name: &str) {
        for (width, screen) in [(400, "telephone"), (800, "tablet"), (1400, "desk")] {
            for (dark, scheme) in [(false, "light"), (true, "dark")] {
                self.set_width(width, dark);
                thread::sleep(Duration::from_millis(300));
                let overflow =
                    self.evaluate("document.documentElement.scrollWidth - window.innerWidth");
                assert!(overflow.as_i64().is_some_and(|it| it <= 0), "{name} {screen}: {overflow}");
                self.picture(&format!("{name}-{screen}-{scheme}"));
            }
        }
    }

    pub fn assert_silent(&self) {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(said.is_empty(), "{said:?}");
    }

    /// No markup of a name is an element.
    pub fn assert_is_text(&self) {
        assert_eq!(self.evaluate("document.querySelectorAll('img, u').length"), 0);
        assert_eq!(self.evaluate("document.title"), "flowprobe");
        self.assert_silent();
    }

    fn set_width(&self, width: u32, dark: bool) {
        self.tab
            .call_method(Emulation::SetDeviceMetricsOverride {
                width,
                height: 900,
                device_scale_factor: 1.0,
                mobile: width < 600,
                scale: None,
                screen_width: None,
                screen_height: None,
                position_x: None,
                position_y: None,
                dont_set_visible_size: None,
                screen_orientation: None,
                viewport: None,
                display_feature: None,
                device_posture: None,
            })
            .expect("the browser changes its width");
        let scheme = if dark { "dark" } else { "light" };
        self.tab
            .call_method(Emulation::SetEmulatedMedia {
                media: None,
                features: Some(vec![Emulation::MediaFeature {
                    name: "prefers-color-scheme".to_owned(),
                    value: scheme.to_owned(),
                }]),
            })
            .expect("the browser changes its colours");
    }
}

/// A number as the page writes it.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

#[test]
fn the_page_shows_what_was_counted() {
    let page = Shown::sample(&[]);
    let Some(seen) = Seen::open(&page) else { return };
    let statistics = page.get("/stats").json();
    let metered = statistics["metered"]["packets"].as_u64().expect("a count");
    seen.wait_for("#rates", &grouped(metered));
    seen.wait_for("#state", "good");
    let top = page.get("/api/v1/top?of=source&by=octets&span=5m").json();
    seen.wait_for("#top", top["rows"][0]["name"].as_str().expect("a name"));
    let label = "document.querySelector('#chart-traffic canvas').getAttribute('aria-label')";
    let chart = seen.evaluate(label);
    assert!(chart.as_str().is_some_and(|label| label.contains("Mb/s")), "{chart}");
    // The list says what it is of.
    let note = seen.wait_for("#top-note", " sources in all");
    let different = grouped(top["different"].as_u64().expect("a count"));
    assert!(note.contains(&format!("; {different} sources in all")), "{note}");
    seen.go("health");
    let counters = seen.wait_for("#counters", "packets received");
    let received = statistics["received"]["packets"].as_u64().expect("a count");
    assert!(counters.contains(&grouped(received)), "{counters}");
    seen.wait_for("#config", "64.0 MB of memory at most");
    seen.go("security");
    let boards = seen.wait_for("#boards", "No spike");
    assert!(!boards.contains("Spike:"), "{boards}");
    seen.wait_for("#incidents", "No detector runs");
    seen.go("traffic");
    seen.evaluate("document.querySelector('#view [data-value=interface]').click()");
    seen.wait_for("#traffic .legend", "interface 0");
    seen.evaluate("document.querySelector('#top-of [data-value=session]').click()");
    let top = page.get("/api/v1/top?of=session&by=octets&span=5m").json();
    seen.wait_for("#top", top["rows"][0]["name"].as_str().expect("a name"));
    seen.assert_silent();
}

/// Times that are not of today have their date: in the axis of a chart, at its cursor, in lists.
#[test]
fn the_page_says_the_day_of_an_old_capture() {
    const CANVAS: &str = "document.querySelector('#chart-traffic canvas')";
    let page = Shown::sample(&["--alerts", "json:/dev/null"]);
    let flows = page.get("/api/v1/flows?size=1").json();
    let end = flows["flows"][0]["end"].as_u64().expect("a time");
    let Some(seen) = Seen::open(&page) else { return };
    let day = seen.evaluate(&format!("new Date({end}).toISOString().slice(0, 10)"));
    let day = day.as_str().expect("a date");
    seen.wait_for("#top-note", &format!("that ended since {day} "));
    // What the chart writes when it is drawn again.
    seen.evaluate(
        "window.texts = []; window.fillText = CanvasRenderingContext2D.prototype.fillText;\
         CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {\
         window.texts.push(text); window.fillText.call(this, text, ...rest); }",
    );
    let press = |key: &str| {
        let event = format!("new KeyboardEvent('keydown', {{ key: '{key}' }})");
        seen.evaluate(&format!("{CANVAS}.dispatchEvent({event})"));
    };
    press("End");
    let marks = "window.texts.filter((it) => /:\\d\\d$/.test(it)).slice(0, 2).join()";
    let texts = seen.evaluate(marks);
    let texts = texts.as_str().expect("text");
    let (first, second) = texts.split_once(',').expect("two marks");
    assert!(first.starts_with(&format!("{day} ")) && first.len() == 19, "{texts}");
    assert_eq!(second.len(), 8, "the day is written once: {texts}");
    let label = seen.evaluate(&format!("{CANVAS}.getAttribute('aria-label')"));
    assert!(label.as_str().is_some_and(|it| it.contains(&format!("; {day} "))), "{label}");
    seen.go("flows");
    seen.wait_for("#flow-table", &format!("{day} "));
    seen.go("security");
    seen.wait_for("#incidents", &format!("{day} "));
    seen.assert_silent();
}

/// A packet of DNS each second, and 1,500 in one: more than the rule about spikes has by default.
#[test]
fn the_page_marks_a_spike() {
    let question = |port: u16| {
        let datagram = packet::udp(port, 53, 20);
        packet::ethernet(&packet::ipv4([10, 0, 0, 1], [192, 0, 2, 1], 17, &datagram))
    };
    let usual = (0..10).map(|second| Captured::at(second * 1000, question(1053)));
    let many = (0..1500).map(|number| Captured::at(5000 + number / 3, question(2053)));
    let mut frames: Vec<_> = usual.chain(many).collect();
    frames.sort_by_key(|frame| frame.nanos);
    let folder = support::scratch();
    let page = Shown::start(&support::write(&folder, "spike.pcap", &pcap(&frames)), &[]);
    page.wait_for("the page stays");
    let Some(seen) = Seen::open(&page) else { return };
    seen.go("security");
    let boards = seen.wait_for("#boards", "Spike: 1.50 kpackets/s");
    assert_eq!(boards.matches("Spike:").count(), 1, "{boards}");
    seen.wait_for("#spike-note", "more than 1,000 packets/s, and more than 4 times");
    seen.assert_silent();
}

/// Flows that came through a tunnel say so, with its ends; without tunnels there is no column.
#[test]
fn the_page_shows_tunnels_where_there_are_some() {
    let folder = support::scratch();
    let packets = [tunnel::vxlan(7, &tunnel::inner()), tunnel::inner()];
    let frames: Vec<_> =
        packets.iter().map(|packet| Captured::at(0, packet::unpadded(packet))).collect();
    let file = support::write(&folder, "tunnels.pcap", &pcap(&frames));
    for (settings, is_told) in [(&["--decap", "all"][..], true), (&[], false)] {
        let page = Shown::start(&file, settings);
        page.wait_for("the page stays");
        let Some(seen) = Seen::open(&page) else { return };
        seen.go("flows");
        let table = seen.wait_for("#flow-table", "10.0.0.1:1234");
        assert_eq!(table.contains("tunnel"), is_told, "{table}");
        assert_eq!(table.contains("vxlan 7"), is_told, "{table}");
        let titles = "[...document.querySelectorAll('#flow-table td')].map((it) => it.title)";
        let ends = seen.evaluate(&format!("{titles}.join('')"));
        assert_eq!(ends, if is_told { "192.0.2.1 to 192.0.2.2" } else { "" });
        let found = page.get("/api/v1/flows?q=tunnel:vxlan%20tunnel:7").json();
        assert_eq!(found["found"], u64::from(is_told), "{found}");
        seen.assert_silent();
    }
}

/// A name with markup is text on the page.
#[test]
fn hostile_names_are_text() {
    const NAME: &str = "<img src=x onerror=document.title='seen'>";
    let folder = support::scratch();
    let output = format!("json:{}", folder.path().join(NAME).display());
    let page = Shown::sample(&["-o", &output]);
    let Some(seen) = Seen::open(&page) else { return };
    seen.go("health");
    seen.wait_for("main", NAME);
    seen.assert_is_text();
}

/// A name from the network with markup is text on the page, and is found.
#[test]
fn hostile_names_of_the_network_are_text_and_are_found() {
    const NAME: &str = "<img/src=x/onerror=document.title=1>.example";
    let question = payload::dns_question(7, NAME, 1);
    let mut datagram = packet::udp(1053, 53, question.len());
    datagram[8..].copy_from_slice(&question);
    let frame = packet::ethernet(&packet::ipv4([10, 0, 0, 1], [192, 0, 2, 1], 17, &datagram));
    let folder = support::scratch();
    let file = support::write(&folder, "dns.pcap", &pcap(&[Captured::at(0, frame)]));
    let page = Shown::start(&file, &["--payload", "dns"]);
    page.wait_for("the page stays");
    for (words, found) in [("name:%3Cimg", 1), ("app:dns", 1), ("name:other", 0)] {
        let flows = page.get(&format!("/api/v1/flows?q={words}")).json();
        assert_eq!(flows["found"], found, "{words}: {flows}");
    }
    let Some(seen) = Seen::open(&page) else { return };
    seen.go("flows");
    seen.wait_for("#flow-table", NAME);
    seen.assert_is_text();
}

#[test]
fn the_page_is_used_by_keyboard_alone() {
    let page = Shown::sample(&[]);
    let Some(seen) = Seen::open(&page) else { return };
    seen.wait_for("#top", "10.10.0.66");
    let active =
        || seen.evaluate("document.activeElement.textContent || document.activeElement.id");
    let tab_to = |name: &str| {
        for _ in 0..60 {
            seen.tab.press_key("Tab").expect("a key is pressed");
            if active() == name {
                return;
            }
        }
        panic!("Tab does not come to {name}");
    };
    tab_to("destinations");
    seen.tab.press_key("Enter").expect("a key is pressed");
    seen.wait_for("#top th:nth-child(2)", "destination");
    seen.go("flows");
    seen.evaluate("document.body.focus()");
    tab_to("query");
    seen.tab.type_str("10.10.0.66 tcp port:443").expect("keys are pressed");
    seen.tab.press_key("Enter").expect("a key is pressed");
    let found = page.get("/api/v1/flows?q=10.10.0.66%20tcp%20port:443").json();
    seen.wait_for("#found", &format!("{} of the last", found["found"]));
    seen.assert_silent();
}

/// The board of security has the incidents of the sample, with their numbers.
#[test]
fn the_board_shows_incidents_with_their_numbers() {
    let page = Shown::sample(&["--alerts", "json:/dev/null"]);
    let alerts = page.get("/api/v1/alerts").json();
    let alerts = alerts["alerts"].as_array().expect("a list");
    assert!(alerts.len() >= 3, "{alerts:?}");
    let Some(seen) = Seen::open(&page) else { return };
    seen.go("security");
    for alert in alerts {
        for field in ["rule.name", "event.reason"] {
            seen.wait_for("#incidents", alert[field].as_str().expect("words"));
        }
    }
    assert_eq!(seen.evaluate("document.querySelectorAll('.incident').length"), alerts.len());
    // A long list has a place to scroll in, and the boards stay in sight.
    let is_long = "(({ scrollHeight, clientHeight }) => scrollHeight > clientHeight + 50)\
         (document.getElementById('incidents'))";
    assert_eq!(seen.evaluate(is_long), true);
    let top = seen.evaluate("document.getElementById('boards').getBoundingClientRect().top");
    assert!(top.as_f64().is_some_and(|top| top < 600.0), "{top}");
    seen.assert_silent();
}

/// For people to look at; and nothing is wider than the window.
#[test]
fn the_page_fits_three_widths_in_light_and_dark() {
    let page = Shown::sample(&["--alerts", "json:/dev/null"]);
    let Some(seen) = Seen::open(&page) else { return };
    for part in ["traffic", "security", "flows", "health"] {
        seen.go(part);
        seen.wait_for("nav [aria-current]", &part[1..]);
        seen.pictures(part);
    }
    seen.assert_silent();
}

#[test]
fn the_page_asks_for_the_token() {
    let folder = support::scratch();
    let file = support::write(&folder, "token", b"0123456789abcdef");
    let page = Shown::sample(&["--http-token-file", file.to_str().expect("a path")]);
    let Some(seen) = Seen::open(&page) else { return };
    let begin = Instant::now();
    while seen.evaluate("document.getElementById('token-dialog').open") != true {
        assert!(begin.elapsed() < PATIENCE, "nothing asks for the token");
        thread::sleep(Duration::from_millis(50));
    }
    seen.evaluate("document.getElementById('token').focus()");
    seen.tab.type_str("0123456789abcdef").expect("keys are pressed");
    seen.tab.press_key("Enter").expect("a key is pressed");
    seen.wait_for("#top", "10.10.0.66");
    let address = seen.evaluate("location.href");
    assert!(!address.as_str().unwrap_or_default().contains("0123"), "{address}");
}
