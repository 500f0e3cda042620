//! Refusing a connection so that its peer hears why: HTTP/2's GOAWAY with ENHANCE_YOUR_CALM, which clients of gRPC
//! report as RESOURCE_EXHAUSTED. A peer left in the system's backlog instead would wait without a word.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::connection::PREFACE;

/// Peers that are told why at the same time; others are cut off without a word.
const AT_ONCE: usize = 16;
/// How long one may take to hear it.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long one may take to make a call.
const CALL: Duration = Duration::from_secs(1);
/// Bytes of a peer's that are looked at for a call.
const HEARD: usize = 16 << 10;

/// What a refused peer is told.
pub(super) struct Refuser {
    goaway: Arc<[u8]>,
    places: Arc<Semaphore>,
}

impl Refuser {
    /// For a server that takes so many connections.
    pub(super) fn new(connections: usize) -> Self {
        let why =
            format!("the coordinator has all its {connections} connections taken; try again in a moment");
        Self {
            goaway: goaway(&why).into(),
            places: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Says why, and closes the connection. A peer that hears it before it has asked for anything has nothing to report it
    /// for, and says only that it was cut off: so its first call is awaited, for a while.
    pub(super) fn refuse(&self, mut stream: TcpStream) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return;
        };
        let goaway = Arc::clone(&self.goaway);
        tokio::spawn(async move {
            let farewell = async {
                stream.write_all(&settings()).await?;
                _ = timeout(CALL, called(&mut stream)).await;
                stream.write_all(&goaway).await?;
                stream.shutdown().await?;
                // What has not been read when a socket is closed resets the connection, and takes the farewell along.
                let mut heard = [0; 1024];
                while stream.read(&mut heard).await? > 0 {}
                io::Result::Ok(())
            };
            _ = timeout(PATIENCE, farewell).await;
            drop(place);
        });
    }
}

/// Waits for the peer's preface and a call.
async fn called(stream: &mut TcpStream) -> io::Result<()> {
    let mut heard = Vec::new();
    while heard.len() < HEARD && !has_call(&heard) && stream.read_buf(&mut heard).await? > 0 {}
    Ok(())
}

/// Whether there are HEADERS among the frames behind the preface.
fn has_call(heard: &[u8]) -> bool {
    const HEADERS: u8 = 1;
    let mut frames = heard.get(PREFACE.len()..).unwrap_or_default();
    while let [a, b, c, kind, ..] = frames {
        if *kind == HEADERS {
            return true;
        }
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        frames = frames.get(HEADER + length..).unwrap_or_default();
    }
    false
}

/// Bytes of a frame's header.
const HEADER: usize = 9;

/// A frame of the connection itself, without flags (RFC 9113, section 4.1).
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let header: [u8; HEADER] = [length[1], length[2], length[3], kind, 0, 0, 0, 0, 0];
    [&header, payload].concat()
}

/// Empty SETTINGS, which a server must send first (section 6.5).
fn settings() -> Vec<u8> {
    const SETTINGS: u8 = 4;
    frame(SETTINGS, &[])
}

/// GOAWAY (section 6.8).
fn goaway(why: &str) -> Vec<u8> {
    const GOAWAY: u8 = 7;
    const ENHANCE_YOUR_CALM: u32 = 0xb;
    let last_stream = 0_u32.to_be_bytes();
    let payload = [&last_stream, &ENHANCE_YOUR_CALM.to_be_bytes(), why.as_bytes()].concat();
    frame(GOAWAY, &payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_seen_behind_other_frames_and_no_sooner() {
        const HEADERS: u8 = 1;
        const WINDOW_UPDATE: u8 = 8;
        let update = frame(WINDOW_UPDATE, &[0, 0, 1, 0]);
        let before = [&PREFACE[..], &settings(), &update].concat();
        let call = [&before[..], &frame(HEADERS, b"anything")].concat();
        for length in 0..call.len() {
            // The kind is the fourth byte of a frame.
            assert_eq!(has_call(&call[..length]), length >= before.len() + 4, "{length}");
        }
    }
}
