//! Leases that are stale for sure, since their worker was away for longer than term and grace: nothing of them may be
//! accepted any more, and nobody may train them for long once the worker is back.

use std::collections::BTreeMap;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::world::World;

/// A trainer of a stale lease is at rest so soon after its worker is back.
const DEAD_WITHIN: u64 = 30_000;
/// Whoever has trained an epoch so shortly before its worker was back was still training, in milliseconds.
const JUST_BEFORE: u64 = 1_000;

/// Fences of stale leases.
#[derive(Default)]
pub(crate) struct Stale {
    /// When their worker came back, in milliseconds since 1970.
    fences: BTreeMap<u64, u64>,
}

impl Stale {
    /// To be called just before a worker is back that was away for longer than term and grace.
    pub(crate) fn note(&mut self, world: &World, worker: &str) {
        let store = world.store();
        // Those that are accepted were so before it went away, or while its words were still on their way.
        let sql = "SELECT fence FROM lease WHERE host = ?1 AND fence NOT IN \
                   (SELECT fence FROM trial WHERE state IN (4, 5))";
        let mut leases = store.prepare(sql).unwrap();
        let fences = leases.query_map([worker], |row| row.get::<_, i64>(0)).unwrap();
        for fence in fences {
            self.fences
                .entry(fence.unwrap().cast_unsigned())
                .or_insert_with(now);
        }
    }

    /// Waits until a trainer of these leases has had the time to notice.
    pub(crate) fn until_dead(&self, world: &World) {
        let silent = |quiet: u64| {
            let last = self.trained(world).into_iter().map(|(_, when)| when).max();
            last.is_none_or(|last| last + quiet < now())
        };
        world.until("stale trainers are at rest", || silent(2_000).then_some(()));
    }

    /// Epochs of these leases, and when they were trained.
    fn trained(&self, world: &World) -> Vec<(u64, u64)> {
        let journal = fs::read_to_string(world.folder.path().join("trained")).unwrap_or_default();
        let lines = journal.lines().map(|line| {
            let mut words = line.split(' ').map(|word| word.parse::<u64>().unwrap());
            let (when, fence) = (words.next().unwrap(), words.next().unwrap());
            (fence, when)
        });
        lines
            .filter(|(fence, _)| self.fences.contains_key(fence))
            .collect()
    }

    /// How many there were, how many of them were in training just before their worker was back, and for how many
    /// milliseconds at most they still were afterwards.
    pub(crate) fn assert_refused(&self, world: &World) -> (usize, usize, u64) {
        sleep(Duration::from_millis(500));
        let store = world.store();
        let mut accepted = store
            .prepare("SELECT fence FROM trial WHERE state IN (4, 5)")
            .unwrap();
        let accepted = accepted.query_map([], |row| row.get::<_, i64>(0)).unwrap();
        for fence in accepted {
            let fence = fence.unwrap().cast_unsigned();
            assert!(
                !self.fences.contains_key(&fence),
                "a write of the stale fence {fence} was accepted"
            );
        }
        let mut last = BTreeMap::new();
        for (fence, when) in self.trained(world) {
            last.insert(fence, when);
        }
        let back = |fence: &u64| self.fences[fence];
        let training = last
            .iter()
            .filter(|(fence, when)| **when + JUST_BEFORE > back(fence))
            .count();
        let longest = last
            .iter()
            .map(|(fence, when)| when.saturating_sub(back(fence)))
            .max();
        let longest = longest.unwrap_or(0);
        assert!(training > 0, "no stale trainer was training");
        assert!(longest < DEAD_WITHIN, "a stale trainer lived on for {longest} ms");
        (self.fences.len(), training, longest)
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis()
        .try_into()
        .unwrap()
}
