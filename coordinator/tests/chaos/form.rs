//! The short form and the long one, their seed, and the table of what was done and seen.

use std::fmt::Display;
use std::io::Write;
use std::path::Path;
use std::sync::OnceLock;

use rand::SeedableRng;
use rand::rngs::StdRng;

/// One of these numbers, by the form that runs.
pub(crate) fn form<T>(short: T, long: T) -> T {
    if is_long() { long } else { short }
}

fn is_long() -> bool {
    std::env::var("TENFOLD_CHAOS").is_ok_and(|form| form == "long")
}

fn seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| match std::env::var("TENFOLD_CHAOS_SEED") {
        Ok(seed) => seed.parse().expect("TENFOLD_CHAOS_SEED is a number"),
        Err(_) => rand::random::<u32>().into(),
    })
}

/// The choices of one test: they depend on the seed and its name alone.
pub(crate) fn random(test: &str) -> StdRng {
    println!("TENFOLD_CHAOS_SEED={}", seed());
    let name = test.bytes().fold(seed(), |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    StdRng::seed_from_u64(name)
}

/// A row of the table: it is printed, and kept in the file that `make chaos` shows at its end.
pub(crate) fn seen(fault: &str, times: impl Display, seen: &str) {
    let row = format!("| {fault} | {times} | {seen} |\n");
    print!("{row}");
    let name = format!("chaos-{}.md", form("short", "long"));
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut file = std::fs::File::options()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    file.write_all(row.as_bytes()).unwrap();
}
