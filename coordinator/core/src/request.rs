//! Requests that people send again because an answer was lost: decided once, and answered as the first time.

use crate::Millis;
use crate::input::Refusal;
use crate::record::{Record, RequestKey, RequestRow};
use crate::state::State;

/// How long the answer to a request is kept, in milliseconds, unless many others come: a day.
pub const KEPT_FOR: Millis = 24 * 60 * 60 * 1000;
/// The most answers that one new request removes because they are too old: after a quiet day they go bit by bit.
const AT_ONCE: usize = 256;

/// Returns the kept answer of a request that was decided before.
///
/// # Errors
/// [`Refusal::RequestReused`] when its id came with another request.
pub fn answered<'a>(state: &'a State, key: &RequestKey) -> Result<Option<&'a RequestRow>, Refusal> {
    match state.request(&key.id) {
        Some(row) if row.key != *key => Err(Refusal::RequestReused {
            id: key.id.clone(),
            method: row.key.method.clone(),
        }),
        found => Ok(found),
    }
}

/// Returns the records that keep an answer, and that remove those which are too old or have no room beside it. However young they
/// are, the oldest make room: a coordinator that took a thousand requests a second would still keep each for a minute, and
/// commands repeat themselves for 20 s.
pub fn keep(state: &State, key: RequestKey, code: u32, answer: Vec<u8>, now: Millis) -> Vec<Record> {
    let row = RequestRow {
        number: state.requests().next_back().map_or(1, |last| last.number + 1),
        key,
        at: now,
        code,
        answer,
    };
    let mut bytes = state.request_bytes() + row.bytes();
    let (mut through, mut removed) = (None, 0);
    for old in state.requests() {
        let is_over = now.saturating_sub(old.at) >= KEPT_FOR && removed < AT_ONCE;
        if bytes <= RequestRow::MAX_BYTES && !is_over {
            break;
        }
        bytes -= old.bytes();
        removed += 1;
        through = Some(old.number);
    }
    let forgotten = through.map(|through| Record::RequestsForgotten { through });
    forgotten.into_iter().chain([Record::Request(row)]).collect()
}
