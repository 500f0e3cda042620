//! How a command ends: errors to exit codes, in one place.

use std::fmt;
use std::process::ExitCode;

use tenfold::server::ServerError;
use tenfold::store::StoreError;
use tenfold_proto::pushback;
use tonic::{Code, Status};

use super::client;

/// For `--help`.
pub(crate) const CODES: &str = "\
exit codes:
  0    all went well; diverged trials alone are no failure
  1    the sweep ended with failed or cancelled trials
  2    wrong usage, or a bad file
  3    no coordinator could be reached, or it had too much to do
  4    refused: it does not fit the state of things
  130  interrupted
  141  nobody reads its output any more (but run and serve go on)";

/// As a shell has it for a process that SIGPIPE ended: 128 and the signal's number.
pub(super) const BROKEN_PIPE: u8 = 141;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The sweep ended with failed or cancelled trials. Everything that is to be said has been said.
    Sweep,
    /// Wrong usage, or a bad file.
    Usage(String),
    /// No coordinator answers at this address.
    Unreachable {
        /// The address.
        address: String,
        /// What the system says.
        why: String,
    },
    /// The coordinator has too much to do.
    Busy {
        /// What it says.
        why: String,
    },
    /// It does not fit the state of things.
    Refused(String),
    /// The user interrupted it.
    Interrupted,
    /// Whoever read the output has gone away: the command ends without a word, as SIGPIPE would have ended it.
    BrokenPipe,
}

impl Failure {
    /// Whether to ask again later may help: the coordinator was not reached, or had too much to do.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Busy { .. })
    }

    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Sweep => 1,
            Self::Usage(_) => 2,
            Self::Unreachable { .. } | Self::Busy { .. } => 3,
            Self::Refused(_) => 4,
            Self::Interrupted => 130,
            Self::BrokenPipe => BROKEN_PIPE,
        })
    }

    /// The failure that a coordinator's status means.
    pub(crate) fn of_status(status: &Status, address: &str) -> Self {
        let message = status.message().to_owned();
        let source = std::error::Error::source(status);
        // A connection that is refused has its reason in a source; a call that is to come again has it in the message.
        if status.code() == Code::ResourceExhausted && (source.is_some() || pushback::of(status).is_some()) {
            let why = source.map_or(message, client::root);
            return Self::Busy { why };
        }
        // What a coordinator says has no source; what broke on the way to it has, whatever its code.
        if let Some(source) = source {
            return Self::Unreachable {
                address: address.to_owned(),
                why: client::root(source),
            };
        }
        match status.code() {
            Code::InvalidArgument | Code::OutOfRange => Self::Usage(message),
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => Self::Unreachable {
                address: address.to_owned(),
                why: message,
            },
            // What has no message comes from the transport: no such method.
            Code::Unimplemented if message.is_empty() => Self::Refused(
                "the coordinator does not know this command; it is older than the command, so install this version for it too"
                    .to_owned(),
            ),
            Code::Unimplemented => {
                Self::Refused(format!("the coordinator does not know this command: {message}"))
            }
            Code::Unknown | Code::Internal if message.is_empty() => Self::Refused(status.to_string()),
            _ => Self::Refused(message),
        }
    }
}

/// Nothing for what has been said, or needs no saying.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(message) | Self::Refused(message) => f.write_str(message),
            Self::Unreachable { address, why } => write!(
                f,
                "no coordinator answers at {address}: {why}\nstart one with `tenfold serve`, or say where it is with \
                 --coordinator URL or TENFOLD_COORDINATOR"
            ),
            Self::Busy { why } => write!(f, "the coordinator has too much to do: {why}"),
            Self::Sweep | Self::Interrupted | Self::BrokenPipe => Ok(()),
        }
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        match &error {
            ServerError::Store(StoreError::Scheme(_)) => Self::Usage(error.to_string()),
            _ => Self::Refused(error.to_string()),
        }
    }
}

/// A file that cannot be written or read.
pub(crate) fn of_file(path: &std::path::Path, error: &std::io::Error) -> Failure {
    Failure::Usage(format!("{}: {error}", path.display()))
}
