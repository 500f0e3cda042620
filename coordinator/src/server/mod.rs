//! The server: a store, the turn on it, and the services on a listener.
//!
//! The accept loop is our own (`accept.rs`), and so are the limits on calls (`limits.rs`): the transport's spins when
//! files run out, and counts calls by connection.

mod accept;
mod connection;
mod files;
pub(crate) mod limits;
mod refuse;
mod versioned;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tenfold_core::Settings;
use tenfold_proto::PROTOCOL;
use tenfold_proto::v1::control_server::ControlServer;
use tenfold_proto::v1::fleet_server::FleetServer;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;

use crate::groups::Kept;
use crate::grpc::{self, Gates, MAX_LEASE, MAX_MESSAGE, MAX_REPLY, Service};
use crate::readers::Readers;
use crate::shutdown::{self, Trigger};
use crate::store::{self, Store, StoreError};
use crate::{choose, results, turn};

use accept::Accept;
use limits::{Limited, Limits};
use refuse::Refuser;
use versioned::Versioned;

/// Connections that are taken at the same time when nothing else is said: 2,000 workers and as many of every other
/// kind of client fit in twice over.
pub const MAX_CONNECTIONS: u32 = 8192;
/// How long calls under way may take when the server shuts down; then their connections are cut, which takes a moment.
const GRACE: Duration = Duration::from_secs(3);
const CUT: Duration = Duration::from_secs(1);
/// How long the turn may take for what waits: its disk may be slow.
const LAST_TURN: Duration = Duration::from_secs(6);
/// A peer that does not answer a ping for so long is gone.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// Calls of one connection at the same time. A worker has one for each slot that waits and for each lease that
/// reports; further ones wait on its side.
pub(crate) const STREAMS: u32 = 256;
/// What a peer may send ahead of being read, on one call and on all of a connection: an append of some 100 kB is sent
/// without waiting, and several beside one another.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// Names and values of a call's headers, in bytes.
pub(crate) const MAX_HEADERS: u32 = 8 << 10;
/// Connections that the system keeps until they are accepted; it may keep fewer (`net.core.somaxconn`).
const BACKLOG: u32 = 4096;
/// Connections that the transport has not taken over yet.
const HANDOVER: usize = 64;

/// What a server needs to know.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The store: `sqlite:PATH`, `postgres://USER@HOST/DATABASE` or `memory:`.
    pub store: String,
    /// Opens a store of which some is missing.
    pub accept_loss: bool,
    /// The folder that results logs go to, as `RESULTS/<sweep>/aggregate.jsonl`.
    pub results: PathBuf,
    /// Connections that are taken at the same time; further ones are refused. Fewer where the system does not allow so
    /// many open files.
    pub max_connections: u32,
    /// How long leases live, and how failures are answered.
    pub settings: Settings,
}

/// Why a server cannot start or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {address}: {error}; is a coordinator running there already? choose another with --listen"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        error: std::io::Error,
    },
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The transport failed.
    #[error("the server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The store failed for good while serving.
    #[error("the store can no longer be trusted: {0}; the coordinator stops")]
    Fatal(String),
}

/// Listens, with room for a crowd that comes at once.
fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // A coordinator that comes back is not to wait until the system has forgotten the last one's connections.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Stores wait for disks and networks.
async fn blocking<T: Send + 'static>(
    what: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let ended = tokio::task::spawn_blocking(what).await;
    ended.unwrap_or_else(|error| Err(StoreError::Io(std::io::Error::other(error))))
}

async fn open(specification: String, accept_loss: bool) -> Result<(Box<dyn Store>, Readers), StoreError> {
    blocking(move || {
        let store = store::open_with(&specification, accept_loss)?;
        let readers = Readers::open(store.as_ref())?;
        Ok((store, readers))
    })
    .await
}

/// A server that is serving.
pub struct Server {
    address: SocketAddr,
    service: Service,
    turn: turn::Running,
    stop: Trigger,
    cut: Trigger,
    serving: JoinHandle<Result<(), tonic::transport::Error>>,
    logs: JoinHandle<()>,
}

impl Server {
    /// Opens the store, listens and serves.
    ///
    /// # Errors
    /// See [`ServerError`]; with [`StoreError::Held`] this coordinator can stand by: try again in a moment. Nobody is
    /// served until then, so that clients go on to the address of the one that serves.
    pub async fn start(config: ServerConfig) -> Result<Self, ServerError> {
        let refused = |error| ServerError::Listen {
            address: config.listen,
            error,
        };
        // The store first: a second coordinator is told of the first one by its lock, whatever port it has.
        let (store, readers) = open(config.store.clone(), config.accept_loss).await?;
        grpc::backup::clear(&config.results);
        let files = files::raise();
        let listener = listen(config.listen).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let settings = Settings {
            protocol: PROTOCOL,
            ..config.settings
        };
        let turn = blocking(move || turn::start(store, settings)).await?;
        readers.report_to(turn.handle());
        let (stop, shutdown) = shutdown::channel();
        let service = Service {
            turn: turn.handle(),
            readers,
            kept: Kept::default(),
            scratch: config.results.as_path().into(),
            shutdown: shutdown.clone(),
            gates: Gates::default(),
        };
        tokio::spawn(choose::make_choices(
            service.turn.clone(),
            service.readers.clone(),
            shutdown.clone(),
        ));
        let logs = tokio::spawn(results::keep_logs(service.clone(), config.results));
        let (cut, is_cut) = shutdown::channel();
        let (out, connections) = mpsc::channel(HANDOVER);
        let seats = files::connections(config.max_connections, files);
        let accept = Accept {
            listener,
            seats: Arc::new(Semaphore::new(seats)),
            refuser: Refuser::new(seats),
            out,
            stop: shutdown.clone(),
            cut: is_cut,
        };
        tokio::spawn(accept.run());
        let limits = Limits::new();
        let control = ControlServer::new(service.clone())
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_REPLY);
        let fleet = FleetServer::new(service.clone())
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_LEASE);
        let mut stopped = shutdown;
        let serving = tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE))
            .max_concurrent_streams(STREAMS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .http2_max_header_list_size(MAX_HEADERS)
            .add_service(Versioned(Limited {
                service: control,
                limits: Arc::clone(&limits),
            }))
            .add_service(Versioned(Limited {
                service: fleet,
                limits,
            }))
            .serve_with_incoming_shutdown(ReceiverStream::new(connections), async move {
                stopped.wait().await;
            });
        let serving = tokio::spawn(serving);
        tracing::info!(%address, store = store::place(&config.store), "serving");
        Ok(Self {
            address,
            service,
            turn,
            stop,
            cut,
            serving,
            logs,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Resolves when the server cannot go on.
    pub async fn failed(&mut self) -> ServerError {
        let mut ended = self.turn.ended();
        tokio::select! {
            reason = ended.wait_for(Option::is_some) => match reason {
                Ok(reason) => ServerError::Fatal(reason.clone().unwrap_or_default()),
                Err(_) => ServerError::Fatal("the turn ended".to_owned()),
            },
            served = &mut self.serving => match served {
                Ok(Err(error)) => ServerError::Transport(error),
                _ => ServerError::Fatal("the listener ended".to_owned()),
            },
        }
    }

    /// Answers what is under way, closes the store, and returns within 15 s whatever the clients and the disk do.
    pub async fn shutdown(self) {
        self.stop.pull();
        let (mut serving, mut logs) = (self.serving, self.logs);
        // A task that has ended by itself was awaited then, and must not be again.
        if !serving.is_finished() && timeout(GRACE, &mut serving).await.is_err() {
            tracing::info!("some clients do not end their calls; their connections are cut");
            self.cut.pull();
            if timeout(CUT, &mut serving).await.is_err() {
                serving.abort();
            }
        }
        if timeout(GRACE, &mut logs).await.is_err() {
            logs.abort();
        }
        drop(self.service);
        let turn = self.turn;
        let stopped = tokio::task::spawn_blocking(move || turn.stop());
        if timeout(LAST_TURN, stopped).await.is_err() {
            tracing::error!("the store does not come to an end; nothing acknowledged is lost");
        }
    }
}
