//! `Explain`: what there is to know of one trial.

use tenfold_core::{Reason, State, SweepState, explain};
use tenfold_proto::v1::{self, reason::Reason as Wire};
use tonic::Status;

use super::{Service, messages, selector, status};
use crate::store::Reader;

impl Service {
    /// Why a trial is where it is, its attempts, and the last epoch of its curve.
    pub(super) async fn explained(&self, named: &str) -> Result<v1::ExplainResponse, Status> {
        let (selector, key) = selector::trial(named)?;
        let look = move |state: &State, now| {
            let sweep = selector::resolve(state, &selector)?;
            let reasons = explain(state, sweep.row().id, key, now).ok_or_else(|| selector::no_trial(key))?;
            let (row, mut trial) = messages::trial_now(sweep, key);
            if let [Reason::LeftOut { .. }] = reasons.as_slice() {
                trial.state = v1::TrialState::LeftOut.into();
            }
            let stage = sweep.sweep().stage(key.stage);
            let response = v1::ExplainResponse {
                status: Some(trial),
                stage_name: stage.map_or_else(String::new, |stage| stage.name().to_owned()),
                reasons: reasons
                    .into_iter()
                    .map(|reason| of_reason(sweep, reason))
                    .collect(),
                pack_limit: row.pack_limit,
                now_ms: now,
                ..v1::ExplainResponse::default()
            };
            Ok::<_, Status>((row, sweep.sweep().metrics(key), response))
        };
        let found = self.turn.read(look).await.map_err(status::of_turn)?;
        let (row, metrics, mut response) = found?;
        response.attempts = self.attempts(row.id).await?;
        if let Some(fence) = row.state.accepted().filter(|_| row.state.accepted_epochs() > 0) {
            let (id, epochs) = (row.id, row.state.accepted_epochs());
            let read = move |reader: &mut dyn Reader| reader.values(id.sweep, &[(id.key, fence)], epochs);
            let last = self.readers.with(read).await.map_err(status::of_store)?;
            response.values = last.into_iter().flatten().next().unwrap_or_default();
            response.metrics = messages::metrics(&metrics);
        }
        Ok(response)
    }
}

fn of_reason(sweep: &SweepState, reason: Reason) -> v1::Reason {
    use v1::reason as wire;
    let reason = match reason {
        Reason::Paused => Wire::Paused(wire::Paused {}),
        Reason::Choice { choice, open } => {
            let stands = messages::undecided(sweep.sweep(), choice).unwrap_or_default();
            Wire::Choice(wire::ToChoose {
                kind: stands.kind,
                setting: stands.setting,
                source: stands.source,
                per: stands.per,
                open,
            })
        }
        Reason::LeftOut { choice } => {
            let row = sweep.choices().find(|row| row.choice == choice);
            let decision = row.and_then(|row| messages::choice(sweep.sweep(), row));
            Wire::LeftOut(wire::LeftOut { decision })
        }
        Reason::Backoff { until } => Wire::Backoff(wire::Backoff { until_ms: until }),
        Reason::NoWorker => Wire::NoWorker(wire::NoWorker {}),
        Reason::NoDevice { required } => Wire::NoDevice(wire::NoDevice {
            required: v1::DeviceKind::from(required).into(),
        }),
        Reason::Unwilling {
            quarantined,
            draining,
            silent,
        } => Wire::Unwilling(wire::Unwilling {
            quarantined,
            draining,
            silent,
        }),
        Reason::Sharing { sweeps } => Wire::Sharing(wire::Sharing { sweeps }),
        Reason::Alone { failures, limit } => Wire::Alone(wire::Alone { failures, limit }),
        Reason::PackLimit { trials } => Wire::PackLimit(wire::PackLimit { trials }),
        Reason::Behind { trials } => Wire::Behind(wire::Behind { trials }),
        Reason::Next { slots, busy } => Wire::Next(wire::Next { slots, busy }),
        Reason::Held {
            fence,
            worker,
            host,
            slot,
            since,
            together,
            epochs,
            of,
        } => Wire::Held(wire::Held {
            fence: fence.0,
            worker: worker.0.to_vec(),
            host,
            slot,
            since_ms: since,
            together,
            epochs,
            of,
        }),
        Reason::Suspect { until } => Wire::Suspect(wire::Suspect { until_ms: until }),
        Reason::Succeeded { epochs } => Wire::Succeeded(wire::Succeeded { epochs }),
        Reason::Diverged { epoch } => Wire::Diverged(wire::Diverged { epoch }),
        Reason::Failed {
            failures,
            limit,
            error,
        } => Wire::Failed(wire::Failed {
            failures,
            limit,
            error,
        }),
        Reason::Cancelled => Wire::Cancelled(wire::Cancelled {}),
        Reason::Twin { of, has_result } => Wire::Twin(wire::Twin {
            of: Some(of.into()),
            has_result,
        }),
    };
    v1::Reason { reason: Some(reason) }
}
