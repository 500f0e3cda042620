//! The accept loop: takes connections up to a limit, outlives a system that has no more files, and hands over only
//! those that have begun to speak HTTP/2.
//!
//! The transport has no bound on how long a peer may take for its preface, and its keepalive begins behind it. So the
//! preface is read here, in a time that is bounded: a socket that says nothing never reaches the transport, neither
//! while it serves nor when it shuts down.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

use super::connection::{Connection, PREFACE};
use super::refuse::Refuser;
use crate::shutdown::Shutdown;

/// How long a peer may take for its preface.
const PREFACE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pauses after an accept that failed for want of something: the first, doubled with each, and the longest.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_CAP: Duration = Duration::from_secs(1);

/// Takes connections.
pub(super) struct Accept {
    pub(super) listener: TcpListener,
    /// One for each connection that may be open.
    pub(super) seats: Arc<Semaphore>,
    pub(super) refuser: Refuser,
    /// Where those go that speak HTTP/2.
    pub(super) out: mpsc::Sender<io::Result<Connection>>,
    /// No more are taken.
    pub(super) stop: Shutdown,
    /// Those that are open end.
    pub(super) cut: Shutdown,
}

impl Accept {
    /// Until the server shuts down.
    pub(super) async fn run(mut self) {
        let mut failures = Failures::default();
        let mut full = false;
        loop {
            let accepted = tokio::select! {
                () = self.stop.wait() => return,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    failures.over();
                    match Arc::clone(&self.seats).try_acquire_owned() {
                        Ok(seat) => {
                            full = false;
                            self.greet(stream, seat);
                        }
                        Err(_) => {
                            if !std::mem::replace(&mut full, true) {
                                tracing::warn!("all connections are taken; further ones are refused");
                            }
                            self.refuser.refuse(stream);
                        }
                    }
                }
                Err(error) => {
                    let pause = failures.another(&error);
                    tokio::select! {
                        () = self.stop.wait() => return,
                        () = tokio::time::sleep(pause) => {}
                    }
                }
            }
        }
    }

    /// Reads the preface beside the loop, and hands the connection over.
    fn greet(&self, mut stream: TcpStream, seat: OwnedSemaphorePermit) {
        let (out, mut stop, cut) = (self.out.clone(), self.stop.clone(), self.cut.clone());
        tokio::spawn(async move {
            // Without it answers wait for the peer's acknowledgement of earlier ones.
            _ = stream.set_nodelay(true);
            let mut preface = [0; PREFACE.len()];
            let read = timeout(PREFACE_TIMEOUT, stream.read_exact(&mut preface));
            let read = tokio::select! {
                () = stop.wait() => return,
                read = read => read,
            };
            if matches!(read, Ok(Ok(_))) && preface == *PREFACE {
                _ = out.send(Ok(Connection::new(stream, seat, cut))).await;
            }
        });
    }
}

/// A row of accepts that failed.
#[derive(Default)]
struct Failures {
    row: u32,
}

impl Failures {
    /// How long to pause after one more. What the peer did needs no pause: each such failure uses a connection up.
    fn another(&mut self, error: &io::Error) -> Duration {
        use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
        if matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
            return Duration::ZERO;
        }
        if self.row == 0 {
            tracing::error!(%error, "no connection can be taken; those that are open go on, and it is tried again");
        }
        let pause = PAUSE.saturating_mul(1 << self.row.min(16)).min(PAUSE_CAP);
        self.row = self.row.saturating_add(1);
        pause
    }

    fn over(&mut self) {
        if self.row > 0 {
            tracing::info!("connections are taken again");
        }
        self.row = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_pause_longer_and_longer_and_one_success_ends_them() {
        let no_files = io::Error::from_raw_os_error(24);
        let gone = io::Error::from(io::ErrorKind::ConnectionAborted);
        let mut failures = Failures::default();
        assert_eq!(failures.another(&gone), Duration::ZERO);
        assert_eq!(failures.another(&no_files), PAUSE);
        assert_eq!(failures.another(&gone), Duration::ZERO);
        assert_eq!(failures.another(&no_files), PAUSE * 2);
        for _ in 0..100 {
            assert!(failures.another(&no_files) <= PAUSE_CAP);
        }
        failures.over();
        assert_eq!(failures.another(&no_files), PAUSE);
    }
}
