//! What a sweep itself becomes while it is watched: values that stages take from one another, what is left out, extensions.

use std::mem::take;
use std::sync::Arc;

use tenfold_core::sweep::{ChoiceId, Chooses};
use tenfold_types::TrialKey;

use super::{Event, WatchError, Watcher, has_rules};
use crate::grpc::messages;
use crate::store::{Cursor, Reader};

impl Watcher {
    /// Takes in choices that were made up to a commit, and whether there were any.
    pub(super) async fn choices(&mut self, to: Cursor) -> Result<bool, WatchError> {
        if !self.has_rules {
            return Ok(false);
        }
        let (id, from) = (self.options.sweep, self.chosen_to);
        let read = move |reader: &mut dyn Reader| reader.choices(id, from);
        let mut found = self.readers.with(read).await?;
        found.retain(|(at, _)| *at <= to);
        self.chosen_to = to;
        let before = self.sweep.clone();
        for (_, row) in &found {
            self.chosen.extend(messages::choice(&before, row));
            if let Some(after) = row.applied(&self.sweep) {
                self.sweep = after;
            }
        }
        if !found.is_empty() {
            self.group_again();
        }
        for (_, row) in &found {
            self.fewer(row.choice);
        }
        Ok(!found.is_empty())
    }

    /// Notes the groups that may have become complete because less is left to be run.
    fn fewer(&mut self, choice: ChoiceId) {
        match self.sweep.chooses(choice) {
            Some(Chooses::Repetitions(until)) => {
                let (index, repetition) = until.point(choice.cell);
                let key = TrialKey {
                    stage: choice.stage,
                    index,
                    repetition,
                };
                self.fewer.insert(self.options.grouping.group_of(key));
            }
            // Of points by themselves what is left out is no group any more.
            Some(Chooses::Points(_)) if !self.options.grouping.axes().is_empty() => {
                let groups = self.options.grouping.groups();
                self.fewer.extend(
                    groups.filter(|group| group.stage >= choice.stage && !self.complete.contains(group)),
                );
            }
            _ => {}
        }
    }

    /// Groups the sweep as it is now.
    pub(super) fn group_again(&mut self) {
        let by = self.options.grouping.axes();
        let by: Vec<String> = by.iter().map(|setting| setting.name().to_owned()).collect();
        if let Ok(grouping) = self.sweep.grouping(&by) {
            self.options.grouping = Arc::new(grouping);
        }
    }

    /// Takes in the extensions up to a commit, if there may be some: the row of the sweep has changed, or the state has more.
    pub(super) async fn extensions(&mut self, changed: bool, to: Cursor) -> Result<(), WatchError> {
        if !changed && self.extensions_seen >= self.extensions_there {
            return Ok(());
        }
        let (id, from) = (self.options.sweep, self.extended_to);
        let read = move |reader: &mut dyn Reader| reader.extensions(id, from);
        let mut found = self.readers.with(read).await?;
        let all = found.len();
        found.retain(|(at, _)| *at <= to);
        if found.len() == all {
            self.extensions_seen = self.extensions_there;
        }
        if found.is_empty() {
            return Ok(());
        }
        for (at, row) in found {
            // The sweep was looked at when the watch began, and may have been extended already.
            if let Ok(extended) = self.sweep.extended(&row.extension) {
                self.sweep = extended;
            }
            self.extended_to = at;
            self.extended.push(messages::extension(&self.sweep, &row));
        }
        // What was complete is so no longer.
        self.complete.clear();
        self.has_rules = has_rules(&self.sweep);
        self.group_again();
        Ok(())
    }

    /// Tells of extensions and choices. False when nobody listens any more.
    pub(super) async fn tell_changes(&mut self) -> bool {
        for row in take(&mut self.extended) {
            if !self.tell(Event::Extension(Box::new(row))).await {
                return false;
            }
        }
        for choice in take(&mut self.chosen) {
            if !self.tell(Event::Choice(Box::new(choice))).await {
                return false;
            }
        }
        true
    }
}
