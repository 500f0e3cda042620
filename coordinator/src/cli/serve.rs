//! `tenfold serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use clap::Args;
use tenfold::server::{self, Server, ServerConfig, ServerError};
use tenfold::store::StoreError;
use tenfold_core::Settings;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::Failure;
use super::{Common, format, json};

/// How often one that stands by asks whether the store is free.
const STANDBY: Duration = Duration::from_millis(500);

#[derive(Args)]
pub(crate) struct Serve {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:7465", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Where everything is kept: sqlite:PATH; postgres://USER:PASSWORD@HOST/DATABASE, where a second coordinator stands by
    /// and takes over when the first is gone; or memory: for nothing to be kept
    #[arg(
        long,
        env = "TENFOLD_STORE",
        hide_env_values = true,
        default_value = "sqlite:runs/tenfold.sqlite",
        value_name = "STORE"
    )]
    store: String,
    /// Open a store of which some is missing (its -wal file, or its newest commits) and go on without that
    #[arg(long)]
    accept_loss: bool,
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
            accept_loss: self.accept_loss,
            results: self.results,
            max_connections: self.max_connections,
            settings: Settings {
                lease_term: self.lease_term * 1000,
                grace: self.grace * 1000,
                backoff_base: self.backoff * 1000,
                ..Settings::default()
            },
        };
        let Some(mut server) = start(config, common).await? else {
            return Ok(());
        };
        let address = format!("http://{}", server.address());
        if common.json {
            say(&json::line(&json::serving(&address)));
        } else {
            say(&format!("serving on {address}\n"));
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

/// Starts the server, as soon as no other coordinator has its store if it is one for which it can stand by. None when it
/// is asked to stop before.
async fn start(config: ServerConfig, common: &Common) -> Result<Option<Server>, Failure> {
    let mut told = false;
    loop {
        let held = match Server::start(config.clone()).await {
            Ok(server) => return Ok(Some(server)),
            Err(ServerError::Store(held @ StoreError::Held { .. })) => held,
            Err(error) => return Err(error.into()),
        };
        if !std::mem::replace(&mut told, true) {
            tracing::info!("standing by: {held}");
            if common.json {
                say(&json::line(&json::standing_by(&held.to_string())));
            } else {
                say(&format!("standing by: {held}\n"));
            }
        }
        tokio::select! {
            () = tokio::time::sleep(STANDBY) => {}
            () = asked_to_stop() => return Ok(None),
        }
    }
}

/// Prints a line, if somebody reads it. A coordinator does not depend on that: where it goes may be closed, or full.
fn say(text: &str) {
    if let Err(failure) = format::print(text) {
        tracing::debug!(%failure, "nobody reads the standard output");
    }
}

/// Resolves at the next SIGINT, SIGTERM or SIGHUP.
pub(crate) async fn asked_to_stop() {
    let mut hangup = hangups();
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                () = hung_up(&mut hangup) => {}
            }
        }
        _ => std::future::pending().await,
    }
}

/// Listens for SIGHUP, which says that the terminal is gone; not where it was ignored when this process began, which is what `nohup`
/// is for.
fn hangups() -> Option<Signal> {
    static IGNORED: OnceLock<bool> = OnceLock::new();
    // Looked at before there is a handler.
    let ignored = *IGNORED.get_or_init(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        // SIGHUP is 1, the lowest bit.
        mask.is_some_and(|mask| mask & 1 != 0)
    });
    (!ignored).then(|| signal(SignalKind::hangup()).ok()).flatten()
}

async fn hung_up(hangup: &mut Option<Signal>) {
    match hangup {
        Some(hangup) => _ = hangup.recv().await,
        None => std::future::pending().await,
    }
}
