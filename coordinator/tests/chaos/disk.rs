//! A disk that is full at random points, and has room again.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::common::{SmallDisk, Start, fake_worker_in, text};
use crate::form::{form, random, seen};
use crate::world::{NAME, Shape, World, pause};

/// In KiB.
const SIZE: u32 = 24 << 10;

/// Writes to a file until there is no room left.
fn fill(ballast: &Path) {
    let mut file = fs::File::create(ballast).unwrap();
    for size in [64 << 10, 4 << 10, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

#[test]
fn full_at_random() {
    let mut random = random("full_at_random");
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path(), SIZE) else {
        return;
    };
    let times = form(5, 50);
    let shape = Shape::of(form(60, 600));
    let mut world = World::stopped(shape, Start::default(), folder);
    world.serve();
    world.submit();
    // What workers write is not on that disk.
    let elsewhere = tempfile::tempdir().unwrap();
    let _workers = [0, 1].map(|number| {
        fake_worker_in(
            elsewhere.path(),
            &format!("worker-{number}"),
            &world.address(),
            2,
            form(40, 60),
        )
    });
    let ballast = disk.0.join("ballast");
    let (mut slowest, mut small) = (Duration::ZERO, 0);
    for _ in 0..times {
        world.until_progress();
        pause(&mut random, 0..500);
        fill(&ballast);
        // Orders of people are refused as soon as they need room, and nothing else is.
        let refused = world.until("something is refused", || {
            small += 1;
            let sweep = elsewhere.path().join("small.toml");
            let text = format!("name = \"small\"\nseed = {small}\nrepetitions = 1\nepochs = 1\n[settings]\narchitecture = \"perceptron-10\"\n");
            fs::write(&sweep, text).unwrap();
            let output = world.try_command(&["submit", sweep.to_str().unwrap()]);
            (!output.status.success()).then_some(output)
        });
        world.assert_alive();
        let complaint = text(&refused.stderr);
        assert!(
            refused.status.code() == Some(4) && complaint.contains("room"),
            "{complaint}"
        );
        let shown = world.try_command(&["show", NAME]);
        assert!(
            shown.status.success(),
            "what is there cannot be read: {}",
            text(&shown.stderr)
        );
        pause(&mut random, 0..1_500);
        world.assert_alive();
        fs::remove_file(&ballast).unwrap();
        let began = Instant::now();
        world.until_progress();
        slowest = slowest.max(began.elapsed());
    }
    world.assert_going();
    assert!(
        slowest < Duration::from_secs(5),
        "it took {slowest:?} until it went on"
    );
    let world = world.assert_undisturbed();
    drop((world, disk));
    seen(
        "disk full at random",
        times,
        &format!(
            "writes refused with RESOURCE_EXHAUSTED, reads go on, at work again within {:.1} s, results equal, store whole",
            slowest.as_secs_f64()
        ),
    );
}
