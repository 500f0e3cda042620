//! A watcher as a stream of messages.
//!
//! Messages are made when the transport asks for them, so a client that does not read holds what is on its way and
//! nothing else: its watcher waits before it reads any more.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tenfold_core::sweep::Sweep;
use tenfold_proto::v1;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::Stream;
use tonic::Status;

use super::{messages, status};
use crate::watch::{Event, Seen, WatchError};

/// The stream. Whoever drops it ends the watcher.
pub struct Tail {
    sweep: Sweep,
    seen: mpsc::Receiver<Seen>,
    /// None when its end has been told.
    watcher: Option<JoinHandle<Result<(), WatchError>>>,
}

impl Tail {
    pub(super) fn new(
        sweep: Sweep,
        seen: mpsc::Receiver<Seen>,
        watcher: JoinHandle<Result<(), WatchError>>,
    ) -> Self {
        Self {
            sweep,
            seen,
            watcher: Some(watcher),
        }
    }
}

impl Stream for Tail {
    type Item = Result<v1::WatchResponse, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(Seen {
            cursor,
            reached,
            event,
        }) = ready!(this.seen.poll_recv(cx))
        {
            // One that the sweep has already, as it was looked at when the watch began, is refused.
            if let Event::Extension(extension) = &event
                && let Ok(extended) = this.sweep.extended(&messages::extended(extension))
            {
                this.sweep = extended;
            }
            if let Event::Choice(choice) = &event
                && let Some((id, values)) = messages::chosen(choice)
            {
                this.sweep = this.sweep.with(id, values);
            }
            return Poll::Ready(Some(Ok(v1::WatchResponse {
                cursor,
                reached,
                event: Some(messages::event(&this.sweep, event)),
            })));
        }
        let Some(watcher) = &mut this.watcher else {
            return Poll::Ready(None);
        };
        let ended = ready!(Pin::new(watcher).poll(cx));
        this.watcher = None;
        let error = match ended {
            Ok(Ok(())) => return Poll::Ready(None),
            Ok(Err(WatchError::Store(error))) => status::of_store(error),
            Ok(Err(WatchError::Turn(error))) => status::of_turn(error),
            Ok(Err(error @ WatchError::Stopped)) => Status::unavailable(error.to_string()),
            Ok(Err(error @ WatchError::Gone(_))) => Status::not_found(error.to_string()),
            Err(error) => Status::internal(format!("the watcher ended: {error}")),
        };
        Poll::Ready(Some(Err(error)))
    }
}
