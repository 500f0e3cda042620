//! Requests that change something: each is decided once, however often it is sent.

use prost::Message;
use sha2::{Digest, Sha256};
use tenfold_core::record::RequestKey;
use tenfold_core::{Answer, Input, Refusal, State};
use tenfold_proto::v1;
use tenfold_types::SweepId;
use tonic::{Response, Status};

use super::{Service, messages, status};
use crate::turn::{Order, Prepared, Reply};

/// Characters of a request id: fewer could come twice by accident, more would only be kept.
const ID: std::ops::RangeInclusive<usize> = 16..=64;

/// A message that has a request id.
pub(super) trait Identified: Message {
    /// Takes the id out of the message.
    fn take_id(&mut self) -> String;
}

macro_rules! identified {
    ($($message:ident)*) => {$(
        impl Identified for v1::$message {
            fn take_id(&mut self) -> String {
                std::mem::take(&mut self.request_id)
            }
        }
    )*};
}

identified! { SubmitRequest SelectRequest RetryRequest ExtendRequest RefineRequest DrainRequest }

/// Takes what identifies a request out of its message; none when it has no id.
///
/// # Errors
/// When its id is none.
pub(super) fn key(method: &str, message: &mut impl Identified) -> Result<Option<RequestKey>, Status> {
    let id = message.take_id();
    if id.is_empty() {
        return Ok(None);
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    if !ID.contains(&id.len()) || !id.bytes().all(fits) {
        return Err(Status::invalid_argument(format!(
            "{:?} is no request id; make one of {} to {} letters, digits and characters of \"-._:\", such as a random UUID",
            id.chars().take(*ID.end()).collect::<String>(),
            ID.start(),
            ID.end()
        )));
    }
    Ok(Some(RequestKey {
        id,
        method: method.to_owned(),
        digest: Sha256::digest(message.encode_to_vec()).into(),
    }))
}

/// Makes the answer to a request from the state after it was decided, and from what was decided.
type Answering<R> = Box<dyn FnOnce(&State, Vec<Answer>) -> Result<R, Status>>;

/// What a request comes to: inputs, and how it is answered.
pub(super) struct Decided<R> {
    inputs: Vec<Input>,
    answer: Answering<R>,
}

impl<R> Decided<R> {
    pub(super) fn new(
        inputs: Vec<Input>,
        answer: impl FnOnce(&State, Vec<Answer>) -> Result<R, Status> + 'static,
    ) -> Self {
        Self {
            inputs,
            answer: Box::new(answer),
        }
    }
}

impl Service {
    /// Has a request decided, unless it was before, and gives its answer. `prepare` resolves what it names; what it refuses
    /// is kept as an answer like any other.
    pub(super) async fn once<R: Message + Default + 'static>(
        &self,
        key: Option<RequestKey>,
        prepare: impl FnOnce(&State) -> Result<Decided<R>, Status> + Send + 'static,
    ) -> Result<Response<R>, Status> {
        let prepare = move |state: &State| {
            let Decided { inputs, answer } = prepare(state).map_err(|status| refusal(&status))?;
            let reply = move |state: &State, answers: Vec<Answer>| match answer(state, answers) {
                Ok(answer) => Reply::new(0, answer.encode_to_vec()),
                Err(status) => refusal(&status),
            };
            Ok(Prepared {
                inputs,
                reply: Box::new(reply),
            })
        };
        let refused = |refused: Refusal| refusal(&status::of_turn(refused.into()));
        let asked = key.as_ref().map(|key| (key.method.clone(), key.id.clone()));
        let order = Order {
            key,
            prepare: Box::new(prepare),
            refused,
        };
        let reply = self.turn.order(order).await.map_err(status::of_turn)?;
        if let Some((method, id)) = asked.filter(|_| reply.repeated) {
            tracing::info!(
                method,
                id,
                "a request came again, and is answered as the first time"
            );
        }
        if reply.code != 0 {
            let message = String::from_utf8_lossy(&reply.bytes);
            return Err(Status::new(reply.code.cast_signed().into(), message));
        }
        let answer = R::decode(reply.bytes.as_slice());
        answer
            .map(Response::new)
            .map_err(|error| Status::internal(format!("a kept answer cannot be read: {error}")))
    }
}

fn refusal(status: &Status) -> Reply {
    let code = i32::from(status.code()).cast_unsigned();
    Reply::new(code, status.message().as_bytes().to_vec())
}

/// Where a sweep stands after it was changed.
pub(super) fn status_of(state: &State, sweep: SweepId) -> Result<v1::SweepStatus, Status> {
    let found = state.sweep(sweep);
    found
        .map(messages::sweep_status)
        .ok_or_else(|| Status::not_found(format!("there is no sweep {sweep}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(selector: &str, id: &str) -> v1::SelectRequest {
        v1::SelectRequest {
            selector: selector.to_owned(),
            request_id: id.to_owned(),
        }
    }

    #[test]
    fn an_id_is_no_part_of_what_is_asked() {
        let key = |method, selector, id| key(method, &mut select(selector, id)).unwrap();
        let (one, other) = ("0123456789abcdef", "fedcba9876543210");
        assert_eq!(key("Pause", "last", ""), None);
        let first = key("Pause", "last", one).unwrap();
        assert_eq!(first, key("Pause", "last", one).unwrap());
        assert_eq!(first.digest, key("Pause", "last", other).unwrap().digest);
        assert_ne!(first.digest, key("Pause", "figure1", one).unwrap().digest);
        assert_ne!(first, key("Stop", "last", one).unwrap());
    }

    #[test]
    fn what_is_no_id_is_refused() {
        let long = "x".repeat(65);
        for wrong in [
            "1",
            "fifteen-letters",
            &long,
            "sixteen letters!",
            "sixteen\u{202e}letters!!",
        ] {
            let error = key("Pause", &mut select("last", wrong)).unwrap_err();
            assert_eq!(error.code(), tonic::Code::InvalidArgument, "{wrong}");
        }
        for right in ["f81d4fae-7dec-11d0-a765-00a0c91e6bf6", &"x".repeat(64)] {
            key("Pause", &mut select("last", right)).unwrap();
        }
    }
}
