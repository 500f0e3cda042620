//! Workers that train nothing: they take packs and hand over made-up curves. They live in a process of their own, in one
//! thread, so that what they need is not taken for the coordinator's.

mod encoded;
mod work;
mod worker;

use std::io::{BufRead, Write};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

pub(crate) use encoded::{Leased, epochs};
pub(crate) use worker::Worker;

/// What a process of workers is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Work {
    /// Where the coordinator is.
    pub(crate) address: String,
    pub(crate) workers: u32,
    /// Trials that each takes at once, at most.
    pub(crate) pack: u32,
    pub(crate) how: How,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum How {
    /// Whole curves with their ends, as fast as they are taken, until so many trials are done.
    Whole { trials: u64 },
    /// A trial each, of which an epoch comes every so many milliseconds, for so many seconds.
    Paced { every: u64, seconds: u64 },
    /// A trial each, of which an epoch comes when the word is given, however often the connection has to be made anew.
    Returning,
}

/// What came of it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Said {
    /// Trials that were ended.
    pub(crate) trials: u64,
    /// Milliseconds that each epoch took: from when it was due to its acknowledgement, or from the word.
    pub(crate) latencies: Vec<f32>,
    /// Seconds from the first epoch that was due to the last acknowledgement.
    pub(crate) took: f64,
}

/// Does the work. Says `ready` on standard output when all are connected, begins when a line comes in, and ends with
/// [`Said`] as a line of JSON.
pub(crate) fn run(work: &Work) {
    // Each worker has a connection.
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let said = runtime.block_on(work::work(work));
    println!("{}", serde_json::to_string(&said).unwrap());
    // What is still waited for is of no interest.
    runtime.shutdown_background();
}

/// Says that all are there, and waits for the word.
async fn ready() {
    println!("ready");
    std::io::stdout().flush().unwrap();
    let word = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).unwrap();
    });
    word.await.unwrap();
}
