//! `tenfold explain`.

use clap::Args;
use serde_json::{Value, json};
use tenfold::report::log;
use tenfold_core::rounding::significant;
use tenfold_proto::v1::{self, choice::Kind, reason::Reason};

use super::exit::Failure;
use super::format::Fields;
use super::{Common, format, json, show};

#[derive(Args)]
pub(crate) struct Explain {
    /// A trial as SEL/stage.point.repetition
    trial: String,
}

impl Explain {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let client = common.client().await?;
        let request = v1::ExplainRequest { trial: self.trial };
        let answer = client
            .ask(request, |mut control, request| async move {
                control.explain(request).await
            })
            .await?;
        match common.json {
            true => format::print(&as_json(&answer)),
            false => format::print(&page(&answer)),
        }
    }
}

fn reasons(answer: &v1::ExplainResponse) -> impl Iterator<Item = &Reason> {
    answer.reasons.iter().filter_map(|reason| reason.reason.as_ref())
}

fn as_json(answer: &v1::ExplainResponse) -> String {
    let reasons = reasons(answer).map(of_reason).collect();
    let attempts = answer.attempts.iter().map(json::attempt);
    std::iter::once(json::explanation(answer, reasons))
        .chain(attempts)
        .map(|line| json::line(&line))
        .collect()
}

fn page(answer: &v1::ExplainResponse) -> String {
    let status = answer.status.clone().unwrap_or_default();
    let sweep = format::short(&status.sweep);
    let mut fields = Fields::new(0, 15);
    let mut line = |name: &str, what: &str| fields.line(name, what);
    line("trial", &format!("{sweep}/{}", format::key(status.trial)));
    if !answer.stage_name.is_empty() {
        line("stage", &answer.stage_name);
    }
    line("point", &format::point(&status.point));
    line("state", format::trial_state(status.state()));
    let mut name = "why";
    for reason in reasons(answer) {
        line(std::mem::take(&mut name), &words(reason, &sweep, answer.now_ms));
    }
    if !answer.values.is_empty() {
        let values = answer.metrics.iter().zip(&answer.values);
        let values: Vec<String> = values
            .map(|(metric, value)| format!("{metric} {}", significant(f64::from(*value))))
            .collect();
        line(
            "result",
            &format!("{} at epoch {}", values.join(", "), status.epochs),
        );
    }
    line("attempts", &tried(&status));
    let mut text = fields.finish();
    for attempt in &answer.attempts {
        text.push_str(&show::attempt(attempt, &ended(attempt)));
    }
    text
}

fn tried(status: &v1::TrialStatus) -> String {
    match (status.attempts, status.failures) {
        (0, _) => "none yet".to_owned(),
        (attempts, failures) => format!("{attempts} ({failures} charged to the trial)"),
    }
}

/// How an attempt ended, and whose fault that is.
fn ended(attempt: &v1::Attempt) -> String {
    let what = match attempt.ended.as_str() {
        "" => "runs",
        "failed" => {
            "failed: trained alone, it is charged, unless its worker turned out to fail at everything"
        }
        "lost with its trainer" => {
            "lost with its trainer, which trained several: charged to nobody, the pack was split"
        }
        "lease expired" => "lease expired, as its worker was not heard of in time: charged to nobody",
        "released by its worker" => "released by its worker, which ends or drains: charged to nobody",
        "cancelled" => "cancelled by a person",
        other => other,
    };
    what.to_owned()
}

/// `paused`, `no_worker`, …: the name of a reason, with what it carries.
fn of_reason(reason: &Reason) -> Value {
    match reason {
        Reason::Paused(_) => json!({ "reason": "paused" }),
        Reason::Choice(choice) => json!({
            "reason": "choice", "decides": log::decides(choice.kind()), "setting": choice.setting, "source": choice.source, "per": json::point(&choice.per),
            "open": choice.open,
        }),
        Reason::LeftOut(left_out) => json!({
            "reason": "left_out",
            "decision": left_out.decision.as_ref().map(log::choice_text),
        }),
        Reason::Backoff(rest) => json!({ "reason": "backoff", "until": format::time(rest.until_ms) }),
        Reason::NoWorker(_) => json!({ "reason": "no_worker" }),
        Reason::NoDevice(device) => json!({ "reason": "no_device", "required": kind(device.required()) }),
        Reason::Unwilling(of) => json!({
            "reason": "unwilling", "quarantined": of.quarantined, "draining": of.draining, "silent": of.silent,
        }),
        Reason::Sharing(others) => json!({ "reason": "sharing", "sweeps": others.sweeps }),
        Reason::Alone(of) => json!({ "reason": "alone", "failures": of.failures, "limit": of.limit }),
        Reason::PackLimit(limit) => json!({ "reason": "pack_limit", "trials": limit.trials }),
        Reason::Behind(behind) => json!({ "reason": "behind", "trials": behind.trials }),
        Reason::Next(next) => json!({ "reason": "next", "slots": next.slots, "busy": next.busy }),
        Reason::Held(held) => json!({
            "reason": "held", "fence": held.fence, "worker": format::hex(&held.worker), "host": held.host,
            "slot": held.slot, "since": format::time(held.since_ms), "together": held.together,
            "epochs": held.epochs, "of": held.of,
        }),
        Reason::Suspect(suspect) => json!({ "reason": "suspect", "until": format::time(suspect.until_ms) }),
        Reason::Succeeded(succeeded) => json!({ "reason": "succeeded", "epochs": succeeded.epochs }),
        Reason::Diverged(diverged) => json!({ "reason": "diverged", "epoch": diverged.epoch }),
        Reason::Failed(of) => json!({
            "reason": "failed", "failures": of.failures, "limit": of.limit, "error": of.error,
        }),
        Reason::Cancelled(_) => json!({ "reason": "cancelled" }),
        Reason::Twin(twin) => json!({
            "reason": "twin", "of": format::key(twin.of), "has_result": twin.has_result,
        }),
    }
}

fn kind(kind: v1::DeviceKind) -> &'static str {
    match kind {
        v1::DeviceKind::Unspecified => "unknown",
        v1::DeviceKind::Cpu => "cpu",
        v1::DeviceKind::Cuda => "cuda",
    }
}

/// A reason for people. `sweep` is what commands call its sweep, `now` the coordinator's time.
fn words(reason: &Reason, sweep: &str, now: u64) -> String {
    let left = |until: u64| format::duration(until.saturating_sub(now) as f64 / 1000.0);
    match reason {
        Reason::Paused(_) => format!("its sweep is paused; go on with: tenfold resume {sweep}"),
        Reason::Choice(choice) => {
            let cell = match choice.per.is_empty() {
                true => String::new(),
                false => format!(" for {}", format::point(&choice.per)),
            };
            let open = match choice.open {
                0 => "it is chosen next".to_owned(),
                1 => "1 trial that it is chosen from is not over".to_owned(),
                open => format!("{open} trials that it is chosen from are not over"),
            };
            let (setting, source) = (&choice.setting, &choice.source);
            match choice.kind() {
                Kind::Axis => {
                    format!("its {setting} is still to be chosen from stage {source}{cell}: {open}")
                }
                Kind::Points => {
                    format!("whether points go on from stage {source}{cell} is still to be decided: {open}")
                }
                Kind::Repetitions => {
                    format!("whether its point is repeated so often{cell} is still to be decided: {open}")
                }
            }
        }
        Reason::LeftOut(left_out) => match &left_out.decision {
            Some(decision) => format!("it is not run: {}", log::choice_text(decision)),
            None => "it is not run".to_owned(),
        },
        Reason::Backoff(rest) => format!(
            "it failed, and rests until {} ({} from now)",
            format::time(rest.until_ms),
            left(rest.until_ms)
        ),
        Reason::NoWorker(_) => "no worker is connected; see: tenfold workers".to_owned(),
        Reason::NoDevice(device) => format!(
            "its sweep requires a device of kind {}, which no connected worker has",
            kind(device.required())
        ),
        Reason::Unwilling(of) => {
            let some = [
                (of.quarantined, "in quarantine, as they failed at everything"),
                (of.draining, "draining"),
                (of.silent, "silent"),
            ];
            let some: Vec<String> = some
                .iter()
                .filter(|(number, _)| *number > 0)
                .map(|(number, what)| format!("{number} {what}"))
                .collect();
            format!("no worker that could train it takes trials: {}", some.join(", "))
        }
        Reason::Sharing(others) => format!(
            "its sweep shares the slots with {}",
            format::count(others.sweeps, "other sweep")
        ),
        Reason::Alone(of) => format!(
            "it is leased by itself, as it has failed before ({} of {} failures)",
            of.failures, of.limit
        ),
        Reason::PackLimit(limit) => format!(
            "a trainer died that trained it with others, so its packs have at most {}",
            format::count(limit.trials.into(), "trial")
        ),
        Reason::Behind(behind) => format!(
            "{} of its sweep {} before it in line",
            format::count(behind.trials, "trial"),
            if behind.trials == 1 { "stands" } else { "stand" }
        ),
        Reason::Next(next) => format!(
            "it is next in line for a free slot; {} of {} busy",
            next.busy,
            match next.slots {
                1 => "1 slot is".to_owned(),
                slots => format!("{slots} slots are"),
            }
        ),
        Reason::Held(held) => {
            let alone = match held.together {
                0 | 1 => "by itself".to_owned(),
                together => format!("in a pack of {together}"),
            };
            format!(
                "slot {} of {} has had it for {}, {alone}, with fence {}: {} of {} epochs have come",
                held.slot,
                held.host,
                format::duration(now.saturating_sub(held.since_ms) as f64 / 1000.0),
                held.fence,
                held.epochs,
                held.of
            )
        }
        Reason::Suspect(suspect) => format!(
            "its worker has not been heard of; the lease ends in {} unless it is",
            left(suspect.until_ms)
        ),
        Reason::Succeeded(succeeded) => format!("all its {} epochs are there", succeeded.epochs),
        Reason::Diverged(diverged) => format!(
            "a loss was infinite or no number in epoch {}, which is a result",
            diverged.epoch
        ),
        Reason::Failed(of) => {
            let error = match of.error.as_str() {
                "" => "no reason is known",
                error => error,
            };
            let often = match of.failures {
                0 => String::new(),
                failures => format!(" ({failures} of {} failures)", of.limit),
            };
            format!("{error}{often}; again: tenfold retry {sweep} --failed")
        }
        Reason::Twin(twin) => {
            let of = format!("{sweep}/{}", format::key(twin.of));
            let same = "the settings in which it differs cannot matter";
            match twin.has_result {
                true => format!("it has the result of trial {of}: {same}"),
                false => format!("it is not trained itself and follows trial {of}: {same}"),
            }
        }
        Reason::Cancelled(_) => format!("it was cancelled; again: tenfold retry {sweep} --cancelled"),
    }
}
