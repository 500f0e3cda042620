//! When a call that was turned away may be made again: `grpc-retry-pushback-ms` in the metadata of its status.
//!
//! It is the name that gRPC's own retry design has for this, so clients in other languages obey it too; see
//! <https://github.com/grpc/proposal/blob/master/A6-client-retries.md#pushback>.

use std::time::Duration;

use tonic::Status;
use tonic::metadata::MetadataValue;

/// The metadata's name; its value is a number of milliseconds in decimal.
pub const KEY: &str = "grpc-retry-pushback-ms";
/// The longest pause that is believed.
const LONGEST: Duration = Duration::from_secs(60);

/// The status with a pause in it.
#[must_use]
pub fn with(mut status: Status, pause: Duration) -> Status {
    let pause = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
    status.metadata_mut().insert(KEY, MetadataValue::from(pause));
    status
}

/// The pause that a status asks for, at most a minute.
pub fn of(status: &Status) -> Option<Duration> {
    let pause = status.metadata().get(KEY)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_millis(pause).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_comes_back_as_it_was_set() {
        let status = Status::resource_exhausted("much to do");
        assert_eq!(of(&status), None);
        let status = with(status, Duration::from_millis(250));
        assert_eq!(of(&status), Some(Duration::from_millis(250)));
        assert_eq!(of(&with(status, Duration::from_secs(1 << 40))), Some(LONGEST));
    }

    #[test]
    fn what_is_no_number_is_no_pause() {
        let mut status = Status::resource_exhausted("much to do");
        for wrong in ["-1", "soon", ""] {
            status.metadata_mut().insert(KEY, wrong.parse().unwrap());
            assert_eq!(of(&status), None, "{wrong:?}");
        }
    }
}
