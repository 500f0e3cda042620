//! Looking at every row of a store.

use std::collections::BTreeMap;

use rusqlite::Connection;
use tenfold_core::record::Record;
use tenfold_types::{Fence, SweepId, TrialKey};

use super::{load, summing};
use crate::store::StoreError;
use crate::store::checks::Checks;
use crate::store::columns::Columns;
use crate::store::rows;

/// Damaged rows that are named.
const NAMED: usize = 5;

/// Accepted trials by the numbers of their sweeps: the attempt that counts, and the epochs that it should have.
type Accepted = BTreeMap<(i64, TrialKey), (Fence, u32)>;

/// Returns what of a store is not what was written, for people.
pub(super) fn damage(connection: &mut Connection) -> Result<Option<String>, StoreError> {
    let checks = Checks::default();
    if summing::is_complete(connection)? {
        checks.complete();
    }
    let mut problems = Vec::new();
    let mut accepted: BTreeMap<(SweepId, TrialKey), (Fence, u32)> = BTreeMap::new();
    let loaded = load::load(connection, &checks, &mut |record| match record {
        Record::Trial(row) => {
            if let Some(fence) = row.state.accepted() {
                let curve = (fence, row.state.accepted_epochs());
                accepted.insert((row.id.sweep, row.id.key), curve);
            }
        }
        Record::Refused(sweep) => {
            problems.push(format!("sweep {} ({}): {}", sweep.number, sweep.name, sweep.why))
        }
        Record::Damaged(damage) => problems.push(format!("trial {}: {}", damage.trial, damage.what)),
        _ => {}
    })?;
    let named: BTreeMap<i64, SweepId> = loaded
        .numbers
        .iter()
        .map(|(id, number)| (*number as i64, *id))
        .collect();
    let numbered = accepted.into_iter().filter_map(|((sweep, key), curve)| {
        let number = loaded.numbers.get(&sweep)?;
        Some(((*number as i64, key), curve))
    });
    for (number, key) in incomplete(connection, &checks, numbered.collect())? {
        let sweep = named.get(&number).map_or_else(String::new, ToString::to_string);
        problems.push(format!(
            "trial {sweep}/{key}: its epochs are not what was written"
        ));
    }
    let more = problems.len().saturating_sub(NAMED);
    problems.truncate(NAMED);
    let and_more = match more {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    Ok((!problems.is_empty()).then(|| format!("{}{and_more}", problems.join("; "))))
}

/// Accepted trials whose epochs are not all there.
fn incomplete(
    connection: &Connection,
    checks: &Checks,
    mut left: Accepted,
) -> Result<Vec<(i64, TrialKey)>, StoreError> {
    let select = format!("SELECT {}, sweep FROM epochs", rows::EPOCHS);
    let mut select = connection.prepare(&select)?;
    let mut found = select.query([])?;
    while let Some(row) = found.next()? {
        let number: i64 = row.get("sweep")?;
        if !checks.holds("epochs", number, row, rows::EPOCHS_SUM)? {
            continue;
        }
        let of = (number, rows::key(row, 0)?);
        let (fence, epochs) = (row.integer(3)?, row.integer(6)?);
        if let Some((accepted, missing)) = left.get_mut(&of)
            && accepted.0 as i64 == fence
        {
            *missing = missing.saturating_sub(epochs as u32);
        }
    }
    left.retain(|_, (_, missing)| *missing > 0);
    Ok(left.into_keys().collect())
}
