//! `tenfold-worker doctor`: what this node has, what it lacks, and what to do about that.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use tenfold_proto::dial::Addresses;
use tenfold_proto::v1::control_client::ControlClient;
use tenfold_proto::{v1, version};
use tenfold_types::printable;

use crate::node;
use crate::throughput::Cache;

/// What is looked at.
pub struct Checkup<'a> {
    /// The device asked for.
    pub device: &'a str,
    /// The trainer named, if one is.
    pub trainer: Option<&'a Path>,
    /// The data folder.
    pub data: &'a Path,
    /// The coordinator.
    pub coordinator: &'a Addresses,
    /// Where sizes of packs are kept.
    pub cache: &'a Cache,
    /// Where checkpoints are kept, if they are.
    pub checkpoints: Option<node::Checkpoints>,
}

/// What a checkup comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is missing.
    Well,
    /// Something is.
    Missing,
    /// Whoever read the findings has gone away.
    Unread,
}

/// Prints a line a finding.
pub async fn run(checkup: Checkup<'_>) -> Verdict {
    let (mut well, mut unread) = (true, false);
    let mut say = |good: bool, what: &str, text: &str| {
        well &= good;
        // A coordinator's words may be among them.
        let text = printable::lines(text);
        let mut lines = text.lines();
        let mut finding = format!(
            "{} {what:<12} {}\n",
            if good { "ok     " } else { "missing" },
            lines.next().unwrap_or_default()
        );
        for line in lines {
            finding.push_str(&format!("        {:<12} {line}\n", ""));
        }
        let written = std::io::stdout().lock().write_all(finding.as_bytes());
        unread |= written.is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe);
    };
    say(
        true,
        "version",
        &format!("tenfold-worker {}", env!("CARGO_PKG_VERSION")),
    );
    match node::trainer(checkup.trainer) {
        Err(error) => say(false, "trainer", &error.to_string()),
        Ok(program) => {
            say(true, "trainer", &program.display().to_string());
            let device = if checkup.device == "auto" {
                "cpu"
            } else {
                checkup.device
            };
            match node::probe(&program, device.split(',').next().unwrap_or("cpu"), checkup.data).await {
                Err(error) => say(false, "libtorch", &error.to_string()),
                Ok(probe) => {
                    say(
                        true,
                        "libtorch",
                        probe.get("libtorch").unwrap_or("loads, of unknown version"),
                    );
                    let cores = std::thread::available_parallelism().map_or(1, usize::from);
                    say(
                        true,
                        "cpu",
                        &format!("{cores} cores{}", memory(&probe, "memory", " free")),
                    );
                    let gpus = probe.cuda_devices();
                    for gpu in 0..gpus {
                        let name = probe.get(&format!("device_{gpu}.name")).unwrap_or("a GPU");
                        let memory = memory(&probe, &format!("device_{gpu}.memory"), "");
                        say(true, &format!("cuda:{gpu}"), &format!("{name}{memory}"));
                    }
                    if gpus == 0 && checkup.device.starts_with("cuda") {
                        let why = probe.get("cuda").unwrap_or("libtorch finds no GPU");
                        say(
                            false,
                            checkup.device,
                            &format!(
                                "{why}\nrun CUDA=1 deploy/setup-libtorch.sh on a machine with an NVIDIA driver"
                            ),
                        );
                    }
                    match probe.get("data") {
                        Some("ok") => say(true, "data", &checkup.data.display().to_string()),
                        other => say(
                            false,
                            "data",
                            &format!(
                                "{}\nrun deploy/setup-mnist.sh, or name the folder with --data",
                                other.unwrap_or("the trainer did not say")
                            ),
                        ),
                    }
                }
            }
        }
    }
    let known = match checkup.cache.load().len() {
        0 => "no sizes of packs yet".to_owned(),
        1 => "1 size of packs".to_owned(),
        several => format!("{several} sizes of packs"),
    };
    say(
        true,
        "throughput",
        &format!("{known}, in {}", checkup.cache.path().display()),
    );
    match &checkup.checkpoints {
        None => say(true, "checkpoints", "none are kept: every trial is trained whole"),
        Some(kept) => match kept.try_out() {
            Ok(()) => say(
                true,
                "checkpoints",
                &format!("at most {} MiB, in {}", kept.mib, kept.folder.display()),
            ),
            Err(error) => say(
                false,
                "checkpoints",
                &format!(
                    "{}: {error}\nname a folder with --checkpoints, or keep none with --checkpoint-mib 0",
                    kept.folder.display()
                ),
            ),
        },
    }
    let address = checkup.coordinator.to_string();
    match reach(checkup.coordinator).await {
        Ok(()) => say(true, "coordinator", &address),
        Err(why) => say(
            false,
            "coordinator",
            &format!(
                "{address} does not answer: {why}\nstart one with `tenfold serve`, or name it with --coordinator"
            ),
        ),
    }
    match (unread, well) {
        (true, _) => Verdict::Unread,
        (false, true) => Verdict::Well,
        (false, false) => Verdict::Missing,
    }
}

/// `, 22 GiB free`, if the trainer says how much.
fn memory(probe: &node::Probe, key: &str, what: &str) -> String {
    let bytes = probe.get(key).and_then(|text| text.parse::<u64>().ok());
    bytes.map_or_else(String::new, |bytes| format!(", {} GiB{what}", bytes >> 30))
}

/// Asks something harmless, so that it is known to be a coordinator and not just an open port.
async fn reach(coordinator: &Addresses) -> Result<(), String> {
    let channel = coordinator.clone().within(Duration::from_secs(3)).connect().await;
    let channel = channel.map_err(|error| {
        std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string)
    })?;
    let mut request = tonic::Request::new(v1::WorkersRequest::default());
    request.set_timeout(Duration::from_secs(3));
    let answer = ControlClient::new(channel).workers(request).await;
    let answer = answer.map_err(|status| status.message().to_owned())?;
    version::check_coordinator(answer.metadata())
}
