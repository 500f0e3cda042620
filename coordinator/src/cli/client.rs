//! The connection to the coordinator.

use std::time::Duration;

use tenfold_proto::dial::{Addresses, BadAddress};
use tenfold_proto::pushback;
use tenfold_proto::v1::control_client::ControlClient;
use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Response, Status, Streaming};

use super::exit::Failure;

/// Where a coordinator is looked for when nothing says otherwise.
pub(crate) const DEFAULT: &str = "http://127.0.0.1:7465";
/// The longest reply that is taken, in bytes: that which a coordinator sends at most.
const MAX_MESSAGE: usize = 4 << 20;
/// How long a coordinator that has too much to do is asked again, and the pause when it names none.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_secs(1);

/// A connected client, and where it is connected to.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) address: String,
    pub(crate) control: ControlClient<Channel>,
}

impl Client {
    /// Connects.
    pub(crate) async fn connect(address: &str) -> Result<Self, Failure> {
        let addresses: Addresses = address
            .parse()
            .map_err(|error: BadAddress| Failure::Usage(error.to_string()))?;
        let channel = addresses.connect().await.map_err(|error| Failure::Unreachable {
            address: address.to_owned(),
            why: root(&error),
        })?;
        let control = ControlClient::new(channel).max_decoding_message_size(MAX_MESSAGE);
        Ok(Self {
            address: address.to_owned(),
            control,
        })
    }

    /// What a call answers. It is made again, for a while, when the coordinator has too much to do.
    pub(crate) async fn ask<R, T, F>(
        &self,
        request: R,
        call: impl Fn(ControlClient<Channel>, R) -> F,
    ) -> Result<T, Failure>
    where
        R: Clone,
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let until = Instant::now() + PATIENCE;
        let mut told = false;
        loop {
            let failure = match call(self.control.clone(), request.clone()).await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) => match self.failure(&status) {
                    Failure::Busy { why } => (why, pushback::of(&status).unwrap_or(PAUSE)),
                    other => return Err(other),
                },
            };
            let (why, pause) = failure;
            if Instant::now() + pause > until {
                return Err(Failure::Busy { why });
            }
            if !std::mem::replace(&mut told, true) {
                note!("tenfold: waiting: {why}");
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Everything that a stream gives.
    pub(crate) async fn all<R, T, F>(
        &self,
        request: R,
        call: impl Fn(ControlClient<Channel>, R) -> F,
    ) -> Result<Vec<T>, Failure>
    where
        R: Clone,
        F: Future<Output = Result<Response<Streaming<T>>, Status>>,
    {
        let mut stream = self.ask(request, call).await?;
        let mut all = Vec::new();
        while let Some(message) = stream.message().await.map_err(|status| self.failure(&status))? {
            all.push(message);
        }
        Ok(all)
    }

    pub(crate) fn failure(&self, status: &Status) -> Failure {
        Failure::of_status(status, &self.address)
    }
}

/// The innermost reason, which is the one that says something.
pub(crate) fn root(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
