//! What the machine itself allows.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use crate::Arguments;
use crate::table::{Table, Target};

pub(crate) fn measure(arguments: &Arguments, table: &mut Table) {
    let path = arguments.output.join("floor");
    let fsync = fsync(&path);
    table.add("floor: one fsync, median", 1e3 * fsync.0, "ms", Target::None);
    table.add(
        "floor: one fsync, 99th percentile",
        1e3 * fsync.1,
        "ms",
        Target::None,
    );
    table.add(
        "floor: sequential write with fsync",
        write(&path) / 1e6,
        "MB/s",
        Target::None,
    );
    table.add(
        "floor: loopback round trip, median",
        1e6 * loopback(),
        "µs",
        Target::None,
    );
    table.add("floor: memory, copied", copy() / 1e9, "GB/s", Target::None);
    _ = std::fs::remove_file(path);
}

/// Median and 99th percentile, in seconds, of a page written and synced.
fn fsync(path: &std::path::Path) -> (f64, f64) {
    let mut file = File::create(path).unwrap();
    let page = [7; 4096];
    let mut times: Vec<f64> = (0..300)
        .map(|_| {
            file.write_all(&page).unwrap();
            let began = Instant::now();
            file.sync_data().unwrap();
            began.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    (times[150], times[297])
}

fn write(path: &std::path::Path) -> f64 {
    let mut file = File::create(path).unwrap();
    let chunk = vec![7; 8 << 20];
    let began = Instant::now();
    for _ in 0..32 {
        file.write_all(&chunk).unwrap();
        file.sync_data().unwrap();
    }
    (32.0 * chunk.len() as f64) / began.elapsed().as_secs_f64()
}

fn loopback() -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let echo = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        let mut byte = [0];
        while stream.read(&mut byte).unwrap() == 1 {
            stream.write_all(&byte).unwrap();
        }
    });
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut times: Vec<f64> = (0..5_000)
        .map(|_| {
            let began = Instant::now();
            stream.write_all(&[1]).unwrap();
            stream.read_exact(&mut [0]).unwrap();
            began.elapsed().as_secs_f64()
        })
        .collect();
    drop(stream);
    echo.join().unwrap();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn copy() -> f64 {
    let (from, mut to) = (vec![1_u8; 256 << 20], vec![0_u8; 256 << 20]);
    to.copy_from_slice(&from);
    let began = Instant::now();
    for _ in 0..8 {
        std::hint::black_box(&mut to).copy_from_slice(std::hint::black_box(&from));
    }
    8.0 * from.len() as f64 / began.elapsed().as_secs_f64()
}
