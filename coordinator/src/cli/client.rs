//! The connection to the coordinator.

use std::time::Duration;

use tenfold_proto::dial::{Addresses, BadAddress, Channel};
use tenfold_proto::v1::control_client::ControlClient;
use tenfold_proto::{pushback, v1, version};
use tokio::time::Instant;
use tonic::{Response, Status, Streaming};

use super::exit::Failure;
use super::format;

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

    /// What a call that only reads answers. It is made again, for a while, when the coordinator has too much to do.
    pub(crate) async fn ask<R, T, F>(
        &self,
        request: R,
        call: impl Fn(ControlClient<Channel>, R) -> F,
    ) -> Result<T, Failure>
    where
        R: Clone,
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut patience = Patience::default();
        loop {
            match self.call(request.clone(), &call).await {
                Ok(answer) => return Ok(answer),
                Err((failure @ Failure::Busy { .. }, pause)) => patience.wait(failure, pause).await?,
                Err((failure, _)) => return Err(failure),
            }
        }
    }

    /// What a call that changes something answers. It has an id of its own, so that it is made again also when its answer was lost:
    /// whatever became of the first, it is done once.
    pub(crate) async fn order<R, T, F>(
        &self,
        mut request: R,
        call: impl Fn(ControlClient<Channel>, R) -> F,
    ) -> Result<T, Failure>
    where
        R: Identified + Clone,
        F: Future<Output = Result<Response<T>, Status>>,
    {
        request.identify(format::hex(&rand::random::<[u8; 16]>()));
        let mut patience = Patience::default();
        let (mut is_greeted, mut is_sent) = (false, false);
        loop {
            // A coordinator that knows nothing of ids would do it twice, and would only say afterwards that it is too old.
            let greeted = if is_greeted { Ok(()) } else { self.greet().await };
            let answer = match greeted {
                Ok(()) => {
                    (is_greeted, is_sent) = (true, true);
                    self.call(request.clone(), &call).await
                }
                Err(failure) => Err(failure),
            };
            match answer {
                Ok(answer) => return Ok(answer),
                Err((failure, pause)) => {
                    let may_pass = failure.may_pass() && is_sent || matches!(failure, Failure::Busy { .. });
                    if !may_pass {
                        return Err(failure);
                    }
                    // The next connection may lead to another coordinator.
                    is_greeted &= matches!(failure, Failure::Busy { .. });
                    patience.wait(failure, pause).await?;
                }
            }
        }
    }

    /// Asks something harmless, to know the coordinator's version.
    async fn greet(&self) -> Result<(), (Failure, Duration)> {
        let request = v1::ListRequest {
            limit: 1,
            ..v1::ListRequest::default()
        };
        let list = |mut control: ControlClient<Channel>, request| async move { control.list(request).await };
        self.call(request, &list).await.map(|_| ())
    }

    /// Makes a call once. A failure comes with the pause after which it may be made again.
    async fn call<R, T, F>(
        &self,
        request: R,
        call: &impl Fn(ControlClient<Channel>, R) -> F,
    ) -> Result<T, (Failure, Duration)>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        match call(self.control.clone(), request).await {
            Ok(answer) => match version::check_coordinator(answer.metadata()) {
                Ok(()) => Ok(answer.into_inner()),
                Err(why) => Err((Failure::Refused(why), PAUSE)),
            },
            Err(status) => Err((self.failure(&status), pushback::of(&status).unwrap_or(PAUSE))),
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

/// How long a call has been made in vain.
struct Patience {
    until: Instant,
    told: bool,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            until: Instant::now() + PATIENCE,
            told: false,
        }
    }
}

impl Patience {
    /// Lets a pause pass. The first says why; the last one that would take too long is the failure itself.
    async fn wait(&mut self, failure: Failure, pause: Duration) -> Result<(), Failure> {
        if Instant::now() + pause > self.until {
            return Err(failure);
        }
        if !std::mem::replace(&mut self.told, true) {
            match &failure {
                Failure::Busy { why } => note!("tenfold: waiting: {why}"),
                Failure::Unreachable { why, .. } => {
                    note!("tenfold: the answer did not come, asking again: {why}")
                }
                other => note!("tenfold: asking again: {other}"),
            }
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// A request that is done once, however often it is sent.
pub(crate) trait Identified {
    /// Gives it its id.
    fn identify(&mut self, id: String);
}

macro_rules! identified {
    ($($message:ident)*) => {$(
        impl Identified for v1::$message {
            fn identify(&mut self, id: String) {
                self.request_id = id;
            }
        }
    )*};
}

identified! { SubmitRequest SelectRequest RetryRequest ExtendRequest RefineRequest DrainRequest }

/// The innermost reason, which is the one that says something.
pub(crate) fn root(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
