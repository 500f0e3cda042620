//! Values that an earlier stage chose differently for two points that are compared: the comparison is of them as well.

use tenfold_core::sweep::Stage;
use tenfold_types::{Setting, Value};

use super::words;

/// Returns the settings whose values come from an earlier stage and differ between two points, such as
/// `learning rate 1e-3 and 1e-4`. Settings that are compared on purpose are left out.
pub(super) fn chosen_apart(stage: &Stage, [this, than]: [u64; 2], compared: &[Setting]) -> Vec<String> {
    let (Some(this), Some(than)) = (stage.point(this), stage.point(than)) else {
        return Vec::new();
    };
    let value = |values: &[(Setting, Value)], setting: Setting| {
        let found = values.iter().find(|(of, _)| *of == setting);
        found.map(|(_, value)| value.clone())
    };
    let taken = this.values.iter().filter_map(|(setting, here)| {
        let is_asked = stage.is_taken(*setting) && !compared.contains(setting);
        let there = value(&than.values, *setting).filter(|there| is_asked && there != here)?;
        let [here, there] = [here, &there].map(|value| words::cell(*setting, value));
        Some(format!("{} {here} and {there}", words::setting(*setting)))
    });
    taken.collect()
}
