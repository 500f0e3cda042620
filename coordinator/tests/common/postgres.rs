//! A PostgreSQL server of the tests' own: a fresh cluster in a temporary folder, on a Unix socket there, as a user that is
//! not root, with nothing turned off that makes commits durable.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The server runs until whoever started it ends, and takes its folder along when it is told to.
const KEEPER: &str = r#"
"$1" -D "$2/data" -k "$2" -c listen_addresses= -c fsync=on -c shared_buffers=16MB >>"$2/log" 2>&1 &
server=$!
trap 'kill -INT $server' TERM
wait $server
wait $server
[ -e "$2/stay" ] || rm -rf "$2"
"#;

pub struct Postgres {
    folder: PathBuf,
    keeper: Option<Child>,
}

impl Postgres {
    /// Makes the cluster and starts its server.
    pub fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("tenfold-pg")
            .tempdir()
            .unwrap()
            .keep();
        if is_root() {
            let given = Command::new("chown")
                .arg("postgres")
                .arg(&folder)
                .status()
                .unwrap();
            assert!(
                given.success(),
                "there is no user postgres: install Debian's postgresql"
            );
        }
        let made = as_user(&binary("initdb"))
            .args([
                "--no-sync",
                "--auth=trust",
                "--username=postgres",
                "--encoding=UTF8",
                "-D",
            ])
            .arg(folder.join("data"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut server = Self { folder, keeper: None };
        server.serve();
        server
    }

    /// Starts the server on its cluster, and waits until it answers.
    pub fn serve(&mut self) {
        _ = fs::remove_file(self.folder.join("stay"));
        let folder = self.folder.clone();
        let (started, keeper) = channel();
        // The kernel ends a child with the thread that started it: this one never ends before its process does.
        thread::spawn(move || {
            let child = as_user(Path::new("sh"))
                .args(["-c", KEEPER, "sh"])
                .arg(binary("postgres"))
                .arg(folder)
                .stdin(Stdio::null())
                .spawn()
                .unwrap();
            started.send(child).unwrap();
            loop {
                thread::park();
            }
        });
        self.keeper = Some(keeper.recv().unwrap());
        let began = Instant::now();
        while postgres::Client::connect(&self.address("postgres"), postgres::NoTls).is_err() {
            let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "no PostgreSQL: {}",
                log()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// `kill -9` of the server, and waits until it is gone.
    pub fn kill(&mut self) {
        fs::write(self.folder.join("stay"), "").unwrap();
        let pid = fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap().parse().unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
        self.keeper.take().unwrap().wait().unwrap();
    }

    /// A new, empty database; its address.
    pub fn database(&self, name: &str) -> String {
        let mut client = postgres::Client::connect(&self.address("postgres"), postgres::NoTls).unwrap();
        client
            .batch_execute(&format!("CREATE DATABASE \"{name}\""))
            .unwrap();
        self.address(name)
    }

    fn address(&self, database: &str) -> String {
        let folder = self.folder.to_str().unwrap().replace('/', "%2F");
        format!("postgres://postgres@{folder}/{database}")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            _ = kill_process(Pid::from_child(&keeper), Signal::TERM);
            _ = keeper.wait();
        }
    }
}

fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

/// A command that ends with the thread that starts it. The server refuses to run as root.
fn as_user(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM"]).current_dir("/");
    if is_root() {
        command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]);
    }
    command.arg(program);
    command
}

/// A program of the newest PostgreSQL that Debian's packages have put there, or of whichever is in the path.
fn binary(name: &str) -> PathBuf {
    let installed = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let newest = installed
        .map(|version| version.path().join("bin").join(name))
        .filter(|program| program.exists())
        .max();
    newest.unwrap_or_else(|| PathBuf::from(name))
}
