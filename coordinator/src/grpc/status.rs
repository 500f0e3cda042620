//! Errors to gRPC codes: the one place.

use std::time::Duration;

use tenfold_core::Refusal;
use tenfold_proto::convert::ConvertError;
use tenfold_proto::pushback;
use tonic::{Code, Status};

use crate::store::StoreError;
use crate::turn::TurnError;

pub(crate) fn of_turn(error: TurnError) -> Status {
    let code = match &error {
        TurnError::Refused(refusal) => of_refusal(refusal),
        TurnError::Busy | TurnError::Full(_) => Code::ResourceExhausted,
        TurnError::Store(_) | TurnError::Stopped => Code::Unavailable,
    };
    let status = Status::new(code, error.to_string());
    let pause = match error {
        TurnError::Busy => Duration::from_millis(250),
        TurnError::Store(_) => Duration::from_secs(1),
        // A full disk is no matter of a moment: whoever asks is told, and says when to try again.
        TurnError::Full(_) | TurnError::Refused(_) | TurnError::Stopped => return status,
    };
    pushback::with(status, pause)
}

fn of_refusal(refusal: &Refusal) -> Code {
    match refusal {
        Refusal::UnknownSweep(_) | Refusal::UnknownWorker(_) => Code::NotFound,
        Refusal::StaleFence(_) => Code::Aborted,
        Refusal::TooManyWorkers(_) => Code::ResourceExhausted,
        Refusal::Gap { .. }
        | Refusal::IncompleteCurve { .. }
        | Refusal::NotNow { .. }
        | Refusal::DamagedSweep { .. } => Code::FailedPrecondition,
        Refusal::RequestReused { .. } => Code::AlreadyExists,
        Refusal::CannotExtend { .. } => Code::InvalidArgument,
        Refusal::UnknownSlot { .. }
        | Refusal::EmptyPack
        | Refusal::UnknownAttempt { .. }
        | Refusal::Differs { .. }
        | Refusal::Malformed { .. } => Code::InvalidArgument,
    }
}

pub(crate) fn of_convert(error: ConvertError) -> Status {
    Status::invalid_argument(error.to_string())
}

pub(crate) fn of_store(error: StoreError) -> Status {
    match error {
        StoreError::Unsupported(what) => Status::unimplemented(what),
        StoreError::Damaged { what, .. } => Status::data_loss(what),
        error => Status::unavailable(format!("the coordinator's store failed: {error}")),
    }
}
