//! The server: a store, the turn on it, and the services on a listener.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tenfold_core::Settings;
use tenfold_proto::v1::control_server::ControlServer;
use tenfold_proto::v1::fleet_server::FleetServer;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::TcpListenerStream;

use crate::grpc::{MAX_MESSAGE, Service};
use crate::readers::Readers;
use crate::shutdown::{self, Trigger};
use crate::store::{self, StoreError};
use crate::{results, turn};

/// How long requests under way may take when the server shuts down. A silent client would hold it up for ever.
const GRACE: Duration = Duration::from_secs(3);

/// What a server needs to know.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The store: `sqlite:PATH` or `memory:`.
    pub store: String,
    /// The folder that results logs go to, as `RESULTS/<sweep>/aggregate.jsonl`.
    pub results: PathBuf,
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
    #[error("the store can no longer be trusted: {0}; the coordinator stops, nothing acknowledged is lost")]
    Fatal(String),
}

/// A server that is serving.
pub struct Server {
    address: SocketAddr,
    service: Service,
    turn: turn::Running,
    stop: Trigger,
    serving: JoinHandle<Result<(), tonic::transport::Error>>,
    logs: JoinHandle<()>,
}

impl Server {
    /// Opens the store, listens and serves.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub async fn start(config: ServerConfig) -> Result<Self, ServerError> {
        let refused = |error| ServerError::Listen {
            address: config.listen,
            error,
        };
        // The store first: a second coordinator is told of the first one by its lock, whatever port it has.
        let store = store::open(&config.store)?;
        let listener = TcpListener::bind(config.listen).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let readers = Readers::open(store.as_ref())?;
        let turn = turn::start(store, config.settings)?;
        let (stop, shutdown) = shutdown::channel();
        let service = Service {
            turn: turn.handle(),
            readers,
            scratch: config.results.as_path().into(),
            shutdown: shutdown.clone(),
        };
        let logs = tokio::spawn(results::keep_logs(service.clone(), config.results));
        let mut stopped = shutdown;
        // The builder's setting is for listeners of its own. Without it a reply of several packets waits 40 ms for the
        // acknowledgement of the first.
        let incoming = TcpListenerStream::new(listener)
            .map(|accepted| accepted.inspect(|stream| _ = stream.set_nodelay(true)));
        let serving = tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(Duration::from_secs(10)))
            .http2_keepalive_timeout(Some(Duration::from_secs(10)))
            .add_service(ControlServer::new(service.clone()).max_decoding_message_size(MAX_MESSAGE))
            .add_service(FleetServer::new(service.clone()).max_decoding_message_size(MAX_MESSAGE))
            .serve_with_incoming_shutdown(incoming, async move {
                stopped.wait().await;
            });
        let serving = tokio::spawn(serving);
        tracing::info!(%address, store = config.store, "serving");
        Ok(Self {
            address,
            service,
            turn,
            stop,
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

    /// Answers what is under way, closes the store, and returns within a few seconds whatever the clients do.
    pub async fn shutdown(self) {
        self.stop.pull();
        let (mut serving, mut logs) = (self.serving, self.logs);
        // A task that has ended by itself was awaited then, and must not be again.
        if !serving.is_finished() && tokio::time::timeout(GRACE, &mut serving).await.is_err() {
            serving.abort();
        }
        if tokio::time::timeout(GRACE, &mut logs).await.is_err() {
            logs.abort();
        }
        drop(self.service);
        let turn = self.turn;
        _ = tokio::task::spawn_blocking(move || turn.stop()).await;
    }
}
