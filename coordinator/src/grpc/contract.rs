//! What the protos say of limits, compared with the code.

use std::time::Duration;

use tenfold_core::sweep::MAX_TEXT as MAX_SWEEP;

use super::{MAX_LEASE, MAX_MESSAGE, MAX_REPLY, control, fleet};
use crate::server::{MAX_HEADERS, STREAMS, limits};

const CONTROL: &str = include_str!("../../../proto/tenfold/v1/control.proto");
const FLEET: &str = include_str!("../../../proto/tenfold/v1/fleet.proto");

/// The text of a proto's comments, with single spaces, wherever its lines break.
fn comments(proto: &str) -> String {
    let lines = proto.lines().map(|line| line.trim().trim_start_matches("//"));
    lines
        .flat_map(str::split_whitespace)
        .collect::<Vec<_>>()
        .join(" ")
}

/// A number as people write it, with commas between thousands from 10,000 on.
fn number(number: usize) -> String {
    match number {
        0..10_000 => number.to_string(),
        _ => format!("{},{:03}", number / 1000, number % 1000),
    }
}

#[test]
fn the_protos_say_the_limits_of_workers() {
    let said = comments(FLEET);
    let says = |text: &str| assert!(said.contains(text), "fleet.proto does not say {text:?}");
    says(&format!("longer than {} MiB", MAX_MESSAGE >> 20));
    says(&format!(
        "An answer can have {} MiB, which is more than the {} MiB",
        MAX_LEASE >> 20,
        MAX_REPLY >> 20
    ));
    says(&format!("Waits for up to {} s", fleet::PATIENCE.as_secs()));
    says(&format!(
        "there are no slots or more than {}",
        number(fleet::MAX_SLOTS)
    ));
    says(&format!("1 to {}, numbered from 0", number(fleet::MAX_SLOTS)));
    says(&format!(
        "names more than {} shapes or one of them twice",
        number(fleet::MAX_SIZES)
    ));
    says(&format!("at most {}, each shape once", number(fleet::MAX_SIZES)));
    says(&format!("more than {} trials", number(fleet::MAX_TRIALS)));
    says(&format!("All of one shape; 1 to {}.", number(fleet::MAX_TRIALS)));
    says(&format!("more than {} fences", number(fleet::MAX_FENCES)));
    says(&format!("the last {} KiB are kept", fleet::MAX_TEXT >> 10));
    says(&format!("is answered within {} s", limits::DEADLINE.as_secs()));
    says(&format!("A connection carries {STREAMS} calls at a time"));
    says(&format!(
        "The metadata of a call has at most {} KiB",
        MAX_HEADERS >> 10
    ));
    let settings = tenfold_core::Settings::default();
    let seconds = |milliseconds| Duration::from_millis(milliseconds).as_secs();
    says(&format!(
        "a pause of {} s that doubles",
        seconds(settings.backoff_base)
    ));
    says(&format!("`serve --grace` ({} s)", seconds(settings.grace)));
    assert_eq!(
        settings.failure_limit, 3,
        "fleet.proto says: with the third failure it is FAILED"
    );
}

#[test]
fn the_protos_say_the_limits_of_people() {
    let said = comments(CONTROL);
    let says = |text: &str| assert!(said.contains(text), "control.proto does not say {text:?}");
    says(&format!("No message is longer than {} MiB", MAX_REPLY >> 20));
    says(&format!("a request has at most {} MiB", MAX_MESSAGE >> 20));
    says(&format!(
        "The sweep file's text, at most {} KiB.",
        MAX_SWEEP >> 10
    ));
    says(&format!(
        "0 means {}, and {} is the most",
        control::LIST,
        number(control::MAX_LIST)
    ));
    says(&format!(
        "0 means {}, which is also the most",
        number(control::WORKERS)
    ));
    says(&format!("at most {}.", control::FAILURES));
    says(&format!("at most {}.", number(control::CHOICES)));
    says(&format!("The newest first, at most {}.", control::ATTEMPTS));
}
