//! Orders: what people ask, decided once however often it is sent.

use tenfold_core::record::{Record, RequestKey};
use tenfold_core::{Answer, Input, Millis, Refusal, State, request};

use super::{Turn, TurnError};

/// An answer as it goes out and as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// 0 for a good answer, else the kind of refusal.
    pub code: u32,
    /// The answer, or the text of the refusal.
    pub bytes: Vec<u8>,
    /// The request was decided before; this is its first answer.
    pub repeated: bool,
}

impl Reply {
    /// Makes the answer to a request that was not decided before.
    pub fn new(code: u32, bytes: Vec<u8>) -> Self {
        Self {
            code,
            bytes,
            repeated: false,
        }
    }
}

/// Makes an answer from the state that follows a decision, and from the answers to its inputs.
pub type Answering = Box<dyn FnOnce(&State, Vec<Answer>) -> Reply>;

/// Looks at the state that an order meets.
pub type Preparing = Box<dyn FnOnce(&State) -> Result<Prepared, Reply> + Send>;

/// What an order comes to in the state as it is.
pub struct Prepared {
    /// To be decided, up to the first that is refused.
    pub inputs: Vec<Input>,
    /// Makes the answer.
    pub reply: Answering,
}

/// An order. All of it happens in one turn: looking whether it was decided before, resolving what it names, deciding, and
/// making and keeping its answer. So two copies that come at once are decided once, and nothing changes in between.
pub struct Order {
    /// What identifies the request; none where its caller gave it no id.
    pub key: Option<RequestKey>,
    /// Resolves what it names. A refusal is an answer too, and kept as one.
    pub prepare: Preparing,
    /// Makes the answer to a refused input.
    pub refused: fn(Refusal) -> Reply,
}

impl Turn {
    /// Decides an order; its records join those of the turn.
    pub(super) fn order(
        &mut self,
        order: Order,
        now: Millis,
        records: &mut Vec<Record>,
        work_available: &mut bool,
    ) -> Result<Reply, TurnError> {
        if let Some(key) = &order.key
            && let Some(row) = request::answered(&self.state, key)?
        {
            return Ok(Reply {
                code: row.code,
                bytes: row.answer.clone(),
                repeated: true,
            });
        }
        let reply = match (order.prepare)(&self.state) {
            Err(refused) => refused,
            Ok(prepared) => {
                let mut answers = Vec::with_capacity(prepared.inputs.len());
                let mut refused = None;
                for input in prepared.inputs {
                    match self.input(input, now, records, work_available) {
                        Some(Ok(answer)) => answers.push(answer),
                        Some(Err(refusal)) => {
                            refused = Some(refusal);
                            break;
                        }
                        None => {}
                    }
                }
                match refused {
                    Some(refusal) => (order.refused)(refusal),
                    None => (prepared.reply)(&self.state, answers),
                }
            }
        };
        if let Some(key) = order.key {
            for record in request::keep(&self.state, key, reply.code, reply.bytes.clone(), now) {
                self.state.evolve(&record);
                records.push(record);
            }
        }
        Ok(reply)
    }
}
