//! Networks that are cut for longer than term and grace, one way or both, and are whole again.

use std::thread::sleep;
use std::time::Duration;

use rand::RngExt;

use crate::common::Start;
use crate::form::{form, random, seen};
use crate::proxy::Proxy;
use crate::stale::Stale;
use crate::world::{Shape, World, pause};

/// Term and grace, in seconds.
const TERM: u32 = 1;
const GRACE: u32 = 1;
/// A trial lasts for longer than the network is cut.
const EPOCH_MS: u32 = 500;

#[test]
fn partitions() {
    let mut random = random("partitions");
    let start = Start {
        lease_term: TERM,
        grace: GRACE,
        ..Start::default()
    };
    let rounds = form(3, 34);
    let trials = form(25, 300);
    let shape = Shape { trials, epochs: 12 };
    let world = World::new(shape, start);
    // Three behind networks of their own, and one that nothing comes in between.
    let proxies = [(); 3].map(|()| Proxy::before(world.port));
    let names = ["first", "second", "third"];
    let start = |(name, proxy): (&&str, &Proxy)| world.fake_worker(name, &proxy.address(), 2, EPOCH_MS);
    let workers: Vec<_> = names.iter().zip(&proxies).map(start).collect();
    let steady = world.worker("steady", 1, EPOCH_MS);
    let mut stale = Stale::default();
    for _ in 0..rounds {
        world.until_progress();
        pause(&mut random, 500..2_500);
        let ways = [(true, false), (false, true), (true, true)];
        let cuts = [(); 3].map(|()| ways[random.random_range(0..ways.len())]);
        for (proxy, (to_coordinator, to_worker)) in proxies.iter().zip(cuts) {
            proxy.cut(to_coordinator, to_worker);
        }
        sleep(Duration::from_secs((TERM + GRACE).into()));
        pause(&mut random, 700..2_000);
        world.assert_going();
        for ((name, proxy), (to_coordinator, _)) in names.iter().zip(&proxies).zip(cuts) {
            // A worker that is still heard keeps its leases, though it hears nothing itself.
            if to_coordinator {
                stale.note(&world, name);
            }
            if random.random_range(0..4) == 0 {
                proxy.reset();
            }
            proxy.heal();
        }
    }
    stale.until_dead(&world);
    let (leases, training, longest) = stale.assert_refused(&world);
    assert!(leases >= rounds, "{leases} leases alone became stale");
    let world = world.assert_undisturbed();
    drop((workers, steady, world));
    seen(
        "network cut for longer than term and grace, one way or both",
        proxies.len() * rounds,
        &format!(
            "{leases} leases stale, none accepted, {training} still in training, at rest after {longest} ms; results equal"
        ),
    );
}
