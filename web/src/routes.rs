//! Routes of the server: the page, its interface, the metrics and the health of the program.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use crate::board::Board;
use crate::metrics::Metrics;
use crate::search::{Search, list_size};
use crate::series::{Span, View};
use crate::settings::Settings;
use crate::top::Ranking;

/// The page and its files: path, type, content.
const FILES: [(&str, &str, &str); 12] = [
    ("/", "text/html; charset=utf-8", include_str!("../page/index.html")),
    ("/page.css", "text/css; charset=utf-8", include_str!("../page/page.css")),
    ("/page.js", "text/javascript; charset=utf-8", include_str!("../page/page.js")),
    ("/chart.js", "text/javascript; charset=utf-8", include_str!("../page/chart.js")),
    ("/icon.svg", "image/svg+xml", include_str!("../page/icon.svg")),
    ("/ask.js", "text/javascript; charset=utf-8", include_str!("../page/ask.js")),
    ("/exporters.js", "text/javascript; charset=utf-8", include_str!("../page/exporters.js")),
    ("/health.js", "text/javascript; charset=utf-8", include_str!("../page/health.js")),
    ("/numbers.js", "text/javascript; charset=utf-8", include_str!("../page/numbers.js")),
    ("/security.js", "text/javascript; charset=utf-8", include_str!("../page/security.js")),
    ("/table.js", "text/javascript; charset=utf-8", include_str!("../page/table.js")),
    ("/workers.js", "text/javascript; charset=utf-8", include_str!("../page/workers.js")),
];

/// Headers of every response. The page loads nothing from other hosts, and must not be embedded in
/// another page.
const HEADERS: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

const JSON: &str = "application/json";

/// Observation Domains of exporters in an answer, by default and at most.
const EXPORTERS: usize = 100;
const EXPORTERS_MAX: usize = 1000;

/// Maximum length of a path with its query.
const PATH_MAX: usize = 4096;

/// What admits requests.
struct Door {
    settings: Settings,
    board: Arc<Board>,
}

/// All routes.
pub(crate) fn routes(settings: Settings, board: Arc<Board>) -> Router {
    let mut router = Router::new();
    for (path, kind, content) in FILES {
        router = router.route(path, get(move || async move { text(kind, content) }));
    }
    router
        .route("/metrics", get(metrics))
        .route("/healthz", get(health))
        .route("/stats", get(statistics))
        .route("/api/v1/summary", get(summary))
        .route("/api/v1/series", get(series))
        .route("/api/v1/top", get(top))
        .route("/api/v1/flows", get(flows))
        .route("/api/v1/alerts", get(alerts))
        .route("/api/v1/exporters", get(exporters))
        .route("/api/v1/health", get(health_document))
        .route("/api/v1/config", get(config))
        .with_state(Arc::clone(&board))
        .layer(middleware::from_fn_with_state(Arc::new(Door { settings, board }), admit))
}

/// Refuses requests that are not permitted, and adds the headers to each response. An answer that
/// the client has already is not made again.
async fn admit(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    // Changes from now on are in the next answer. The page itself never changes.
    let tag = (!is_page(&request)).then(|| door.board.tag());
    let tag = tag.and_then(|tag| HeaderValue::try_from(tag).ok());
    let mut response = match refusal(&door.settings, &request) {
        Some((status, reason)) => (status, format!("{reason}\n")).into_response(),
        None if tag.is_some() && request.headers().get(header::IF_NONE_MATCH) == tag.as_ref() => {
            StatusCode::NOT_MODIFIED.into_response()
        }
        None => next.run(request).await,
    };
    if let (Some(tag), StatusCode::OK | StatusCode::NOT_MODIFIED) = (tag, response.status()) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn is_page(request: &Request) -> bool {
    FILES.iter().any(|(path, ..)| *path == request.uri().path())
}

fn refusal(settings: &Settings, request: &Request) -> Option<(StatusCode, &'static str)> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Some((StatusCode::METHOD_NOT_ALLOWED, "only GET is answered"));
    }
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    if !host.is_some_and(|host| is_ours(settings, host)) {
        return Some((StatusCode::MISDIRECTED_REQUEST, "this is not a name of this host"));
    }
    let length = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    if length > PATH_MAX {
        return Some((StatusCode::URI_TOO_LONG, "a path has at most 4096 octets"));
    }
    // The page itself has no data. It asks the user for the token.
    match &settings.token {
        Some(token) if !is_page(request) && !has_token(request.headers(), token) => {
            Some((StatusCode::UNAUTHORIZED, "a token is needed: Authorization: Bearer TOKEN"))
        }
        _ => None,
    }
}

/// Whether a Host header has an address, `localhost` or a permitted name.
fn is_ours(settings: &Settings, host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _port)) => address,
        None => host.split(':').next().unwrap_or(host),
    };
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || settings.names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Whether the request has the token. The time for the comparison does not depend on the position
/// of a difference.
fn has_token(headers: &HeaderMap, token: &str) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(given) = given.and_then(|value| value.strip_prefix("Bearer ")) else { return false };
    let differ = given.bytes().zip(token.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b));
    given.len() == token.len() && differ == 0
}

fn text(kind: &'static str, content: impl IntoResponse) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], content).into_response()
}

fn document(value: &Value) -> Response {
    text(JSON, value.to_string())
}

fn bad_request(problem: &str) -> Response {
    (StatusCode::BAD_REQUEST, format!("{problem}\n")).into_response()
}

type Parameters = Query<HashMap<String, String>>;

async fn metrics(State(board): State<Arc<Board>>) -> Response {
    let metrics = Metrics::of(&board.statistics());
    text("text/plain; version=0.0.4; charset=utf-8", metrics.text())
}

async fn health(State(board): State<Arc<Board>>) -> Response {
    let health = board.health();
    let status = if health.is_good() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, health.text()).into_response()
}

async fn statistics(State(board): State<Arc<Board>>) -> Response {
    document(&board.statistics())
}

async fn summary(State(board): State<Arc<Board>>) -> Response {
    document(&board.summary())
}

async fn series(State(board): State<Arc<Board>>, Query(asked): Parameters) -> Response {
    let get = |name: &str| asked.get(name).map(String::as_str);
    let view = View::parse(get("by"), get("interface"));
    match Span::parse(get("span")).and_then(|span| Ok((span, view?))) {
        Ok((span, view)) => document(&board.series(span, view)),
        Err(problem) => bad_request(&problem),
    }
}

async fn top(State(board): State<Arc<Board>>, Query(asked): Parameters) -> Response {
    let get = |name: &str| asked.get(name).map(String::as_str);
    match Ranking::parse(get("of"), get("by"), get("span"), get("size")) {
        Ok(ranking) => document(&board.top(&ranking)),
        Err(problem) => bad_request(&problem),
    }
}

async fn flows(State(board): State<Arc<Board>>, Query(asked): Parameters) -> Response {
    let get = |name: &str| asked.get(name).map(String::as_str);
    match Search::parse(get("q"), get("size")) {
        Ok(search) => document(&board.flows(&search)),
        Err(problem) => bad_request(&problem),
    }
}

async fn health_document(State(board): State<Arc<Board>>) -> Response {
    let health = board.health();
    document(&json!({ "good": health.is_good(), "problems": health.problems() }))
}

async fn config(State(board): State<Arc<Board>>) -> Response {
    document(&board.config())
}

async fn alerts(State(board): State<Arc<Board>>) -> Response {
    document(&board.alerts())
}

async fn exporters(State(board): State<Arc<Board>>, Query(asked): Parameters) -> Response {
    match list_size(asked.get("size").map(String::as_str), EXPORTERS, EXPORTERS_MAX) {
        Ok(size) => document(&board.exporters(size)),
        Err(problem) => bad_request(&problem),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    fn settings() -> Settings {
        let listen = "127.0.0.1:0".parse().expect("an address");
        let names = vec!["probe.example".to_owned()];
        Settings { listen, names, token: None, memory: Memory::default() }
    }

    #[test]
    fn foreign_names_are_refused() {
        for host in ["127.0.0.1:9108", "[::1]:9108", "localhost", "LOCALHOST:1", "probe.example:1"]
        {
            assert!(is_ours(&settings(), host), "{host}");
        }
        for host in ["attacker.example:9108", "localhost.attacker.example", "", ":9108", "[x]:1"] {
            assert!(!is_ours(&settings(), host), "{host}");
        }
    }

    #[test]
    fn a_token_is_compared_whole() {
        let with = |value: &'static str| {
            HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))])
        };
        assert!(has_token(&with("Bearer secret"), "secret"));
        for wrong in ["Bearer secre", "Bearer secrets", "Bearer sEcret", "secret", "Bearer "] {
            assert!(!has_token(&with(wrong), "secret"), "{wrong}");
        }
    }
}
