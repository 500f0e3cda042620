//! Where a group stands, for a watcher.

use tenfold_core::sweep::GroupId;

use crate::groups::{GroupProgress, Groups, Standing};
use crate::store::{Cursor, Reader, StoreError};

/// A group that may have news.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    pub(super) group: GroupId,
    /// Some of its trials' rows or epochs are new.
    pub(super) has_rows: bool,
    /// The commit that this pass has come to.
    pub(super) reached: Cursor,
    /// The sweep is over, and this pass tells what goes with that.
    pub(super) last: bool,
}

/// Where a group stands, for a watcher.
pub(super) enum Stands {
    /// All its trials are over: its curve is to be told.
    Complete(Standing),
    /// Its newest epoch, if there is one.
    Open(Option<GroupProgress>),
    /// It is complete by a commit that this pass has not come to. Told now it would be told again behind that commit, which
    /// the next pass comes to.
    Ahead,
    /// It has no news: its last row told it.
    Told,
}

pub(super) fn stands(of: &Groups, reader: &mut dyn Reader, due: Due) -> Result<Stands, StoreError> {
    let standing = of.standing(reader, due.group)?;
    // What was cancelled before any worker touched it goes with the end of the sweep, and with nothing before.
    let early = standing.untouched > 0 && standing.is_complete() && !due.last;
    Ok(if early || !due.has_rows && standing.untouched == 0 {
        Stands::Told
    } else if standing.is_complete() {
        match standing.version.newest > due.reached {
            true => Stands::Ahead,
            false => Stands::Complete(standing),
        }
    } else {
        Stands::Open(of.progress(reader, &standing)?)
    })
}
