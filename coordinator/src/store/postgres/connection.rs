//! Connections: how they are made, kept alive and put away, and the lock and the epoch of the one that writes.

use std::thread;
use std::time::Duration;

use postgres::config::{Host, SslMode};
use postgres::{Client, Config, GenericClient, NoTls};

use super::schema;
use crate::store::StoreError;

/// How long a server may take to be reached.
const REACH: Duration = Duration::from_secs(5);
/// After this much silence the other side is asked whether it lives, and then given up within as long again.
const IDLE: Duration = Duration::from_secs(5);

/// First half of the lock's key: "TenF". The other half is the schema's name, so that stores in two schemas of one
/// database do not keep one another away.
const LOCK: i32 = 0x5465_6e46;

/// A connection that may be dropped anywhere: closing one waits for the network, which an asynchronous task must not.
pub(super) struct Connection(Option<Client>);

impl Drop for Connection {
    fn drop(&mut self) {
        match self.0.take() {
            Some(client) if on_a_task() => _ = thread::spawn(move || drop(client)),
            client => drop(client),
        }
    }
}

fn on_a_task() -> bool {
    tokio::runtime::Handle::try_current().is_ok()
}

impl Connection {
    /// Connects.
    pub(super) fn open(config: &Config) -> Result<Self, StoreError> {
        let mut client = config
            .connect(NoTls)
            .map_err(|error| unreachable(config, &error))?;
        // The server too is to notice when this side is gone without a word: until then it keeps the lock.
        client.batch_execute(
            "SET synchronous_commit = on; SET client_min_messages = warning; \
             SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3; \
             SET tcp_user_timeout = 10000; SET idle_in_transaction_session_timeout = 60000",
        )?;
        Ok(Self(Some(client)))
    }

    pub(super) fn client(&mut self) -> Result<&mut Client, StoreError> {
        self.0
            .as_mut()
            .ok_or_else(|| StoreError::Unknown("the connection to the database is closed".to_owned()))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.as_ref().is_none_or(Client::is_closed)
    }
}

/// What a specification says, with what it leaves open.
pub(super) fn config(specification: &str) -> Result<Config, StoreError> {
    let mut config: Config = specification.parse().map_err(|error: postgres::Error| {
        let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        StoreError::Unsupported(format!(
            "the store's address says no database: {why}; write postgres://USER@HOST:PORT/DATABASE"
        ))
    })?;
    if config.get_ssl_mode() == SslMode::Require {
        return Err(StoreError::Unsupported(
            "this tenfold speaks no TLS with a database, which sslmode=require asks for; use a Unix socket, a private \
             network or a tunnel"
                .to_owned(),
        ));
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(REACH);
    }
    config
        .keepalives_idle(IDLE)
        .keepalives_interval(IDLE / 2)
        .keepalives_retries(2);
    config.tcp_user_timeout(IDLE * 2);
    config.application_name("tenfold");
    Ok(config)
}

/// Where the database is, without its password.
pub(super) fn place(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        Some(Host::Unix(folder)) => folder.display().to_string(),
        None => "localhost".to_owned(),
    };
    let name = config.get_dbname().or(config.get_user()).unwrap_or("?");
    format!("the PostgreSQL database {name:?} at {host}")
}

fn unreachable(config: &Config, error: &postgres::Error) -> StoreError {
    let mut why: &dyn std::error::Error = error;
    while let Some(source) = why.source() {
        why = source;
    }
    StoreError::Unknown(format!("{} cannot be reached: {why}", place(config)))
}

/// The right to write: a connection that holds the lock, and the epoch that began with it.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) epoch: i64,
    /// The server's process for this connection, and when it began: its name, should it have to be ended.
    session: (i32, String),
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The server takes a moment to see that a connection has ended; the next one to open the store need not wait.
        if !self.connection.is_closed() && !on_a_task() {
            let client = self.connection.client();
            _ = client.map(|client| client.batch_execute("SELECT pg_advisory_unlock_all()"));
        }
    }
}

impl Writer {
    /// Takes the lock and begins an epoch; with it every commit of an earlier holder is refused. `before` is this
    /// process's own earlier connection, if it had one: the server may not have noticed that it is gone.
    pub(super) fn take(config: &Config, before: Option<&Self>) -> Result<Self, StoreError> {
        let mut connection = Connection::open(config)?;
        let client = connection.client()?;
        let durable: String = client.query_one("SHOW fsync", &[])?.get(0);
        if durable != "on" {
            return Err(StoreError::Unsupported(format!(
                "{} runs with fsync={durable}: what it says is written may not be on disk; set fsync=on",
                place(config)
            )));
        }
        if let Some((process, began)) = before.map(|writer| &writer.session) {
            client.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_start::text = $2",
                &[process, began],
            )?;
        }
        let sql = "SELECT pg_try_advisory_lock($1, hashtext(current_schema()))";
        let taken: bool = client.query_one(sql, &[&LOCK])?.get(0);
        if !taken {
            let (epoch, holder) = holder(client).unwrap_or((0, "an unknown process".to_owned()));
            let place = place(config);
            return Err(match before {
                None => StoreError::Held { place, holder },
                Some(before) if before.epoch < epoch => StoreError::TakenOver { place, holder },
                Some(_) => StoreError::Unknown(format!(
                    "{place} has not yet noticed that this coordinator's last connection is gone"
                )),
            });
        }
        let mut transaction = client.transaction()?;
        schema::migrate(&mut transaction, &place(config))?;
        let me = format!("process {} on {}", std::process::id(), host());
        let epoch = transaction
            .query_one(
                "UPDATE meta SET epoch = epoch + 1, holder = $1 RETURNING epoch",
                &[&me],
            )?
            .get(0);
        let session = transaction.query_one(
            "SELECT pid, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()",
            &[],
        )?;
        transaction.commit()?;
        Ok(Self {
            connection,
            epoch,
            session: (session.get(0), session.get(1)),
        })
    }
}

/// The newest epoch, and whose it is.
pub(super) fn holder(client: &mut impl GenericClient) -> Result<(i64, String), postgres::Error> {
    let row = client.query_one("SELECT epoch, holder FROM meta", &[])?;
    Ok((row.get(0), row.get(1)))
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
