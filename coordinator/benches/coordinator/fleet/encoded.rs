//! Messages as bytes: what all trials have in common is encoded once, and of leases only what is needed is decoded, so
//! that the workers take little of the machine that they share with the coordinator.

use std::marker::PhantomData;

use prost::Message;
use prost::bytes::{BufMut, Bytes};
use tenfold_proto::v1;
use tenfold_types::floats;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// Sends bytes, receives messages.
pub(crate) struct Encoded<Answer>(PhantomData<Answer>);

impl<Answer> Default for Encoded<Answer> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<Answer: Message + Default + Send + 'static> Codec for Encoded<Answer> {
    type Encode = Bytes;
    type Decode = Answer;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self::default()
    }

    fn decoder(&mut self) -> Self {
        Self::default()
    }
}

impl<Answer> Encoder for Encoded<Answer> {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }
}

impl<Answer: Message + Default> Decoder for Encoded<Answer> {
    type Item = Answer;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Answer>, Status> {
        let answer = Answer::decode(from).map_err(|error| Status::internal(error.to_string()))?;
        Ok(Some(answer))
    }
}

/// An `AcquireResponse`, without what workers that train nothing have no use for.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Acquired {
    #[prost(message, optional, tag = "1")]
    pub(crate) lease: Option<Lease>,
}

/// A `Lease`, likewise.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Lease {
    #[prost(uint64, tag = "1")]
    pub(crate) fence: u64,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) sweep: Vec<u8>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) trials: Vec<Leased>,
}

/// A `LeasedTrial`, likewise.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Leased {
    #[prost(message, optional, tag = "1")]
    pub(crate) trial: Option<v1::TrialKey>,
    #[prost(uint32, tag = "2")]
    pub(crate) attempt: u32,
    #[prost(message, optional, tag = "3")]
    pub(crate) spec: Option<Spec>,
}

/// A `TrialSpec`, likewise.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Spec {
    #[prost(uint32, tag = "11")]
    pub(crate) epochs: u32,
}

/// Epochs of a made-up curve of four metrics, and its end: the part of a `TrialReport` that all trials have in common.
pub(crate) fn epochs(first: u32, epochs: u32, ends: bool) -> Vec<u8> {
    let last = first + epochs - 1;
    let succeeded = v1::End {
        epochs: last,
        outcome: Some(v1::end::Outcome::Succeeded(v1::Succeeded {})),
    };
    let value = |metric: u32, epoch: u32| 0.5 / (1 + metric + epoch) as f32;
    let columns = (0..4).flat_map(|metric| (first..=last).map(move |epoch| value(metric, epoch)));
    let block = v1::Block {
        first,
        epochs,
        columns: floats::to_bytes(&columns.collect::<Vec<_>>()),
        seconds: floats::to_bytes(&vec![0.125; epochs as usize]),
    };
    let report = v1::TrialReport {
        blocks: vec![block],
        end: ends.then_some(succeeded),
        ..v1::TrialReport::default()
    };
    report.encode_to_vec()
}

/// An `AppendRequest` with the same news of some trials of a lease.
pub(crate) fn append(worker: &[u8], lease: &Lease, trials: &[Leased], epochs: &[u8]) -> Bytes {
    let request = v1::AppendRequest {
        worker: worker.to_vec(),
        sweep: lease.sweep.clone(),
        fence: lease.fence,
        trials: Vec::new(),
    };
    let mut out = Vec::with_capacity(64 + trials.len() * (epochs.len() + 24));
    request.encode(&mut out).unwrap();
    for leased in trials {
        let whose = v1::TrialReport {
            trial: leased.trial,
            attempt: leased.attempt,
            ..v1::TrialReport::default()
        };
        // A message may be cut between any of its fields: whose it is, then what is the same for all.
        out.put_u8(TRIALS);
        prost::encode_length_delimiter(whose.encoded_len() + epochs.len(), &mut out).unwrap();
        whose.encode(&mut out).unwrap();
        out.extend_from_slice(epochs);
    }
    out.into()
}

/// The key of `AppendRequest.trials`: field 4, with a length.
const TRIALS: u8 = 4 << 3 | 2;
