//! A sweep's plan, as text for people.

use std::fmt::Write;

use tenfold_types::{Setting, Value};

use super::{FEW_REPETITIONS, Gate, Stage, Sweep, coverage_at_stop};

/// Values of an axis, points and architectures shown before the rest is only counted.
const VALUES: usize = 12;
const POINTS: usize = 6;
const NETWORKS: usize = 12;

pub(super) fn describe(sweep: &Sweep) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    _ = write(sweep, &mut text);
    text
}

fn write(sweep: &Sweep, out: &mut String) -> std::fmt::Result {
    writeln!(out, "{} ({})", sweep.name(), sweep.id().short())?;
    if !sweep.description().is_empty() {
        // Indented throughout: no line of it passes for one of ours.
        let lines: Vec<&str> = sweep.description().trim().lines().map(str::trim).collect();
        writeln!(out, "  description   {}", lines.join("\n                "))?;
    }
    let device = sweep
        .required_device()
        .map_or_else(|| "any device".to_owned(), |kind| format!("{kind} only"));
    let data = sweep.data();
    writeln!(
        out,
        "  data          {} pair{} to train, {} to test, target {}",
        data.train,
        plural(data.train.into()),
        data.test,
        data.target
    )?;
    writeln!(out, "  seed          {}, {device}", sweep.seed())?;
    for hypothesis in sweep.hypotheses() {
        writeln!(out, "  hypothesis    {}", hypothesis.claim)?;
    }
    match sweep.stages() {
        [stage] => write_stage(stage, out),
        stages => {
            let trials = sweep.most_trials();
            let of_stage = |stage: &Stage| stage.most_trained() * u64::from(stage.epochs());
            let epochs: u64 = stages.iter().map(of_stage).sum();
            let at_most = match stages.iter().any(Stage::may_shrink) {
                true => "at most ",
                false => "",
            };
            let trained = of_which_trained(sweep.most_trained(), trials);
            writeln!(
                out,
                "  all stages    {at_most}{trials} trials{trained}, {epochs} epochs"
            )?;
            for stage in stages {
                writeln!(out, "\nstage {}", stage.name())?;
                write_stage(stage, out)?;
            }
            Ok(())
        }
    }
}

fn write_stage(stage: &Stage, out: &mut String) -> std::fmt::Result {
    let excluded = stage.raw_points() - stage.points();
    let most = match stage.most_points() < stage.points() {
        true => format!("at most {} of ", stage.most_points()),
        false => String::new(),
    };
    let left_out = if excluded > 0 {
        format!(" ({excluded} of {} left out)", stage.raw_points())
    } else {
        String::new()
    };
    let repetitions = stage.repetitions();
    let trials = stage.most_trials();
    let trained = stage.most_trained();
    let epochs = trained * u64::from(stage.epochs());
    let repetitions = match stage.gate() {
        Some(Gate::Repetitions(until)) => format!("{} to {repetitions}", until.min),
        _ => repetitions.to_string(),
    };
    let seen = if stage.confirms() {
        " that no earlier choice has seen"
    } else {
        ""
    };
    let at_most = if stage.may_shrink() { "at most " } else { "" };
    writeln!(
        out,
        "  trials        {most}{} point{}{left_out} × {repetitions} repetition{}{seen} = {at_most}{trials}{}, of {} epoch{} each: {epochs} epoch{}",
        stage.points(),
        plural(stage.points()),
        plural(stage.repetitions().into()),
        of_which_trained(trained, trials),
        stage.epochs(),
        plural(stage.epochs().into()),
        plural(epochs)
    )?;
    write_twins(stage, out)?;
    match stage.gate() {
        Some(Gate::Points(rung)) => {
            writeln!(out, "  points        {rung}")?;
            return writeln!(out, "  all else      as in stage {}", rung.source_name);
        }
        Some(Gate::Repetitions(until)) => {
            writeln!(out, "  repetitions   {until}")?;
            if until.min < FEW_REPETITIONS {
                warn_of_few(until.min, out)?;
            }
        }
        None => {}
    }
    writeln!(out, "\naxes")?;
    for axis in stage.axes() {
        let taken = stage.rules().iter().find(|taken| taken.setting == axis.setting);
        let values = taken.map_or_else(|| list(&axis.values), |taken| taken.rule.to_string());
        writeln!(out, "  {:<15} {values}", axis.setting.name())?;
    }
    if stage.axes().is_empty() {
        writeln!(out, "  none: one point")?;
    }
    let names = |group: &[usize]| -> String {
        let names: Vec<&str> = group
            .iter()
            .map(|&axis| stage.axes()[axis].setting.name())
            .collect();
        names.join(" with ")
    };
    let definition = stage.definition();
    let sampled = definition.sample.as_ref().map(|(group, _)| group);
    for group in definition.zip.iter().filter(|&group| Some(group) != sampled) {
        writeln!(out, "  zipped          {}", names(group))?;
    }
    if let Some((group, sample)) = &definition.sample {
        writeln!(out, "  sampled         {}: {sample}", names(group))?;
    }
    writeln!(out, "\nfixed")?;
    for setting in Setting::ALL
        .iter()
        .filter(|s| stage.axes().iter().all(|axis| axis.setting != **s))
    {
        if let [value] = stage.values_of(*setting).as_slice() {
            writeln!(out, "  {:<15} {value}", setting.name())?;
        }
    }
    writeln!(out, "\nnetworks")?;
    networks(stage, out)?;
    writeln!(out, "\nfirst points")?;
    for point in stage
        .indexes()
        .take(POINTS)
        .filter_map(|index| stage.point(index))
    {
        let values: Vec<String> = point
            .values
            .iter()
            .map(|(setting, value)| format!("{setting}={value}"))
            .collect();
        writeln!(out, "  {:<6} {}", point.index, values.join(" "))?;
    }
    let more = stage.points().saturating_sub(POINTS as u64);
    if more > 0 {
        writeln!(out, "  … and {more} more")?;
    }
    Ok(())
}

/// Says how many points are trained for others too.
fn write_twins(stage: &Stage, out: &mut String) -> std::fmt::Result {
    let (points, distinct) = (stage.points(), stage.distinct_points());
    if distinct == points {
        return Ok(());
    }
    let twins = points.saturating_sub(distinct);
    let about = if stage.counts_distinct() { "" } else { "about " };
    let settings: Vec<&str> = stage
        .idle_settings()
        .iter()
        .map(|setting| setting.name())
        .collect();
    writeln!(
        out,
        "  the same      {about}{twins} of the {points} points {} the same network as another one, which is trained once: {} cannot matter there",
        if twins == 1 { "is" } else { "are" },
        settings.join(" and ")
    )
}

/// What makes a plural of a noun.
fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn of_which_trained(trained: u64, trials: u64) -> String {
    match trained < trials {
        true => format!(", {trained} of them trained"),
        false => String::new(),
    }
}

/// Says how often intervals hold the mean where repetitions by need may end after very few.
fn warn_of_few(min: u32, out: &mut String) -> std::fmt::Result {
    let [few, enough] = [min, FEW_REPETITIONS].map(|min| {
        let of = coverage_at_stop(min);
        [of.normal, of.skewed].map(|share| format!("{:.0}", 100.0 * share))
    });
    writeln!(
        out,
        "  warning       with min = {min}, intervals at the stop hold the mean down to {} times in 100 where values are normal, and {} where \
         they are skewed, not 95: a deviation of so few values is often too small; with min = {FEW_REPETITIONS} it is {} and {}",
        few[0], few[1], enough[0], enough[1]
    )
}

fn list(values: &[Value]) -> String {
    let mut list: Vec<String> = values.iter().take(VALUES).map(Value::to_string).collect();
    if values.len() > VALUES {
        list.push(format!("… ({} values)", values.len()));
    }
    list.join(", ")
}

/// Each network once, with its layers, and its size with and without weight sharing where both occur.
fn networks(stage: &Stage, out: &mut String) -> std::fmt::Result {
    let mut networks = stage.networks();
    networks.sort_by(|a, b| a.0.name.cmp(&b.0.name));
    networks.dedup_by(|a, b| a.0.name == b.0.name && a.1 == b.1);
    let mut last = String::new();
    let mut shown = 0;
    for (architecture, sharing, auxiliary) in networks {
        let Ok(outline) = architecture.outline(sharing, auxiliary) else {
            continue;
        };
        if architecture.name != last {
            shown += 1;
            if shown > NETWORKS {
                return writeln!(out, "  … and more");
            }
            for (stack, layers) in outline.stacks.iter().enumerate() {
                let shapes: Vec<String> = layers
                    .iter()
                    .map(|layer| {
                        if layer.input == layer.output {
                            layer.name.to_owned()
                        } else {
                            format!("{} → {}", layer.name, layer.output)
                        }
                    })
                    .collect();
                let name = match stack {
                    0 => format!("{}:", architecture.name),
                    _ => " ".repeat(architecture.name.chars().count() + 1),
                };
                let times = match outline.stacks.len() {
                    1 => architecture.sub_networks,
                    _ => 1,
                };
                writeln!(
                    out,
                    "  {name} {times} × [{} → {}]",
                    architecture.input(),
                    shapes.join(", ")
                )?;
            }
            last.clone_from(&architecture.name);
        }
        writeln!(
            out,
            "    {}: join {}, head → 2; {} parameters, {} operations a pair",
            if sharing { "shared weights" } else { "own weights" },
            outline.join_width,
            outline.parameters,
            outline.operations
        )?;
    }
    Ok(())
}
