//! How large packs train best on this node, as measured, and kept from one start to the next.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;
use tenfold_types::ShapeKey;
use tenfold_types::frame::{Device, Rate};

use crate::node;

/// The form of the file.
const VERSION: u32 = 1;
/// A size whose rate is at least this share of the best one's is as good: a smaller pack is done earlier, and less of it
/// is lost with its trainer.
const AS_GOOD: f64 = 0.95;

/// What a size depends on beside the shape: the device and the versions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Machine(String);

impl Machine {
    /// That of a trainer which trains so many trials at once.
    pub fn new(device: &Device, lanes: u32) -> Self {
        Self(format!(
            "{} {}, {lanes} at once, libtorch {}, tenfold {}",
            device.kind,
            device.name,
            device.libtorch,
            env!("CARGO_PKG_VERSION")
        ))
    }
}

/// The best size of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Size {
    /// Trials.
    pub trials: u32,
    /// Epochs of all of them together in a second, when it was measured.
    pub epochs_per_second: f64,
}

impl Size {
    /// The smallest size that is as good as the best; none when nothing was measured.
    pub fn best(rates: &[Rate]) -> Option<Self> {
        let best = rates
            .iter()
            .map(|rate| rate.epochs_per_second)
            .fold(0.0, f64::max);
        let good = rates
            .iter()
            .filter(|rate| rate.epochs_per_second >= AS_GOOD * best);
        good.min_by_key(|rate| rate.trials).map(|rate| Self {
            trials: rate.trials,
            epochs_per_second: rate.epochs_per_second,
        })
    }
}

/// Sizes of packs by machine and shape.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table(BTreeMap<(Machine, ShapeKey), Size>);

impl Table {
    /// The size of a shape, if it is known.
    pub fn get(&self, machine: &Machine, shape: ShapeKey) -> Option<Size> {
        self.0.get(&(machine.clone(), shape)).copied()
    }

    /// All sizes of a machine.
    pub fn of<'a>(&'a self, machine: &'a Machine) -> impl Iterator<Item = (ShapeKey, Size)> + 'a {
        let known = self.0.iter().filter(move |((of, _), _)| of == machine);
        known.map(|((_, shape), size)| (*shape, *size))
    }

    /// Notes a size.
    pub fn insert(&mut self, machine: Machine, shape: ShapeKey, size: Size) {
        self.0.insert((machine, shape), size);
    }

    /// How many sizes it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    machines: BTreeMap<String, BTreeMap<String, Size>>,
}

/// Where tables are kept: a file in a folder, which workers of one node may share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache(PathBuf);

impl Cache {
    /// In this folder, or where the system keeps what can be found out again.
    pub fn new(folder: Option<&Path>) -> Self {
        let folder = node::cache(folder);
        Self(folder.unwrap_or_else(std::env::temp_dir).join("throughput.json"))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What it has. A file that is missing is an empty table, and so is one that cannot be read: what it had can be
    /// measured again.
    pub fn load(&self) -> Table {
        match self.read() {
            Ok(table) => table,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Table::default(),
            Err(error) => {
                tracing::warn!(file = %self.0.display(), %error, "the table of throughputs is begun anew");
                Table::default()
            }
        }
    }

    fn read(&self) -> io::Result<Table> {
        let text = std::fs::read(&self.0)?;
        let file: File = serde_json::from_slice(&text)?;
        if file.version != VERSION {
            let message = format!("it is of form {}, this version reads {VERSION}", file.version);
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let mut table = Table::default();
        for (machine, sizes) in file.machines {
            for (shape, size) in sizes {
                let shape = u64::from_str_radix(&shape, 16).map_err(io::Error::other)?;
                if size.trials > 0 {
                    table.insert(Machine(machine.clone()), ShapeKey(shape), size);
                }
            }
        }
        Ok(table)
    }

    /// Adds a size to what the file has by now, and replaces it as a whole.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn learn(&self, machine: &Machine, shape: ShapeKey, size: Size) -> io::Result<()> {
        // The slots of a worker may learn at once. Another worker of the node that does may take a size out again,
        // which is then measured once more.
        static LEARNING: Mutex<()> = Mutex::new(());
        let _one_at_a_time = LEARNING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut table = self.load();
        table.insert(machine.clone(), shape, size);
        let mut machines: BTreeMap<String, BTreeMap<String, Size>> = BTreeMap::new();
        for ((machine, shape), size) in &table.0 {
            let sizes = machines.entry(machine.0.clone()).or_default();
            sizes.insert(shape.to_string(), *size);
        }
        let folder = self.0.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        // Beside it and then in its place, so that no reader sees half of it.
        let beside = NamedTempFile::new_in(folder)?;
        let file = File {
            version: VERSION,
            machines,
        };
        serde_json::to_writer_pretty(&beside, &file)?;
        beside.persist(&self.0)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tenfold_types::DeviceKind;

    use super::*;

    fn machine(name: &str) -> Machine {
        let device = Device {
            kind: DeviceKind::Cuda,
            name: name.to_owned(),
            threads: 1,
            libtorch: "2.11.0".to_owned(),
        };
        Machine::new(&device, 1)
    }

    #[test]
    fn the_smallest_size_that_is_as_good_is_the_best() {
        let rate = |trials, epochs_per_second| Rate {
            trials,
            epochs_per_second,
            bytes: 0,
        };
        let best = |rates: &[Rate]| Size::best(rates).map(|size| size.trials);
        assert_eq!(
            best(&[rate(1, 10.0), rate(4, 39.0), rate(16, 40.0), rate(64, 40.5)]),
            Some(4)
        );
        assert_eq!(best(&[rate(1, 10.0), rate(4, 30.0), rate(16, 40.0)]), Some(16));
        assert_eq!(best(&[rate(1, 0.0), rate(4, 0.0)]), Some(1));
        assert_eq!(best(&[]), None);
    }

    #[test]
    fn a_table_outlives_its_worker_and_several_may_add_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(Some(&folder.path().join("not there yet")));
        assert!(cache.load().is_empty());
        let size = |trials| Size {
            trials,
            epochs_per_second: 0.1 + f64::from(trials),
        };
        cache.learn(&machine("A"), ShapeKey(1), size(16)).unwrap();
        let other = Cache::new(cache.path().parent());
        other.learn(&machine("B"), ShapeKey(1), size(4)).unwrap();
        cache.learn(&machine("A"), ShapeKey(u64::MAX), size(64)).unwrap();
        let table = cache.load();
        assert_eq!(table.len(), 3);
        assert_eq!(table.get(&machine("A"), ShapeKey(1)), Some(size(16)));
        assert_eq!(table.get(&machine("B"), ShapeKey(1)), Some(size(4)));
        assert_eq!(table.get(&machine("B"), ShapeKey(u64::MAX)), None);
        assert_eq!(table.of(&machine("A")).count(), 2);
    }

    #[test]
    fn slots_that_learn_at_once_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(Some(folder.path()));
        let size = Size {
            trials: 3,
            epochs_per_second: 1.0,
        };
        std::thread::scope(|scope| {
            for slot in 0..8_u64 {
                let cache = &cache;
                scope.spawn(move || {
                    for shape in 0..20 {
                        let shape = ShapeKey(100 * slot + shape);
                        cache.learn(&machine("A"), shape, size).unwrap();
                    }
                });
            }
        });
        assert_eq!(cache.load().len(), 160);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_no_table_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(Some(folder.path()));
        let none =
            r#"{"version":1,"machines":{"A":{"0000000000000001":{"trials":0,"epochs_per_second":1.0}}}}"#;
        for text in ["", "{}", "<html>", r#"{"version":2,"machines":{}}"#, none] {
            std::fs::write(cache.path(), text).unwrap();
            assert!(cache.load().is_empty(), "{text}");
        }
        let size = Size {
            trials: 3,
            epochs_per_second: 1.0,
        };
        cache.learn(&machine("A"), ShapeKey(1), size).unwrap();
        assert_eq!(cache.load().len(), 1);
    }
}
