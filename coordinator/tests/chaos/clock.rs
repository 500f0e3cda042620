//! A clock that is set back by an hour, and forward again, under a coordinator that runs or is started.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::Start;
use crate::form::{form, random, seen};
use crate::world::{Shape, World, pause};

#[test]
fn set_back_an_hour() {
    let mut random = random("set_back_an_hour");
    let folder = tempfile::tempdir().unwrap();
    let shim = folder.path().join("clock.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chaos/clock.c");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&shim)
        .arg(source)
        .status()
        .unwrap();
    assert!(built.success());
    let offset = folder.path().join("offset");
    let set = |seconds: i32| fs::write(&offset, format!("{seconds}\n")).unwrap();
    set(0);
    let start = Start {
        environment: vec![
            ("LD_PRELOAD", shim.display().to_string()),
            ("CLOCK_OFFSET", offset.display().to_string()),
        ],
        ..Start::default()
    };
    let shape = Shape::of(form(60, 300));
    let mut world = World::new(shape, start);
    let _worker = world.worker("worker", 2, 20);
    let times = form(2, 10);
    for time in 0..times {
        for seconds in [-3600, 0, 3600, 0] {
            world.until_progress();
            pause(&mut random, 0..300);
            set(seconds);
        }
        // A coordinator that is started an hour before its own past.
        world.until_progress();
        set(-3600 * (time + 1));
        world.kill();
        world.serve();
    }
    world.assert_going();
    let world = world.assert_undisturbed();
    let sql = "SELECT count(*) FROM attempt WHERE number > 1";
    let again: u32 = world.store().query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(again, 0, "no lease expired for the clock's sake");
    seen(
        "clock set back an hour, and forward; a start with it set back",
        format!("{} + {times}", 4 * times),
        "no lease lost, results equal",
    );
}
