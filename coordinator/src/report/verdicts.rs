//! Verdicts in words: what stands beside a verdict in a headline, and remarks below it. The same in the text of
//! `tenfold hypotheses` and in reports.

use tenfold_core::compare::{LEVEL, Verdict};
use tenfold_core::sweep::{Claim, Family, Missing};

use super::judge::{Judged, Present};
use super::words;

/// For which verdicts the error rates hold.
pub(super) const RATES_HOLD: &str =
    "These chances hold where no planned pair is missing, and for the planned repetitions.";
/// The most points that are named.
const MAX_NAMED: usize = 6;

/// What stands beside the verdict: that it may change, what is missing, what was decided after a look.
pub(super) fn notes(judged: &Judged) -> Vec<String> {
    let mut notes = Vec::new();
    if judged.provisional {
        notes.push("provisional".to_owned());
    }
    notes.extend(missing(judged));
    notes.extend(extended(judged));
    if judged.by_need {
        notes.push(format!(
            "repetitions were added until the {} was known well enough",
            words::metric(judged.hypothesis.metric)
        ));
    }
    if judged.post_hoc {
        notes.push("added later".to_owned());
    }
    if judged.asked {
        notes.push("judged by rules asked for afterwards".to_owned());
    }
    notes
}

/// `1 of 10 pairs is missing; over the other 9: supported [−12.1, −9.0], may be biased`.
fn missing(judged: &Judged) -> Option<String> {
    let planned = &judged.planned;
    let (missing, of) = (planned.missing(), planned.repetitions);
    if missing == 0 {
        return None;
    }
    let are = if missing == 1 { "is" } else { "are" };
    let said = format!("{missing} of {} {are} missing", count(of, "pair"));
    let others = planned.evidence.pairs();
    let (said, which) = match (others, planned.whole) {
        (0, _) => return Some(said),
        (n, 0) => (
            format!(
                "in none of {} do all points have both sides",
                count(of, "repetition")
            ),
            format!("{} of the points that have them", count(n, "pair")),
        ),
        (n, _) => (said, format!("the other {n}")),
    };
    Some(match judged.hypothesis.missing {
        Missing::Drop if planned.whole == 0 => format!("{said}; judged over {which}, may be biased"),
        Missing::Drop => format!("{said} and dropped; judged over {which}, may be biased"),
        Missing::Count => {
            let found = found(planned, judged);
            format!(
                "{said}; over {which}: {}{found}{}, may be biased",
                judged.of_present.name(),
                by_interval(planned, judged.of_present)
            )
        }
    })
}

/// Why a verdict is none by its interval alone, where the correction for its family is the reason.
fn by_interval(present: &Present, verdict: Verdict) -> String {
    match present.evidence.by_interval {
        alone if alone == verdict => String::new(),
        alone => format!(
            " (its interval alone would say {}; Holm's correction does not)",
            alone.name()
        ),
    }
}

/// An interval with a space before it; nothing where there is none.
fn found(present: &Present, judged: &Judged) -> String {
    let unit = words::unit(judged.hypothesis.metric);
    let with_interval = present.evidence.statistics.filter(|of| of.ci95.is_some());
    with_interval.map_or_else(String::new, |of| format!(" {}", words::interval(&of, unit, 2)))
}

/// `over the 10 planned repetitions; extended to 40 after 10 pairs were seen: over all 40: supported […]`.
fn extended(judged: &Judged) -> Option<String> {
    let of = judged.extended.as_ref()?;
    let looks: Vec<String> = of
        .looks
        .iter()
        .map(|look| {
            let seen = match look.seen {
                Some(1) => "1 pair was seen".to_owned(),
                Some(seen) => format!("{seen} pairs were seen"),
                None => format!("up to {} were seen", count(look.before, "pair")),
            };
            format!("to {} after {seen}", look.after)
        })
        .collect();
    Some(format!(
        "over the {} planned repetitions; extended {}; over all {}{}: {}{}{}",
        judged.planned.repetitions,
        looks.join(", then "),
        of.present.repetitions,
        match of.present.evidence.pairs() {
            pairs if pairs == of.present.repetitions => String::new(),
            pairs => format!(" ({} there)", count(pairs, "pair")),
        },
        of.verdict.name(),
        found(&of.present, judged),
        match of.present.missing() > 0 && judged.hypothesis.missing == Missing::Count {
            // Missing pairs are the reason then, and said.
            true => String::new(),
            false => by_interval(&of.present, of.verdict),
        }
    ))
}

/// What else has to be known of a verdict, a sentence each without its full stop; `selector` is what commands call the sweep.
pub(super) fn remarks(judged: &Judged, selector: &str) -> Vec<String> {
    let absent = &judged.absent;
    let mut remarks = Vec::new();
    let fates = fates(judged);
    if !fates.is_empty() {
        let retry = |count: u32, flag: &str| match count {
            0 => String::new(),
            _ => format!(" --{flag}"),
        };
        let flags = retry(absent.failed, "failed") + &retry(absent.cancelled, "cancelled");
        let again = match flags.as_str() {
            "" => String::new(),
            flags => format!("; tenfold retry {selector}{flags} runs them again"),
        };
        remarks.push(format!("planned trials without a value: {fates}{again}"));
    }
    if !absent.left_out_points.is_empty() {
        let points = listed(&absent.left_out_points);
        remarks.push(format!("left out by the search: {points}"));
    }
    if !judged.provisional && !absent.never_succeeded.is_empty() {
        let points = listed(&absent.never_succeeded);
        remarks.push(format!("without a single success: {points}"));
    }
    if let Some(of) = judged.divergence {
        let p = words_of_p(of.p);
        let which = match judged.planned.points.len() {
            0 | 1 => "",
            _ => "; a repetition counts where a trial of any of the points diverged",
        };
        remarks.push(format!(
            "diverged: {} of {} repetitions of this, {} of {} of than, p = {p} (exact McNemar test{which})",
            of.this, of.of, of.than, of.of
        ));
    }
    remarks.extend(deviation(judged));
    remarks.extend(disagreement(judged));
    remarks
}

/// `1 diverged, 2 failed, 3 of points that a search left out`.
fn fates(judged: &Judged) -> String {
    let absent = &judged.absent;
    let fates = [
        (absent.diverged, "diverged"),
        (absent.failed, "failed"),
        (absent.cancelled, "cancelled"),
        (absent.left_out, "of points that a search left out"),
        (absent.unfinished, "unfinished"),
    ];
    let fates = fates.iter().filter(|(count, _)| *count > 0);
    let fates: Vec<String> = fates.map(|(count, fate)| format!("{count} {fate}")).collect();
    fates.join(", ")
}

/// What the deviation is, where it is none of the differences'.
fn deviation(judged: &Judged) -> Option<String> {
    let evidence = &judged.planned.evidence;
    match judged.answers {
        Some(answers) if evidence.floored => Some(format!(
            "the differences vary by less than one answer of {answers}; the interval takes the deviation of one answer"
        )),
        _ if evidence.all_equal && !evidence.floored => {
            Some("all differences are equal, so nothing is known of how they vary: no interval".to_owned())
        }
        _ => None,
    }
}

/// Why the verdict is none by the interval alone, where the correction is the reason.
fn disagreement(judged: &Judged) -> Option<String> {
    let evidence = judged.planned.evidence;
    let corrected = judged.corrected;
    let counts = judged.hypothesis.missing == Missing::Drop || judged.planned.missing() == 0;
    let (p, holm) = match evidence.by_interval {
        Verdict::Supported => (evidence.p_support, corrected.p_support),
        Verdict::Refuted => (evidence.p_refutation, corrected.p_refutation),
        Verdict::Undecided => return None,
    };
    (counts && judged.verdict == Verdict::Undecided).then(|| {
        format!(
            "its interval alone would say {}: one-sided p = {}, corrected for the {} of its family {} (Holm), not below {LEVEL}",
            evidence.by_interval.name(),
            words_of_p(p),
            count(corrected.family, "hypothesis"),
            words_of_p(holm)
        )
    })
}

/// Returns what the error rates of the verdicts are, a sentence for each family.
pub(super) fn error_rates(all: &[Judged]) -> Vec<String> {
    // In the order in which they first occur, each with whether one of its claims has two margins.
    let mut families: Vec<(String, u32, bool)> = Vec::new();
    for judged in all {
        let of = judged.corrected.family;
        let name = match (&judged.hypothesis.family, of) {
            (Family::Alone, _) | (_, 1) => "a hypothesis by itself".to_owned(),
            (Family::Named(name), of) if judged.post_hoc => {
                format!("family {name} of {of} that were added later")
            }
            (Family::Named(name), of) => format!("family {name} of {of}"),
            (Family::Common, of) if judged.post_hoc => format!("family of {of} that were added later"),
            (Family::Common, of) => format!("family of {of}"),
        };
        let two_sided = matches!(judged.hypothesis.expected, Claim::Within(_));
        match families.iter_mut().find(|(known, ..)| *known == name) {
            Some((.., known)) => *known |= two_sided,
            None => families.push((name, of, two_sided)),
        }
    }
    let rate = |(name, of, two_sided): (String, u32, bool)| {
        let a = if of == 1 { "a" } else { "any" };
        let side = if two_sided {
            " (of a claim within two margins: 2.5 % a margin)"
        } else {
            ""
        };
        format!(
            "{name}: the chance of {a} false \"supported\" is at most 2.5 %, of {a} false \"refuted\" at most 2.5 %{side}"
        )
    };
    families.into_iter().map(rate).collect()
}

/// `mean over perceptron-100 and perceptron-600`; nothing where there is one point.
pub(super) fn averages(judged: &Judged) -> Option<String> {
    let twins = match judged.twins {
        0 => String::new(),
        1 => " (1 more is the same networks, and counts once)".to_owned(),
        twins => format!(" ({twins} more are the same networks, and count once)"),
    };
    match judged.averages.as_slice() {
        [] if judged.twins == 0 => None,
        [] => Some(format!("one pair of points{twins}")),
        [one] => Some(format!("{one} alone has both sides{twins}")),
        points => Some(format!("mean over {}{twins}", listed(points))),
    }
}

/// `a, b and c`; the first few of many.
fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        names if names.len() <= MAX_NAMED => {
            let (last, others) = names.split_last().unwrap_or((&names[0], &[]));
            format!("{} and {last}", others.join(", "))
        }
        names => format!(
            "{} and {} more",
            names[..MAX_NAMED].join(", "),
            names.len() - MAX_NAMED
        ),
    }
}

/// A p-value to three digits.
pub(super) fn words_of_p(p: f64) -> String {
    match p {
        p if p < 1e-3 => format!("{p:.1e}"),
        p => format!("{p:.3}"),
    }
}

fn count(n: u32, what: &str) -> String {
    match (n, what) {
        (1, what) => format!("1 {what}"),
        (n, "hypothesis") => format!("{n} hypotheses"),
        (n, what) => format!("{n} {what}s"),
    }
}
