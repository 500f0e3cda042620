//! Selectors: a sweep by its id, its name, a unique prefix of either, or `last`.

use tenfold_core::record::RefusedSweep;
use tenfold_core::{State, SweepState};
use tenfold_types::id::ParseIdError;
use tenfold_types::{TrialKey, WorkerId};
use tonic::Status;

/// The sweep that a selector names.
pub(crate) fn resolve<'a>(state: &'a State, selector: &str) -> Result<&'a SweepState, Status> {
    if selector.is_empty() {
        return Err(Status::invalid_argument(
            "the selector is empty; give a sweep's id, its name, a prefix of either, or \"last\"",
        ));
    }
    if let Some(refused) = damaged(state, selector) {
        let id = refused
            .id
            .map_or_else(String::new, |id| format!(" ({})", id.short()));
        return Err(Status::data_loss(format!(
            "sweep {}{id} is damaged on disk: {}; it is not served, restore a backup or give it up with: tenfold delete \
             {selector}",
            refused.number, refused.why
        )));
    }
    if selector == "last" {
        return state
            .newest_sweeps()
            .next()
            .ok_or_else(|| Status::not_found("there is no sweep yet; submit one with: tenfold submit FILE"));
    }
    let lower = selector.to_ascii_lowercase();
    let by_id = |sweep: &&SweepState| sweep.row().id.to_string().starts_with(&lower);
    let named = |sweep: &&SweepState| sweep.row().name == selector;
    let prefixed = |sweep: &&SweepState| sweep.row().name.starts_with(selector);
    // A whole name wins over prefixes, so that `figure1` is not ambiguous beside `figure10`.
    for fitting in [
        state.newest_sweeps().filter(named).collect::<Vec<_>>(),
        state
            .newest_sweeps()
            .filter(|sweep| by_id(sweep) || prefixed(sweep))
            .collect(),
    ] {
        match fitting.as_slice() {
            [] => {}
            [sweep] => return Ok(sweep),
            several => {
                let list: Vec<String> = several
                    .iter()
                    .take(5)
                    .map(|sweep| format!("{} ({})", sweep.row().id.short(), sweep.row().name))
                    .collect();
                return Err(Status::invalid_argument(format!(
                    "{selector:?} fits {} sweeps: {}; give one of these ids",
                    several.len(),
                    list.join(", ")
                )));
            }
        }
    }
    Err(Status::not_found(format!(
        "no sweep fits {selector:?}; see: tenfold list"
    )))
}

/// The damaged sweep that a selector names, whatever else it fits.
pub(super) fn damaged<'a>(state: &'a State, selector: &str) -> Option<&'a RefusedSweep> {
    let lower = selector.to_ascii_lowercase();
    if selector == "last" {
        let newest = state.newest_sweeps().next().map_or(0, |sweep| sweep.row().number);
        return state
            .refused_sweeps()
            .last()
            .filter(|sweep| sweep.number > newest);
    }
    let by_id = |sweep: &RefusedSweep| sweep.id.is_some_and(|id| id.to_string().starts_with(&lower));
    let mut refused = state.refused_sweeps();
    refused.find(|sweep| !selector.is_empty() && (by_id(sweep) || sweep.name == selector))
}

/// The selector of a trial's sweep, and its key.
pub(super) fn trial(named: &str) -> Result<(String, TrialKey), Status> {
    let (selector, key) = named.rsplit_once('/').ok_or_else(|| {
        Status::invalid_argument(format!(
            "{named:?} names no trial; write SWEEP/stage.point.repetition, such as last/0.12.3"
        ))
    })?;
    let key = key
        .parse()
        .map_err(|error: ParseIdError| Status::invalid_argument(error.to_string()))?;
    Ok((selector.to_owned(), key))
}

/// The sweep is there, but not this trial.
pub(super) fn no_trial(key: TrialKey) -> Status {
    Status::not_found(format!(
        "the sweep has no trial {key} (stage.point.repetition, each from 0)"
    ))
}

/// Living workers with this id, its beginning, or this host's name: one by id, or all of a host.
pub(super) fn workers(state: &State, wanted: &str) -> Result<Vec<WorkerId>, Status> {
    let lower = wanted.to_ascii_lowercase();
    let of_host = state
        .workers()
        .filter(|worker| worker.seen.is_some() && worker.row.host == wanted);
    let of_host: Vec<WorkerId> = of_host.map(|worker| worker.row.id).collect();
    if !of_host.is_empty() {
        return Ok(of_host);
    }
    let by_id = state
        .workers()
        .map(|worker| worker.row.id)
        .filter(|id| !wanted.is_empty() && id.to_string().starts_with(&lower));
    match by_id.collect::<Vec<_>>().as_slice() {
        [] => Err(Status::not_found(format!(
            "no worker fits {wanted:?}; see: tenfold workers"
        ))),
        [worker] => Ok(vec![*worker]),
        several => Err(Status::invalid_argument(format!(
            "{wanted:?} fits {} workers; give more of the id",
            several.len()
        ))),
    }
}
