//! One worker.

use std::time::Duration;

use prost::Message;
use prost::bytes::Bytes;
use tenfold_proto::{PROTOCOL, v1};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use super::encoded::{self, Acquired, Encoded, Lease, Leased};

/// A worker of one slot, with a connection of its own.
pub(crate) struct Worker {
    calls: Grpc<Channel>,
    id: Vec<u8>,
    requests: u64,
    pack: u32,
}

impl Worker {
    /// Connects with its first call. Takes packs of so many trials at most.
    pub(crate) fn new(address: &str, number: u32, pack: u32) -> Self {
        let channel = Endpoint::from_shared(address.to_owned())
            .unwrap()
            .tcp_nodelay(true)
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(1 << 20)
            .connect_timeout(Duration::from_secs(30))
            .connect_lazy();
        Self {
            calls: Grpc::new(channel).max_decoding_message_size(64 << 20),
            id: [std::process::id(), number].map(u32::to_le_bytes).concat(),
            requests: 0,
            pack,
        }
    }

    async fn call<Answer>(&mut self, method: &'static str, request: Bytes) -> Result<Answer, Status>
    where
        Answer: Message + Default + 'static,
    {
        self.calls
            .ready()
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        let path = PathAndQuery::from_static(method);
        let answer = self.calls.unary(Request::new(request), path, Encoded::default());
        answer.await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn register(&mut self) -> Result<(), Status> {
        let slot = v1::Slot {
            kind: v1::DeviceKind::Cpu.into(),
            device: "an abacus".to_owned(),
            threads: 1,
        };
        let request = v1::RegisterRequest {
            protocol: PROTOCOL,
            worker: self.id.clone(),
            host: "bench".to_owned(),
            process: std::process::id(),
            version: "0.1.0".to_owned(),
            libtorch: "none".to_owned(),
            slots: vec![slot],
        };
        let answer = self.call("/tenfold.v1.Fleet/Register", request.encode_to_vec().into());
        answer.await.map(|_: v1::RegisterResponse| ())
    }

    /// A pack; none when there is nothing to do for a while.
    pub(crate) async fn acquire(&mut self) -> Result<Option<Lease>, Status> {
        self.requests += 1;
        let mut id = self.requests.to_le_bytes().to_vec();
        id.resize(16, 0);
        let request = v1::AcquireRequest {
            worker: self.id.clone(),
            request: id,
            slot: 0,
            max_trials: self.pack,
            sizes: Vec::new(),
        };
        let answer = self.call("/tenfold.v1.Fleet/Acquire", request.encode_to_vec().into());
        answer.await.map(|acquired: Acquired| acquired.lease)
    }

    /// Hands over the same epochs of some trials, encoded by [`encoded::epochs`].
    pub(crate) async fn append(
        &mut self,
        lease: &Lease,
        trials: &[Leased],
        epochs: &[u8],
    ) -> Result<Vec<v1::Acknowledgement>, Status> {
        let request = encoded::append(&self.id, lease, trials, epochs);
        let answer = self.call("/tenfold.v1.Fleet/Append", request);
        answer
            .await
            .map(|appended: v1::AppendResponse| appended.acknowledgements)
    }

    /// Whether all leases that it shows are alive.
    pub(crate) async fn heartbeat(&mut self, fences: &[u64]) -> Result<bool, Status> {
        let request = v1::HeartbeatRequest {
            worker: self.id.clone(),
            fences: fences.to_vec(),
        };
        let answer = self.call("/tenfold.v1.Fleet/Heartbeat", request.encode_to_vec().into());
        answer
            .await
            .map(|heard: v1::HeartbeatResponse| heard.stale.is_empty())
    }
}
