//! Several hypotheses in one sweep.

use tenfold_proto::v1::TrialSpec;

use crate::extension::{MARGIN, about_each, pair_of_points, paired};
use crate::figures::{Figures, Share, Should, form};
use crate::fleet::Model;
use crate::world::{World, is};

#[test]
fn many_hypotheses() {
    let world = World::start();
    let mut figures = Figures::of(
        "5. Several hypotheses",
        "A sweep has any false verdict. The true differences of all its hypotheses are exactly their margins, so that \
         \"supported\" and \"refuted\" are both false.",
    );
    let forms: &[(u32, u64, u64)] = form(&[(20, 30, 501)], &[(20, 300, 501), (196, 100, 1501)]);
    for &(hypotheses, sweeps, first) in forms {
        let epochs = hypotheses / 4;
        let text = about_each(epochs, &format!("lower_by = {MARGIN}"), "").concat();
        let sweep = pair_of_points(10, epochs, &text);
        let mut any = Share::new(
            format!("any false verdict of {hypotheses}"),
            Should::NotExceed(0.05),
        );
        let mut supported = Share::new(
            format!("any \"supported\" of {hypotheses}"),
            Should::NotExceed(0.025),
        );
        let mut refuted = Share::new(
            format!("any \"refuted\" of {hypotheses}"),
            Should::NotExceed(0.025),
        );
        // Some at a time, so that what is waited for is soon found in the list.
        let seeds: Vec<u64> = (first..first + sweeps).collect();
        for seeds in seeds.chunks(50) {
            let submit = |seed: &u64| {
                let model = |spec: &TrialSpec, column, epoch| paired(spec, column, epoch, MARGIN);
                world.submit(*seed, &sweep, Model::of(model))
            };
            let ids: Vec<String> = seeds.iter().map(submit).collect();
            for id in ids {
                world.until_over(&id);
                let verdicts = world.verdicts(&id);
                assert_eq!(verdicts.len(), hypotheses as usize);
                let has = |wanted| verdicts.iter().any(|verdict| is(verdict, wanted));
                supported.count(has("supported"));
                refuted.count(has("refuted"));
                any.count(has("supported") || has("refuted"));
            }
        }
        figures.add(any);
        figures.add(supported);
        figures.add(refuted);
    }
    figures.end();
}
