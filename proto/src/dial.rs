//! Reaching a coordinator that may be at one of several addresses, as when another one stands by.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Endpoint, Error, Uri};

use crate::version::Announce;

/// A connection whose calls say this build's version and protocol.
pub type Channel = InterceptedService<tonic::transport::Channel, Announce>;

/// How long one address may take to answer.
const REACH: Duration = Duration::from_secs(5);
/// A peer that is not heard of for so long is asked whether it lives, and has as long to answer.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// Where a coordinator may be: `http://HOST:PORT`, or several with commas between them. Each connection goes to the first
/// that takes it, beginning with the one that did last; so does the next when it breaks. Clones know of one another's.
#[derive(Debug, Clone)]
pub struct Addresses {
    all: Arc<[Uri]>,
    /// The place of the one to begin with.
    first: Arc<AtomicUsize>,
    reach: Duration,
}

/// This is no coordinator's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no coordinator's address; write http://HOST:PORT, such as http://127.0.0.1:7465, or several with commas between them"
)]
pub struct BadAddress(String);

impl FromStr for Addresses {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let address = |text: &str| {
            let text = text.trim();
            let bad = || BadAddress(text.to_owned());
            let url = if text.contains("://") {
                text.to_owned()
            } else {
                format!("http://{text}")
            };
            let uri: Uri = url.parse().map_err(|_| bad())?;
            // There is no TLS: an https address would be spoken to in the clear.
            let good = uri.host().is_some_and(|host| !host.is_empty()) && uri.scheme_str() == Some("http");
            if good { Ok(uri) } else { Err(bad()) }
        };
        Ok(Self {
            all: text.split(',').map(address).collect::<Result<_, _>>()?,
            first: Arc::default(),
            reach: REACH,
        })
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, uri) in self.all.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            let text = uri.to_string();
            write!(formatter, "{comma}{}", text.trim_end_matches('/'))?;
        }
        Ok(())
    }
}

impl Addresses {
    /// The same, but each address may take only so long to answer.
    #[must_use]
    pub fn within(self, reach: Duration) -> Self {
        Self { reach, ..self }
    }

    /// Whether there is another one to try.
    pub fn are_several(&self) -> bool {
        self.all.len() > 1
    }

    /// Begins with another address the next time: the one that took the last connection is of no use.
    pub fn turn(&self) {
        self.first.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection.
    ///
    /// # Errors
    /// When none of the addresses takes it; the last one's reason.
    pub async fn connect(&self) -> Result<Channel, Error> {
        let addresses = self.clone();
        let channel = self
            .endpoint()
            .connect_with_connector(tower::service_fn(move |_| addresses.clone().dial()))
            .await?;
        Ok(InterceptedService::new(channel, Announce))
    }

    /// A connection that is made when it is needed, and again when it breaks.
    pub fn connect_lazy(&self) -> Channel {
        let addresses = self.clone();
        let channel = self
            .endpoint()
            .connect_with_connector_lazy(tower::service_fn(move |_| addresses.clone().dial()));
        InterceptedService::new(channel, Announce)
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::from(self.all[0].clone())
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE)
            .keep_alive_while_idle(true)
    }

    async fn dial(self) -> io::Result<TokioIo<TcpStream>> {
        let (count, first) = (self.all.len(), self.first.load(Ordering::Relaxed));
        let mut failed = None;
        for place in (0..count).map(|step| first.wrapping_add(step) % count) {
            let uri = &self.all[place];
            // A literal IPv6 address stands in brackets.
            let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
            let port = uri.port_u16().unwrap_or(80);
            match timeout(self.reach, TcpStream::connect((host, port))).await {
                Ok(Ok(stream)) => {
                    stream.set_nodelay(true)?;
                    if place != first {
                        self.first.store(place, Ordering::Relaxed);
                    }
                    return Ok(TokioIo::new(stream));
                }
                Ok(Err(error)) => failed = Some(error),
                Err(_) => failed = Some(io::ErrorKind::TimedOut.into()),
            }
        }
        Err(failed.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for (text, read) in [
            ("http://a:1", "http://a:1"),
            ("a:1", "http://a:1"),
            (
                "http://a:1, b:2,http://[::1]:3",
                "http://a:1,http://b:2,http://[::1]:3",
            ),
        ] {
            assert_eq!(text.parse::<Addresses>().unwrap().to_string(), read);
        }
        for bad in ["", "http://a:1,", "https://a:1", "http://", "a b", "ftp://a:1"] {
            let error = bad.parse::<Addresses>().unwrap_err().to_string();
            assert!(error.contains("http://HOST:PORT"), "{error}");
        }
    }

    #[tokio::test]
    async fn the_first_that_answers_is_taken_and_kept() {
        let deaf = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let addresses: Addresses = format!("{deaf},{at}").parse().unwrap();
        addresses.clone().dial().await.unwrap();
        assert_eq!(addresses.first.load(Ordering::Relaxed), 1);
        drop(listener);
        assert!(addresses.dial().await.is_err());
    }
}
