//! Versions in the metadata of calls and answers: whoever speaks another protocol is refused, and told what to install.
//!
//! Metadata, and not a field: it is checked once, before a message is read, and services of others (health, reflection) and their
//! clients need not know of it.

use std::fmt;

use tonic::codegen::http::{HeaderMap, HeaderName, HeaderValue};
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

use crate::PROTOCOL;

/// Metadata key of Tenfold's version, such as "0.1.0".
pub const VERSION_KEY: &str = "tenfold-version";
/// Metadata key of the protocol, a number in decimal; see [`PROTOCOL`].
pub const PROTOCOL_KEY: &str = "tenfold-protocol";
/// The version of this build.
const OWN: &str = env!("CARGO_PKG_VERSION");
/// The longest text of a peer's version or protocol that is repeated in a message, in characters.
const LONGEST: usize = 32;

/// Adds this build's version and protocol to every call.
#[derive(Debug, Clone, Copy, Default)]
pub struct Announce;

impl Interceptor for Announce {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        metadata.insert(VERSION_KEY, MetadataValue::from_static(OWN));
        metadata.insert(PROTOCOL_KEY, MetadataValue::from(PROTOCOL));
        Ok(request)
    }
}

/// Adds this build's version and protocol to the headers of an answer.
pub fn announce(headers: &mut HeaderMap) {
    headers.insert(
        HeaderName::from_static(VERSION_KEY),
        HeaderValue::from_static(OWN),
    );
    headers.insert(HeaderName::from_static(PROTOCOL_KEY), HeaderValue::from(PROTOCOL));
}

/// What the metadata of a peer says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    version: String,
    protocol: String,
}

impl Said {
    /// Reads the headers of a call; none when they name no protocol.
    pub fn by(headers: &HeaderMap) -> Option<Self> {
        let text = |key: &str| {
            let value = headers.get(key)?;
            // Printable ASCII alone: it is repeated to people.
            Some(
                value
                    .to_str()
                    .unwrap_or("?")
                    .chars()
                    .take(LONGEST)
                    .collect::<String>(),
            )
        };
        Some(Self {
            protocol: text(PROTOCOL_KEY)?,
            version: text(VERSION_KEY).unwrap_or_default(),
        })
    }

    /// As a peer that sends these in a message.
    pub fn in_message(version: &str, protocol: u32) -> Self {
        Self {
            version: version
                .chars()
                .filter(char::is_ascii_graphic)
                .take(LONGEST)
                .collect(),
            protocol: protocol.to_string(),
        }
    }

    /// Whether it speaks the protocol of this build.
    pub fn fits(&self) -> bool {
        self.protocol.parse() == Ok(PROTOCOL)
    }

    fn is_newer(&self) -> bool {
        self.protocol
            .parse()
            .is_ok_and(|protocol: u32| protocol > PROTOCOL)
    }

    /// Says to a peer of this coordinator that it does not fit, and what to install.
    pub fn refusal(&self, peer: &str) -> String {
        let instead = if self.is_newer() {
            format!(
                "install its tenfold for the coordinator too, or {} in its place",
                own()
            )
        } else {
            format!("install {} in its place", own())
        };
        format!("{peer} is {self}, and this coordinator {}; {instead}", own())
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, protocol } = self;
        match version.as_str() {
            "" => write!(f, "a program with protocol {protocol:?}"),
            version => write!(f, "tenfold {version} with protocol {protocol}"),
        }
    }
}

fn own() -> String {
    format!("tenfold {OWN} with protocol {PROTOCOL}")
}

/// Checks what a coordinator says of itself in an answer.
///
/// # Errors
/// What to install, when it speaks another protocol. One that says nothing is older than [`PROTOCOL`] 4.
pub fn check_coordinator(metadata: &MetadataMap) -> Result<(), String> {
    let instead =
        format!("install tenfold {OWN} for the coordinator, or call it with the tenfold that came with it");
    match Said::by(metadata.as_ref()) {
        None => Err(format!(
            "the coordinator is older than this program, {}: it says no version; {instead}",
            own()
        )),
        Some(said) if !said.fits() => Err(format!(
            "the coordinator is {said}, and this program {}; {instead}",
            own()
        )),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(version: &'static str, protocol: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(VERSION_KEY, HeaderValue::from_static(version));
        headers.insert(PROTOCOL_KEY, HeaderValue::from_static(protocol));
        headers
    }

    #[test]
    fn what_is_announced_fits() {
        let mut headers = HeaderMap::new();
        assert_eq!(Said::by(&headers), None);
        assert!(check_coordinator(&MetadataMap::from_headers(headers.clone())).is_err());
        announce(&mut headers);
        assert!(Said::by(&headers).unwrap().fits());
        assert_eq!(check_coordinator(&MetadataMap::from_headers(headers)), Ok(()));
        let call = Announce.call(Request::new(())).unwrap();
        assert!(Said::by(call.metadata().as_ref()).unwrap().fits());
    }

    #[test]
    fn whoever_does_not_fit_is_told_both_versions_and_what_to_install() {
        for (version, protocol, install) in [
            ("9.9.9", "99", "install its tenfold for the coordinator too"),
            ("0.0.9", "3", "; install tenfold"),
            ("", "soon", "; install tenfold"),
        ] {
            let said = Said::by(&said(version, protocol)).unwrap();
            assert!(!said.fits());
            let why = said.refusal("the caller");
            assert!(
                why.contains(version)
                    && why.contains(protocol)
                    && why.contains(&own())
                    && why.contains(install),
                "{why}"
            );
        }
        let older = check_coordinator(&MetadataMap::from_headers(said("0.0.9", "3"))).unwrap_err();
        assert!(older.contains("0.0.9") && older.contains(OWN), "{older}");
    }

    #[test]
    fn the_protos_say_the_number() {
        let (control, fleet) = (
            include_str!("../tenfold/v1/control.proto"),
            include_str!("../tenfold/v1/fleet.proto"),
        );
        assert!(control.contains(&format!("{PROTOCOL_KEY}, which is {PROTOCOL}.")));
        assert!(fleet.contains(&format!("the worker speaks: {PROTOCOL}.")));
    }

    #[test]
    fn what_a_peer_says_is_cut_and_printable() {
        let mut headers = said("1", "4");
        headers.insert(VERSION_KEY, HeaderValue::from_bytes(b"\xe2\x80\xae").unwrap());
        assert_eq!(Said::by(&headers).unwrap().version, "?");
        headers.insert(VERSION_KEY, HeaderValue::from_str(&"x".repeat(500)).unwrap());
        assert_eq!(Said::by(&headers).unwrap().version.len(), LONGEST);
        assert_eq!(
            Said::in_message("0.1\u{1b}[31m.0\u{202e}", 3).version,
            "0.1[31m.0"
        );
    }
}
