//! The HTTP server: one thread, a bounded number of connections, and a bounded time for each.
//!
//! Only this module uses an asynchronous runtime.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use exporter::sentence;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use log::warn;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};

use crate::board::Board;
use crate::routes;
use crate::settings::Settings;

/// Maximum number of connections at a time. More are closed at once.
const CONNECTIONS_MAX: usize = 64;

/// Time for the head of a request, and between two requests of a connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum time of a connection. It ends after the current request.
const CONNECTION_TIME: Duration = Duration::from_secs(30);

/// Time for the current request after the maximum time of its connection.
const LAST_REQUEST_TIME: Duration = Duration::from_secs(5);

/// Maximum size of the head of a request, in octets.
const HEAD_OCTETS_MAX: usize = 16 * 1024;

/// Pause after a connection could not be accepted, because there are too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A server whose address is bound, but which does not answer yet.
#[derive(Debug)]
pub struct BoundServer {
    settings: Settings,
    listener: std::net::TcpListener,
}

/// A running server. It stops when it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl BoundServer {
    /// Binds the address.
    ///
    /// # Errors
    ///
    /// The address cannot be bound.
    pub fn bind(settings: Settings) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(settings.listen)?;
        listener.set_nonblocking(true)?;
        Ok(Self { settings, listener })
    }

    /// Starts to answer requests, in a thread that first calls `begin`.
    ///
    /// # Errors
    ///
    /// The thread or the runtime cannot be started.
    pub fn start(
        self,
        board: Arc<Board>,
        begin: impl FnOnce() + Send + 'static,
    ) -> io::Result<Server> {
        let Self { settings, listener } = self;
        let address = listener.local_addr()?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let run = move || {
            begin();
            runtime.block_on(async {
                match TcpListener::from_std(listener) {
                    Ok(listener) => {
                        tokio::spawn(accept(listener, settings, board));
                        // Ends when the sender is dropped.
                        drop(stopped.await);
                    }
                    Err(problem) => warn!("the page cannot be served: {}", sentence(&problem)),
                }
            });
        };
        let thread = thread::Builder::new().name("http".to_owned()).spawn(run)?;
        Ok(Server { address, stop: Some(stop), thread: Some(thread) })
    }
}

impl Server {
    /// The listening address, with the port that the system chose if it was 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The thread may have ended already. Its panic, if any, has been printed.
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

async fn accept(listener: TcpListener, settings: Settings, board: Arc<Board>) {
    let routes = routes::routes(settings, Arc::clone(&board));
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok((stream, _peer)) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
            board.count_refused_connection();
            continue;
        };
        let routes = routes.clone();
        tokio::spawn(async move {
            serve(stream, routes).await;
            drop(place);
        });
    }
}

/// Answers the requests of a connection. Errors are caused by the client and ignored.
async fn serve(stream: TcpStream, routes: axum::Router) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_OCTETS_MAX);
    let service = TowerToHyperService::new(routes);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    if timeout(CONNECTION_TIME, connection.as_mut()).await.is_err() {
        connection.as_mut().graceful_shutdown();
        drop(timeout(LAST_REQUEST_TIME, connection).await);
    }
}
