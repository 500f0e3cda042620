//! `tenfold serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use tenfold::server::{self, Server, ServerConfig};
use tenfold_core::Settings;
use tokio::signal::unix::{SignalKind, signal};

use super::exit::Failure;
use super::{Common, format, json};

#[derive(Args)]
pub(crate) struct Serve {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:7465", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Where everything is kept: sqlite:PATH, or memory: for nothing to be kept
    #[arg(long, default_value = "sqlite:runs/tenfold.sqlite", value_name = "STORE")]
    store: String,
    /// The folder of results logs, RESULTS/<sweep>/aggregate.jsonl
    #[arg(long, default_value = "runs", value_name = "DIR")]
    results: PathBuf,
    /// The trials of a worker not heard of for so many seconds are suspect
    #[arg(long, default_value_t = 15, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    lease_term: u64,
    /// So many seconds later they are given to others; until then the worker may go on with them
    #[arg(long, default_value_t = 15, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=86_400))]
    grace: u64,
    /// A trial that failed waits so many seconds, doubled with each further failure
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=360))]
    backoff: u64,
    /// Connections at the same time; further ones are refused
    #[arg(long, default_value_t = server::MAX_CONNECTIONS, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_connections: u32,
}

impl Serve {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let config = ServerConfig {
            listen: self.listen,
            store: self.store,
            results: self.results,
            max_connections: self.max_connections,
            settings: Settings {
                lease_term: self.lease_term * 1000,
                grace: self.grace * 1000,
                backoff_base: self.backoff * 1000,
                ..Settings::default()
            },
        };
        let mut server = Server::start(config).await?;
        let address = format!("http://{}", server.address());
        if common.json {
            format::print(&json::line(&json::serving(&address)))?;
        } else {
            format::print(&format!("serving on {address}\n"))?;
        }
        tokio::select! {
            error = server.failed() => return Err(error.into()),
            () = asked_to_stop() => {}
        }
        // Asked a second time, it ends at once: the store is whole at any moment.
        tokio::select! {
            () = server.shutdown() => Ok(()),
            () = asked_to_stop() => Err(Failure::Interrupted),
        }
    }
}

/// Resolves at the next SIGINT or SIGTERM.
pub(crate) async fn asked_to_stop() {
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        _ => std::future::pending().await,
    }
}
