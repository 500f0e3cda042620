//! How it was done: data, statistics, and what it takes to do it again.

use tenfold_core::sweep::{CONFIRMING, Stage};

use super::super::{Block, Span, paragraph};
use super::Study;

/// MNIST's files with the SHA-256 sums that every trainer checks before it trains.
const MNIST: [(&str, &str); 4] = [
    (
        "train-images-idx3-ubyte",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    (
        "train-labels-idx1-ubyte",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    (
        "t10k-images-idx3-ubyte",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    (
        "t10k-labels-idx1-ubyte",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
];

/// Images that test pairs are drawn from; a pair has two, none twice in a repetition.
const TEST_IMAGES: u32 = 10_000;

/// What repetitions and stages have in common, and so what their intervals do not cover.
fn shared(study: &Study) -> Option<Block> {
    let sweep = study.sweep.as_ref()?;
    let images = sweep.data().test.saturating_mul(2);
    let share = f64::from(images) / f64::from(TEST_IMAGES) * 100.0;
    let mut text = format!(
        "What repetitions share: test images are drawn from {TEST_IMAGES}, {images} for each repetition, so about {share:.0} % of the test \
         images of one repetition are in another one too. Intervals hold for these {TEST_IMAGES} images, not for others."
    );
    let stages = sweep.stages();
    if stages.len() > 1 {
        text += match stages.iter().any(Stage::confirms) {
            false => " All stages have the same seed: the same repetition of two stages sees the same data.",
            true => {
                " All stages have the same seed: the same repetition of two stages sees the same data, unless one of them is trained on \
                 repetitions that no earlier choice has seen."
            }
        };
    }
    let names = |confirms: bool| {
        let taking = stages
            .iter()
            .filter(|stage| stage.confirms() == confirms && !stage.rules().is_empty());
        taking.map(Stage::name).collect::<Vec<&str>>().join(", ")
    };
    match names(false) {
        none if none.is_empty() => {}
        names => {
            text += &format!(
                " The values that these stages take from earlier ones were chosen on repetitions and test pairs that are evaluated in them \
                 again, and so look somewhat better than they are: {names}."
            );
        }
    }
    match names(true) {
        none if none.is_empty() => {}
        names => {
            text += &format!(
                " In these stages the chosen values were trained on repetitions that no earlier choice has seen (from {CONFIRMING} on), with other \
                 pairs, though of the same {TEST_IMAGES} test images: {names}."
            );
        }
    }
    let planned: u64 = study.counts.total();
    text += &format!(
        " Of {planned} trials that the sweep has, {} have succeeded; which repetitions of which group are missing is in the tables.",
        study.counts.succeeded
    );
    Some(paragraph(text))
}

pub(super) fn blocks(study: &Study) -> Vec<Block> {
    let mut blocks = vec![Block::Heading(2, "Method".to_owned())];
    if let Some(sweep) = &study.sweep {
        let (seed, data) = (sweep.seed(), sweep.data());
        blocks.push(paragraph(format!(
            "Data: pairs of MNIST digits at 14 × 14 pixels, {} to train and {} to test, drawn afresh for each repetition; the target is \
             “{}”. Data, first weights and the order of batches follow from the seed {seed} and the number of the repetition alone, so \
             the same repetition of two points sees the same data: points can be compared in pairs.",
            data.train, data.test, data.target
        )));
    }
    blocks.extend(shared(study));
    blocks.push(paragraph(
        "Statistics: over the repetitions of a group that succeeded, the same at every epoch; of a group of several points over the \
         means of its points within each repetition, since points share data and seed by repetition. The interval is x̄ ± t · s/√n with the \
         0.975 quantile of Student's t distribution with n − 1 degrees of freedom: over many such groups, 95 % of the intervals hold \
         the true mean if repetitions are about normal. Of n = 1 there is none. A group with a diverged or failed repetition is never \
         called best before one without. Intervals are of single means; that two overlap does not say that they do not differ, since \
         repetitions are paired.",
    ));
    blocks.push(paragraph(
        "The lowest of m groups is by chance too low. How often its interval would hold the truth is computed for the worst case, m \
         independent groups with one truth and one deviation and n normal repetitions each: E[Φ(t S)^m − Φ(−t S)^m], where S² is χ² \
         with n − 1 degrees of freedom over n − 1. Groups that are far apart, or whose repetitions go together because they share data, \
         lose less.",
    ));
    blocks.push(paragraph(
        "The files that trainers check before they train, by SHA-256:",
    ));
    let file = |(name, sum): &(&str, &str)| {
        vec![
            Span::Code((*name).to_owned()),
            Span::Text(" ".to_owned()),
            Span::Code((*sum).to_owned()),
        ]
    };
    blocks.push(Block::List(MNIST.iter().map(file).collect()));
    blocks.push(Block::Heading(3, "The sweep".to_owned()));
    blocks.push(Block::Preformatted(study.plan.clone()));
    blocks.push(Block::Paragraph(vec![
        Span::Text("Its normalised text, defaults left out and networks spelled out; the first 16 bytes of a hash of it are the id ".to_owned()),
        Span::Code(study.id.clone()),
        Span::Text(", so the same text is the same sweep:".to_owned()),
    ]));
    blocks.push(Block::Preformatted(study.normalised.clone()));
    blocks
}
