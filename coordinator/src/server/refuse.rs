//! Refusing a connection so that its peer hears why: HTTP/2's GOAWAY with ENHANCE_YOUR_CALM, which clients of gRPC
//! report as RESOURCE_EXHAUSTED. A peer left in the system's backlog instead would wait without a word.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Peers that are told why at the same time; others are cut off without a word.
const AT_ONCE: usize = 16;
/// How long one may take to hear it.
const PATIENCE: Duration = Duration::from_secs(1);

/// The two frames that a refused peer is sent.
pub(super) struct Refuser {
    frames: Arc<[u8]>,
    places: Arc<Semaphore>,
}

impl Refuser {
    /// For a server that takes so many connections.
    pub(super) fn new(connections: usize) -> Self {
        let why =
            format!("the coordinator has all its {connections} connections taken; try again in a moment");
        Self {
            frames: goaway(&why).into(),
            places: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Says why, and closes the connection.
    pub(super) fn refuse(&self, mut stream: TcpStream) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return;
        };
        let frames = Arc::clone(&self.frames);
        tokio::spawn(async move {
            let farewell = async {
                stream.write_all(&frames).await?;
                stream.shutdown().await?;
                // What has not been read when a socket is closed resets the connection, and takes the farewell along.
                let mut heard = [0; 1024];
                while stream.read(&mut heard).await? > 0 {}
                std::io::Result::Ok(())
            };
            _ = timeout(PATIENCE, farewell).await;
            drop(place);
        });
    }
}

/// Empty SETTINGS, which a server must send first, then GOAWAY (RFC 9113, sections 4.1, 6.5 and 6.8).
fn goaway(why: &str) -> Vec<u8> {
    const SETTINGS: u8 = 4;
    const GOAWAY: u8 = 7;
    const ENHANCE_YOUR_CALM: u32 = 0xb;
    let frame = |kind: u8, payload: &[u8]| {
        let length = (payload.len() as u32).to_be_bytes();
        // Length in 24 bits, kind, no flags, the connection itself for a stream.
        let header = [length[1], length[2], length[3], kind, 0, 0, 0, 0, 0];
        [&header, payload].concat()
    };
    let last_stream = 0_u32.to_be_bytes();
    let payload = [&last_stream, &ENHANCE_YOUR_CALM.to_be_bytes(), why.as_bytes()].concat();
    [frame(SETTINGS, &[]), frame(GOAWAY, &payload)].concat()
}
