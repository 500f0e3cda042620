//! Judges hypotheses: which pairs of a hypothesis are there, what they say of its claim, and what is left of that beside the
//! other hypotheses of its family.

use std::collections::BTreeMap;

use tenfold_core::aggregate::Statistics;
use tenfold_core::compare::{Corrected, Evidence, Verdict, corrected, exact_mcnemar, paired_difference};
use tenfold_core::sweep::{Family, Gate, Hypothesis, Look, Missing, Stage, Sweep};
use tenfold_types::{Setting, Value};

use super::raw::TrialCurveRow;
use super::values::Values;
use super::words;

/// The pairs of points of a hypothesis.
type Pairs = [(u64, u64)];

/// What hypotheses are judged by.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The sweep, whose hypotheses are judged.
    pub sweep: &'a Sweep,
    /// Hypotheses that are judged as well, and are no part of the sweep.
    pub added: &'a [Hypothesis],
    /// The trials of the stages that any of them is about, whatever became of them, with the metrics that are compared.
    pub rows: &'a [TrialCurveRow],
    /// Whether nothing of the sweep waits or runs.
    pub finished: bool,
    /// Rules in place of those of the hypotheses.
    pub asked: &'a Asked,
}

/// Rules of judgement that are asked for afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked {
    /// What becomes of missing pairs.
    pub missing: Option<Missing>,
    /// The family of all hypotheses.
    pub family: Option<Family>,
}

/// A hypothesis with what the results say of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// The hypothesis, with the rules that it was judged by.
    pub hypothesis: Hypothesis,
    /// It was added later: it is no part of the sweep.
    pub post_hoc: bool,
    /// Its rules of judgement were asked for afterwards.
    pub asked: bool,
    /// The name of its stage, empty where the sweep has none.
    pub stage: String,
    /// A stage of its family still runs, so that the verdict may change.
    pub provisional: bool,
    /// The number of answers that a value is a share of; none where it is no share.
    pub answers: Option<u32>,
    /// The points with a value on both sides, whose mean is judged, by what tells them apart; empty where the hypothesis is about one
    /// pair of points.
    pub averages: Vec<String>,
    /// Pairs of points that are the same networks as others of them, and count once.
    pub twins: u32,
    /// The planned pairs.
    pub planned: Present,
    /// What became of planned trials that have no value.
    pub absent: Absent,
    /// How often each side diverged; none where neither did.
    pub divergence: Option<Divergence>,
    /// The verdict that counts: over the planned pairs, corrected for the family.
    pub verdict: Verdict,
    /// The correction that it comes from.
    pub corrected: Corrected,
    /// The verdict of the planned pairs that are there, should all families be judged by such.
    pub of_present: Verdict,
    /// What all repetitions say, where the stage was extended by somebody who could have seen results.
    pub extended: Option<Extended>,
    /// The number of repetitions was decided by the same metric.
    pub by_need: bool,
}

/// Pairs of a hypothesis, from the first repetition to some one.
#[derive(Debug, Clone, PartialEq)]
pub struct Present {
    /// The number of pairs, one for each repetition, if none is missing.
    pub repetitions: u32,
    /// Those in which all trials of all points have a value.
    pub whole: u32,
    /// The pairs of points that have a value on both sides.
    pub points: Vec<(u64, u64)>,
    /// Means of both sides over the pairs that are there.
    pub means: [Option<f64>; 2],
    /// What the pairs that are there say of the claim. Points without any value on a side are no part of them.
    pub evidence: Evidence,
}

/// Planned trials without a value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Absent {
    /// Those that diverged.
    pub diverged: u32,
    /// Those that failed.
    pub failed: u32,
    /// Those that were cancelled.
    pub cancelled: u32,
    /// Those of points that a search left out.
    pub left_out: u32,
    /// Those that are not over.
    pub unfinished: u32,
    /// The points that a search left out.
    pub left_out_points: Vec<String>,
    /// Points without any value that no search left out.
    pub never_succeeded: Vec<String>,
}

/// How often the sides of a hypothesis diverged, in repetitions in which it is known of both.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Divergence {
    /// Repetitions in which a trial of this side diverged.
    pub this: u32,
    /// Repetitions in which a trial of the other side diverged.
    pub than: u32,
    /// All of these repetitions.
    pub of: u32,
    /// The two-sided p-value of McNemar's exact test.
    pub p: f64,
}

/// What all repetitions of an extended stage say of a hypothesis.
#[derive(Debug, Clone, PartialEq)]
pub struct Extended {
    /// The extensions by somebody who could have seen results.
    pub looks: Vec<Look>,
    /// All pairs.
    pub present: Present,
    /// Their verdict, corrected for the family.
    pub verdict: Verdict,
}

impl Present {
    /// Returns the number of pairs that are missing.
    pub fn missing(&self) -> u32 {
        self.repetitions - self.whole
    }

    /// Returns what counts as evidence under a rule for missing pairs.
    fn counted(&self, rule: Missing) -> Evidence {
        match rule {
            Missing::Count if self.missing() > 0 => Evidence::NONE,
            Missing::Count | Missing::Drop => self.evidence,
        }
    }
}

/// Judges the hypotheses of a sweep, and those that were added.
pub fn judge(case: Case<'_>) -> Vec<Judged> {
    let own = case.sweep.hypotheses().iter().map(|of| (of, false));
    let added = case.added.iter().map(|of| (of, true));
    let mut all: Vec<Judged> = own
        .chain(added)
        .map(|(of, added)| found(case, of, added))
        .collect();
    for family in families(&all) {
        let of = |evidence: fn(&Judged) -> Evidence| {
            let family = family.iter().map(|at| evidence(&all[*at]));
            corrected(&family.collect::<Vec<_>>())
        };
        let counted = of(|judged| judged.planned.counted(judged.hypothesis.missing));
        let present = of(|judged| judged.planned.evidence);
        let extended = of(|judged| {
            let all = judged.extended.as_ref().map(|extended| &extended.present);
            all.unwrap_or(&judged.planned).counted(judged.hypothesis.missing)
        });
        let provisional = family.iter().any(|at| all[*at].provisional);
        for (place, at) in family.into_iter().enumerate() {
            let judged = &mut all[at];
            judged.provisional = provisional;
            judged.corrected = counted[place];
            judged.verdict = counted[place].verdict;
            judged.of_present = present[place].verdict;
            if let Some(of) = &mut judged.extended {
                of.verdict = extended[place].verdict;
            }
        }
    }
    all
}

/// The hypotheses by family, by their places. Added ones are never in a family with the sweep's own.
fn families(all: &[Judged]) -> Vec<Vec<usize>> {
    let mut families: BTreeMap<(bool, Family, Option<usize>), Vec<usize>> = BTreeMap::new();
    for (at, judged) in all.iter().enumerate() {
        let family = judged.hypothesis.family.clone();
        let alone = (family == Family::Alone).then_some(at);
        let key = (judged.post_hoc, family, alone);
        families.entry(key).or_default().push(at);
    }
    families.into_values().collect()
}

/// What is there of a hypothesis, before its family is looked at.
fn found(case: Case<'_>, hypothesis: &Hypothesis, post_hoc: bool) -> Judged {
    let Asked { missing, family } = case.asked;
    let hypothesis = Hypothesis {
        missing: missing.unwrap_or(hypothesis.missing),
        family: family.clone().unwrap_or_else(|| hypothesis.family.clone()),
        ..hypothesis.clone()
    };
    let stage = case.sweep.stage(hypothesis.stage);
    let values = stage.map_or_else(Values::default, |stage| {
        let (of, metric, at) = (hypothesis.stage, hypothesis.metric, hypothesis.at);
        Values::of(case.rows, of, metric, at, stage.repetitions()).run_as(stage)
    });
    let pairs = hypothesis.distinct_pairs(case.sweep);
    let answers = stage.and_then(|stage| stage.data().answers(hypothesis.metric));
    let present = |repetitions: u32| Present::of(&values, &pairs, repetitions, &hypothesis, answers);
    let granted = |stage: &Stage| {
        let points = pairs.iter().flat_map(|&(this, than)| [this, than]);
        points.map(|index| stage.granted_repetitions(index)).min()
    };
    let planned = stage.map_or(0, |stage| match stage.gate() {
        Some(Gate::Repetitions(_)) => granted(stage).unwrap_or_default(),
        _ => stage.planned_repetitions(),
    });
    let by_need = |stage: &Stage| match stage.gate() {
        Some(Gate::Repetitions(until)) => until.metric == hypothesis.metric,
        _ => false,
    };
    let looks = stage.map_or(&[][..], Stage::looks);
    let twins = (hypothesis.pairs(case.sweep).len() - pairs.len()) as u32;
    let planned_pairs = present(planned);
    Judged {
        post_hoc,
        asked: missing.is_some() || family.is_some(),
        stage: stage.map_or_else(String::new, |stage| stage.name().to_owned()),
        provisional: !case.finished && stage.is_some_and(|stage| runs(stage, hypothesis.stage, case.rows)),
        answers,
        averages: stage.map_or_else(Vec::new, |stage| {
            averages(stage, &hypothesis, &pairs, &planned_pairs.points)
        }),
        twins,
        absent: stage.map_or_else(Absent::default, |stage| {
            Absent::of(&values, stage, &pairs, planned, case.finished)
        }),
        divergence: Divergence::of(&values, &pairs, planned),
        by_need: stage.is_some_and(by_need),
        extended: (!looks.is_empty()).then(|| Extended {
            looks: looks.to_vec(),
            present: present(stage.map_or(0, Stage::repetitions)),
            verdict: Verdict::Undecided,
        }),
        planned: planned_pairs,
        verdict: Verdict::Undecided,
        of_present: Verdict::Undecided,
        corrected: Corrected {
            family: 0,
            p_support: 1.0,
            p_refutation: 1.0,
            verdict: Verdict::Undecided,
        },
        hypothesis,
    }
}

/// Whether trials of a stage wait or run, or may still be decided on.
fn runs(stage: &Stage, number: u32, rows: &[TrialCurveRow]) -> bool {
    let over = ["succeeded", "diverged", "failed", "cancelled"];
    let of_stage = rows.iter().filter(|row| row.key.stage == number);
    let over = of_stage.filter(|row| over.contains(&row.state.as_str())).count();
    (over as u64) < stage.trials() || stage.may_shrink()
}

/// What tells the points apart that a hypothesis averages over: of those `kept`, beside all others; nothing where there is one pair.
fn averages(stage: &Stage, hypothesis: &Hypothesis, pairs: &Pairs, kept: &Pairs) -> Vec<String> {
    if pairs.len() < 2 {
        return Vec::new();
    }
    let points: Vec<_> = pairs.iter().filter_map(|(this, _)| stage.point(*this)).collect();
    let named = |setting: &Setting| hypothesis.this.contains_key(setting) || stage.is_one_taken(*setting);
    let value = |values: &[(Setting, Value)], setting: &Setting| {
        values
            .iter()
            .find(|(of, _)| of == setting)
            .map(|(_, value)| value.clone())
    };
    let differs = |setting: &Setting| {
        let mut values = points.iter().map(|point| value(&point.values, setting));
        let first = values.next();
        values.any(|value| Some(value) != first)
    };
    let told: Vec<Vec<(Setting, Value)>> = points
        .iter()
        .map(|point| {
            let told = point.values.iter().filter(|(of, _)| !named(of) && differs(of));
            told.cloned().collect()
        })
        .collect();
    let labels = words::labels(&told.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let labels = points.iter().zip(labels);
    let is_kept = |index: u64| kept.iter().any(|(this, _)| *this == index);
    labels
        .filter(|(point, _)| is_kept(point.index))
        .map(|(_, label)| label)
        .collect()
}

impl Present {
    fn of(
        values: &Values,
        pairs: &Pairs,
        repetitions: u32,
        hypothesis: &Hypothesis,
        answers: Option<u32>,
    ) -> Self {
        let has_any =
            |index: u64| (0..repetitions).any(|repetition| values.value(index, repetition).is_some());
        let kept: Vec<(u64, u64)> = pairs
            .iter()
            .copied()
            .filter(|(this, than)| has_any(*this) && has_any(*than))
            .collect();
        let (this, than): (Vec<u64>, Vec<u64>) = kept.iter().copied().unzip();
        let both = values.mean(&this).into_iter().zip(values.mean(&than));
        let both: Vec<(f64, f64)> = both
            .take(repetitions as usize)
            .filter_map(|(this, than)| this.zip(than))
            .collect();
        let mean = |of: fn(&(f64, f64)) -> f64| {
            let values: Vec<f64> = both.iter().map(of).collect();
            Statistics::of(&values).map(|statistics| statistics.mean)
        };
        let differences: Vec<f64> = both
            .iter()
            .map(|&(this, than)| paired_difference(this, than))
            .collect();
        Self {
            repetitions,
            whole: match kept.len() == pairs.len() {
                true => both.len() as u32,
                false => 0,
            },
            means: [mean(|pair| pair.0), mean(|pair| pair.1)],
            evidence: Evidence::of(hypothesis.expected, &differences, answers),
            points: kept,
        }
    }
}

impl Absent {
    fn of(values: &Values, stage: &Stage, pairs: &Pairs, repetitions: u32, finished: bool) -> Self {
        let mut points: Vec<u64> = pairs.iter().flat_map(|&(this, than)| [this, than]).collect();
        points.sort_unstable();
        points.dedup();
        let mut absent = Self::default();
        let (mut left_out, mut never) = (Vec::new(), Vec::new());
        for index in points {
            let is_there = stage.has(index);
            let without = (0..repetitions).filter(|repetition| values.value(index, *repetition).is_none());
            let mut all = 0;
            for repetition in without {
                all += 1;
                match values.state(index, repetition) {
                    Some("diverged") => absent.diverged += 1,
                    Some("failed") => absent.failed += 1,
                    Some("cancelled") => absent.cancelled += 1,
                    _ if !is_there => absent.left_out += 1,
                    // Trials of a stopped sweep that never began.
                    None if finished => absent.cancelled += 1,
                    _ => absent.unfinished += 1,
                }
            }
            match is_there {
                false => left_out.push(index),
                true if all == repetitions => never.push(index),
                true => {}
            }
        }
        let named = |points: Vec<u64>| {
            let points: Vec<_> = points
                .into_iter()
                .filter_map(|index| stage.point(index))
                .collect();
            words::labels(
                &points
                    .iter()
                    .map(|point| point.values.as_slice())
                    .collect::<Vec<_>>(),
            )
        };
        absent.left_out_points = named(left_out);
        absent.never_succeeded = named(never);
        absent
    }
}

impl Divergence {
    fn of(values: &Values, pairs: &Pairs, repetitions: u32) -> Option<Self> {
        let (this, than): (Vec<u64>, Vec<u64>) = pairs.iter().copied().unzip();
        // Unknown where a trial has neither succeeded nor diverged and no other one of the side has diverged.
        let diverged = |side: &[u64], repetition: u32| {
            let states = || side.iter().map(|index| values.state(*index, repetition));
            let has_all = side
                .iter()
                .all(|index| values.value(*index, repetition).is_some());
            match states().any(|state| state == Some("diverged")) {
                true => Some(true),
                false => has_all.then_some(false),
            }
        };
        let known = (0..repetitions)
            .filter_map(|repetition| diverged(&this, repetition).zip(diverged(&than, repetition)));
        let (mut both, mut only_this, mut only_than, mut of) = (0, 0, 0, 0);
        for pair in known {
            of += 1;
            match pair {
                (true, true) => both += 1,
                (true, false) => only_this += 1,
                (false, true) => only_than += 1,
                (false, false) => {}
            }
        }
        (both + only_this + only_than > 0).then(|| Self {
            this: both + only_this,
            than: both + only_than,
            of,
            p: exact_mcnemar(only_this, only_than),
        })
    }
}
