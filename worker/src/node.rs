//! What this node has: the trainer program, the data, the devices.

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// A probe loads libtorch and reads the data, which takes a while on a cold disk.
const PROBE: Duration = Duration::from_secs(120);

/// Why a node cannot work, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// There is no trainer program.
    #[error(
        "there is no tenfold-trainer at {0}; build it with `cargo build --release --workspace`, install it beside tenfold-worker, or name it with --trainer"
    )]
    NoTrainer(PathBuf),
    /// It does not start.
    #[error(
        "{program} does not start: {why}\nlibtorch 2.11.0 is needed: run deploy/setup-libtorch.sh and build again, or put the lib folder of a torch 2.11.0 in LD_LIBRARY_PATH"
    )]
    NoLibtorch {
        /// The program.
        program: PathBuf,
        /// What the loader says.
        why: String,
    },
    /// The device asked for is not one.
    #[error("{0:?} is no device; write auto, cpu, cuda:N, or several GPUs as cuda:0,cuda:1")]
    BadDevice(String),
}

/// The trainer: the one named, else the one beside this program.
///
/// # Errors
/// When it is not there.
pub fn trainer(named: Option<&Path>) -> Result<PathBuf, NodeError> {
    let beside = || {
        let own = std::env::current_exe().unwrap_or_default();
        own.parent().unwrap_or(Path::new(".")).join("tenfold-trainer")
    };
    let program = named.map_or_else(beside, Path::to_owned);
    if program.is_file() {
        Ok(program)
    } else {
        Err(NodeError::NoTrainer(program))
    }
}

/// The folder with MNIST: the one named, else `data/mnist` here, else beside the build that this program is from.
pub fn data(named: Option<&Path>) -> PathBuf {
    if let Some(named) = named {
        return named.to_owned();
    }
    let here = PathBuf::from("data/mnist");
    if here.is_dir() {
        return here;
    }
    let own = std::env::current_exe().unwrap_or_default();
    let above = own.ancestors().skip(1).map(|folder| folder.join("data/mnist"));
    above.take(5).find(|folder| folder.is_dir()).unwrap_or(here)
}

/// The folder for what can be found out again: the one named, else that of this user, if there is one.
pub fn cache(named: Option<&Path>) -> Option<PathBuf> {
    let variable = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    named.map(Path::to_owned).or_else(|| {
        variable("XDG_CACHE_HOME")
            .or_else(|| Some(variable("HOME")?.join(".cache")))
            .map(|folder| folder.join("tenfold"))
    })
}

/// A folder of checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoints {
    /// Where it is, or is to be.
    pub folder: PathBuf,
    /// What it may take.
    pub mib: NonZeroU64,
}

impl Checkpoints {
    /// Writes a file there, and removes it.
    ///
    /// # Errors
    /// The file system's.
    pub fn try_out(&self) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)?;
        let file = self.folder.join(format!("doctor-{}", std::process::id()));
        fs::write(&file, "a worker's doctor was here\n")?;
        fs::remove_file(&file)
    }

    /// The folder that is named, else one beside what else is [cached](cache), else in the system's temporary folder; none when
    /// it may take nothing, or may be somebody else's.
    pub fn new(named: Option<&Path>, cached: Option<&Path>, mib: u64) -> Option<Self> {
        let mib = NonZeroU64::new(mib)?;
        let beside = || cache(cached).map(|folder| folder.join("checkpoints"));
        let folder = named.map(Path::to_owned).or_else(beside).or_else(|| {
            // Anybody may have put something there, and what is read from it becomes results.
            let user = rustix::process::getuid().as_raw();
            let own = std::env::temp_dir().join(format!("tenfold-{user}"));
            match is_private(&own, user) {
                Ok(true) => Some(own.join("checkpoints")),
                Ok(false) => {
                    let folder = own.display();
                    tracing::warn!(%folder, "no checkpoints are kept: others can write there, or it is theirs");
                    None
                }
                Err(error) => {
                    let folder = own.display();
                    tracing::warn!(%folder, %error, "no checkpoints are kept");
                    None
                }
            }
        })?;
        Some(Self { folder, mib })
    }
}

/// Whether a folder is this user's alone; it is created if it is not there.
fn is_private(folder: &Path, user: u32) -> io::Result<bool> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let metadata = std::fs::symlink_metadata(folder)?;
    Ok(metadata.is_dir() && metadata.uid() == user && metadata.mode() & 0o077 == 0)
}

/// What a probe of the trainer found: `key=value` lines, in order.
#[derive(Debug, Clone, Default)]
pub struct Probe(Vec<(String, String)>);

impl Probe {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(own, _)| own == key)
            .map(|(_, value)| value.as_str())
    }

    /// GPUs that libtorch can use.
    pub fn cuda_devices(&self) -> usize {
        self.get("cuda_devices")
            .and_then(|count| count.parse().ok())
            .unwrap_or(0)
    }
}

/// Asks the trainer what it finds.
///
/// # Errors
/// When it cannot start at all, as without libtorch.
pub async fn probe(program: &Path, device: &str, data: &Path) -> Result<Probe, NodeError> {
    let broken = |why: String| NodeError::NoLibtorch {
        program: program.to_owned(),
        why,
    };
    let mut command = Command::new(program);
    command
        .arg("--probe")
        .arg("--device")
        .arg(device)
        .arg("--data")
        .arg(data);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PROBE, command.output()).await;
    let output = match output {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(broken(error.to_string())),
        Err(_) => return Err(broken(format!("it said nothing for {} s", PROBE.as_secs()))),
    };
    let lines: Vec<(String, String)> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .collect();
    if lines.is_empty() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(broken(if said.is_empty() {
            format!("it ended with {}", output.status)
        } else {
            said
        }));
    }
    Ok(Probe(lines))
}

/// Whether a GPU can be here at all: without a driver's device file there is none, and no need to load libtorch to ask.
pub fn may_have_gpu() -> bool {
    // The last one is the GPU of Windows' Linux subsystem.
    ["/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg"]
        .iter()
        .any(|file| Path::new(file).exists())
}

/// The device of each slot, and the CPU threads of each: what was asked for, made definite.
///
/// `auto` takes every GPU if there is one, else the CPU. On the CPU there is a slot a core, of one thread each; on
/// GPUs one slot each.
///
/// # Errors
/// For a device that cannot be understood.
pub fn slots(
    device: &str,
    count: Option<usize>,
    threads: Option<usize>,
    probe: &Probe,
) -> Result<Vec<(String, usize)>, NodeError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let devices: Vec<String> = match device {
        "auto" if probe.cuda_devices() > 0 => (0..probe.cuda_devices())
            .map(|gpu| format!("cuda:{gpu}"))
            .collect(),
        "auto" | "cpu" => vec!["cpu".to_owned()],
        "cuda" => (0..probe.cuda_devices().max(1))
            .map(|gpu| format!("cuda:{gpu}"))
            .collect(),
        list => list
            .split(',')
            .map(|one| {
                let number = one
                    .trim()
                    .strip_prefix("cuda:")
                    .and_then(|gpu| gpu.parse::<usize>().ok());
                number
                    .map(|gpu| format!("cuda:{gpu}"))
                    .ok_or_else(|| NodeError::BadDevice(device.to_owned()))
            })
            .collect::<Result<_, _>>()?,
    };
    let on_cpu = devices.iter().all(|device| device == "cpu");
    let count = count.unwrap_or(if on_cpu {
        (cores / threads.unwrap_or(1)).max(1)
    } else {
        devices.len()
    });
    Ok((0..count)
        .map(|slot| (devices[slot % devices.len()].clone(), threads.unwrap_or(1)))
        .collect())
}

/// The arguments of a slot's trainer.
pub fn arguments(
    device: &str,
    threads: usize,
    data: &Path,
    checkpoints: Option<&Checkpoints>,
) -> Vec<OsString> {
    let mut arguments = vec![
        "--device".into(),
        device.into(),
        "--threads".into(),
        threads.to_string().into(),
        "--data".into(),
        data.into(),
        "--checkpoint-mib".into(),
        checkpoints.map_or(0, |kept| kept.mib.get()).to_string().into(),
    ];
    if let Some(kept) = checkpoints {
        arguments.extend(["--checkpoints".into(), kept.folder.clone().into()]);
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(gpus: usize) -> Probe {
        Probe(vec![("cuda_devices".to_owned(), gpus.to_string())])
    }

    #[test]
    fn devices_become_slots() {
        let names = |device: &str, count, gpus| {
            let slots = slots(device, count, Some(1), &found(gpus)).unwrap();
            slots.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(names("cpu", Some(2), 4), ["cpu", "cpu"]);
        assert_eq!(names("auto", None, 2), ["cuda:0", "cuda:1"]);
        assert_eq!(names("auto", Some(1), 0), ["cpu"]);
        assert_eq!(names("cuda:1", None, 2), ["cuda:1"]);
        assert_eq!(
            names("cuda:0,cuda:1", Some(4), 2),
            ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
        );
        assert!(slots("gpu", None, None, &found(0)).is_err());
    }
}
