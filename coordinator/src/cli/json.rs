//! `--json`: one versioned object a line. What is spoken of has its id under the name of its kind: `sweep`, `trial`,
//! `worker`.

use serde_json::{Map, Value, json};
use tenfold::report::{self, JSON_VERSION};
use tenfold_proto::v1;

use super::format;

fn object(kind: &str, fields: Value) -> Value {
    let mut object = Map::new();
    object.insert("v".to_owned(), JSON_VERSION.into());
    object.insert("kind".to_owned(), kind.into());
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
    Value::Object(object)
}

/// A line.
pub(crate) fn line(value: &Value) -> String {
    report::json(value) + "\n"
}

fn counts(counts: &v1::TrialCounts) -> Value {
    json!({
        "pending": counts.pending, "leased": counts.leased, "running": counts.running, "backoff": counts.backoff,
        "suspect": counts.suspect, "succeeded": counts.succeeded, "diverged": counts.diverged,
        "failed": counts.failed, "cancelled": counts.cancelled,
    })
}

pub(crate) fn point(assignments: &[v1::Assignment]) -> Value {
    use v1::value::Kind;
    let value =
        |assignment: &v1::Assignment| match assignment.value.as_ref().and_then(|value| value.kind.as_ref()) {
            Some(Kind::Boolean(value)) => json!(value),
            Some(Kind::Integer(value)) => json!(value),
            Some(Kind::Number(value)) => json!(value),
            Some(Kind::Text(value)) => json!(value),
            None => Value::Null,
        };
    Value::Object(
        assignments
            .iter()
            .map(|a| (a.setting.clone(), value(a)))
            .collect(),
    )
}

pub(crate) fn sweep(status: &v1::SweepStatus) -> Value {
    let fields = json!({
        "sweep": format::hex(&status.sweep),
        "name": status.name,
        "state": format::sweep_state(status.state()),
        "points": status.points,
        "repetitions": status.repetitions,
        "trials": counts(&status.trials.unwrap_or_default()),
        "epochs": status.epochs,
        "total_epochs": status.total_epochs,
        "submitted_at": format::time(status.submitted_at_ms),
        "finished_at": status.finished_at_ms.map(format::time),
    });
    object("sweep", fields)
}

pub(crate) fn trial(status: &v1::TrialStatus) -> Value {
    let fields = json!({
        "sweep": format::hex(&status.sweep),
        "trial": format::key(status.trial),
        "state": format::trial_state(status.state()),
        "point": point(&status.point),
        "attempts": status.attempts,
        "failures": status.failures,
        "epochs": status.epochs,
        "error": status.error,
    });
    object("trial", fields)
}

/// Why a trial is where it is: what is known of it, with these reasons.
pub(crate) fn explanation(answer: &v1::ExplainResponse, reasons: Vec<Value>) -> Value {
    let mut object = trial(&answer.status.clone().unwrap_or_default());
    let values = answer.metrics.iter().cloned();
    let values = values.zip(answer.values.iter().map(|value| json!(value)));
    object["kind"] = "explanation".into();
    object["stage"] = answer.stage_name.clone().into();
    object["reasons"] = reasons.into();
    object["pack_limit"] = (answer.pack_limit > 0).then_some(answer.pack_limit).into();
    object["result"] = match answer.values.is_empty() {
        true => Value::Null,
        false => Value::Object(values.collect()),
    };
    object
}

pub(crate) fn attempt(attempt: &v1::Attempt) -> Value {
    let fields = json!({
        "number": attempt.number,
        "fence": attempt.fence,
        "worker": format::hex(&attempt.worker),
        "host": attempt.host,
        "device": attempt.device,
        "threads": attempt.threads,
        "version": attempt.version,
        "libtorch": attempt.libtorch,
        "started_at": format::time(attempt.started_at_ms),
        "ended_at": attempt.ended_at_ms.map(format::time),
        "ended": attempt.ended,
        "error": attempt.error,
        "stderr": attempt.stderr,
    });
    object("attempt", fields)
}

pub(crate) fn worker(worker: &v1::Worker) -> Value {
    let fields = json!({
        "worker": format::hex(&worker.worker),
        "host": worker.host,
        "process": worker.process,
        "version": worker.version,
        "libtorch": worker.libtorch,
        "slots": worker.slots,
        "busy": worker.busy,
        "device": worker.device,
        "connected": worker.connected,
        "last_seen": format::time(worker.last_seen_ms),
        "draining": worker.draining,
        "quarantined_until": worker.quarantined_until_ms.map(format::time),
    });
    object("worker", fields)
}

pub(crate) fn plan(plan: &v1::PlanResponse) -> Value {
    let fields = json!({
        "sweep": format::hex(&plan.sweep),
        "name": plan.name,
        "points": plan.points,
        "excluded": plan.excluded,
        "repetitions": plan.repetitions,
        "trials": plan.trials,
        "trained": plan.trained,
        "existing": plan.existing,
    });
    object("plan", fields)
}

/// The same object with one more field.
pub(crate) fn with(mut object: Value, name: &str, value: impl Into<Value>) -> Value {
    object[name] = value.into();
    object
}

/// A worker that is to end when it has finished.
pub(crate) fn drained(worker: &[u8]) -> Value {
    object("drained", json!({ "worker": format::hex(worker) }))
}

/// A sweep that is no more.
pub(crate) fn deleted(sweep: &v1::DeleteResponse) -> Value {
    object(
        "deleted",
        json!({ "sweep": format::hex(&sweep.sweep), "name": sweep.name }),
    )
}

/// A file that was written.
pub(crate) fn file(path: &std::path::Path) -> Value {
    object("file", json!({ "path": path.to_string_lossy() }))
}

/// A coordinator that serves.
pub(crate) fn serving(address: &str) -> Value {
    object("serving", json!({ "coordinator": address }))
}

/// A coordinator that waits until another one's store is free.
pub(crate) fn standing_by(why: &str) -> Value {
    object("standing-by", json!({ "why": why }))
}

/// A line of the results log, with the cursor behind it.
pub(crate) fn with_cursor(line: &str, cursor: u64) -> String {
    match serde_json::from_str::<Map<String, Value>>(line) {
        Ok(mut object) => {
            object.insert("cursor".to_owned(), cursor.into());
            self::line(&Value::Object(object))
        }
        Err(_) => format!("{line}\n"),
    }
}
