//! The engines themselves: what an output of documents has to expect of them.

use serde_json::json;

use crate::engine::Engine;
use crate::kind::Kind;

#[test]
fn elasticsearch_8_boots() {
    let Some(engine) = Engine::shared(Kind::Elasticsearch8) else { return };
    let reply = engine.client().get("/").done();
    assert_eq!(reply["version"]["number"], engine.kind().version(), "{reply} {}", json!({}));
}
#[test]
fn others_boot() {
    for kind in [Kind::OpenSearch2, Kind::Elasticsearch7, Kind::Elasticsearch9] {
        let begin = std::time::Instant::now();
        let Some(engine) = Engine::start(kind) else { return };
        let reply = engine.client().get("/").done();
        assert_eq!(reply["version"]["number"], engine.kind().version(), "{reply}");
        println!("{kind:?} {:?}", begin.elapsed());
    }
}
