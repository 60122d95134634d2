//! The program is killed at random moments, as a crash does it: what it had spooled arrives, once.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::client::Client;
use crate::delivery::{assert_complete, output, prepare};
use crate::engine::Engine;
use crate::kind::Kind;
use crate::relay::Relay;
use crate::replay::{self, capture, capture_of, replay, stream};
use crate::spool::{self, SETTINGS, spooled_ids};
use crate::support;
use crate::support::net::{Links, Network};
use crate::support::random::Random;

const KILLS: u32 = 20;

/// Flows that are sent in each run. A search shows 10,000 documents.
const FLOWS: u32 = 450;

/// The id of each document, and the flow in it, by its source address.
fn documents(client: &Client, stream: &str) -> Vec<(String, String)> {
    client.refresh(stream);
    let search = json!({"size": 10_000, "_source": ["source.ip"]});
    let body = client.post(&format!("/{stream}/_search"), &search).done();
    let hits = body["hits"]["hits"].as_array().expect("a search has hits");
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    hits.iter().map(|hit| (text(&hit["_id"]), text(&hit["_source"]["source"]["ip"]))).collect()
}

#[test]
fn killed_twenty_times_what_was_spooled_is_there_once() {
    let Some(engine) = Engine::shared(Kind::Elasticsearch8) else { return };
    let Some(network) = Network::beside(Links::default()) else { return };
    let client = engine.client();
    prepare(&client, "kills");
    let relay = Relay::start(&network, engine.url().trim_start_matches("http://"));
    let folder = support::scratch();
    let directory = folder.path().join("spool");
    let settings = format!("&{SETTINGS}&spool={}", directory.display());
    let live_output = output(&[format!("http://{}", relay.address())], "kills", &settings);
    let mut random = Random::new(20);
    let mut spooled = BTreeSet::new();
    let mut sent = 0;
    for kill in 0..KILLS {
        // No two runs see the same flow.
        let file = capture_of(&folder, kill * FLOWS..(kill + 1) * FLOWS);
        relay.set_open(kill % 3 != 0);
        let live = spool::start(&network, &live_output);
        network.send_file("tx0", &file, &[]);
        sent += FLOWS;
        thread::sleep(Duration::from_millis(random.below(500)));
        relay.set_open(kill % 3 == 1);
        thread::sleep(Duration::from_millis(random.below(500)));
        live.kill();
        spooled.extend(spooled_ids(&directory));
    }
    assert!(spooled.len() as u32 > FLOWS, "{} of {sent} were spooled", spooled.len());
    let left = spooled_ids(&directory).len() as u64;
    // A replay also sends what is in the spool, all of it.
    let settings = settings.replace("memory", "run=last&memory");
    let file = capture_of(&folder, KILLS * FLOWS..KILLS * FLOWS + 1);
    let last = replay(&file, &output(&[engine.url()], "kills", &settings));
    assert_eq!(last.status, 0, "{}", last.stderr);
    let earlier = &last.stats["outputs"][0]["delivery"]["spool"]["earlier_runs"];
    let of = |key: &str| earlier[key].as_u64().unwrap();
    assert_eq!(of("accepted") + of("duplicate"), left, "{earlier}");
    assert_eq!(spooled_ids(&directory).len(), 0);

    let documents = documents(&client, &stream("kills"));
    let ids: BTreeSet<_> = documents.iter().map(|(id, _)| id.clone()).collect();
    let flows: BTreeSet<_> = documents.iter().map(|(_, flow)| flow).collect();
    assert_eq!(flows.len(), documents.len(), "a flow is there twice");
    let missing: Vec<_> = spooled.difference(&ids).collect();
    assert!(missing.is_empty(), "{} of {} are missing", missing.len(), spooled.len());
    assert!(documents.len() as u32 <= sent + 1);
}

#[test]
fn killed_replay_is_run_again_whole() {
    let Some(engine) = Engine::shared(Kind::Elasticsearch8) else { return };
    let client = engine.client();
    prepare(&client, "replays");
    let folder = support::scratch();
    let file = capture(&folder, 20_000);
    let settings = format!("&batch=50k&spool={}", folder.path().join("spool").display());
    let output = output(&[engine.url()], "replays", &settings);
    let mut random = Random::new(3);
    // One request at a time takes longer than it may run.
    let slow = format!("{output}&connections=1");
    for _ in 0..3 {
        let replay = replay::start(&file, &slow);
        thread::sleep(Duration::from_millis(200 + random.below(600)));
        replay.kill();
    }
    let run = replay(&file, &output);
    assert_complete(&client, "replays", &run);
}
