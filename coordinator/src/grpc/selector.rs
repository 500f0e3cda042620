//! Selectors: a sweep by its id, its name, a unique prefix of either, or `last`.

use tenfold_core::{State, SweepState};
use tonic::Status;

/// The sweep that a selector names.
pub(crate) fn resolve<'a>(state: &'a State, selector: &str) -> Result<&'a SweepState, Status> {
    if selector.is_empty() {
        return Err(Status::invalid_argument(
            "the selector is empty; give a sweep's id, its name, a prefix of either, or \"last\"",
        ));
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
