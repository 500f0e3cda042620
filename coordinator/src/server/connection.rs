//! A connection as the transport sees it: a socket whose preface has been read, that gives its seat back when it is
//! dropped, and that ends when the server no longer waits for its peer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tonic::transport::server::{Connected, TcpConnectInfo};

use crate::shutdown::Shutdown;

/// What a client of HTTP/2 says first (RFC 9113, section 3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The connection.
pub(super) struct Connection {
    stream: TcpStream,
    /// Bytes of the preface that the transport has been given.
    given: usize,
    cut: Pin<Box<dyn Future<Output = ()> + Send>>,
    _seat: OwnedSemaphorePermit,
}

impl Connection {
    /// Takes a socket over that has said the preface, and nothing of it has been kept.
    pub(super) fn new(stream: TcpStream, seat: OwnedSemaphorePermit, mut cut: Shutdown) -> Self {
        Self {
            stream,
            given: 0,
            cut: Box::pin(async move { cut.wait().await }),
            _seat: seat,
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let left = &PREFACE[this.given..];
        if !left.is_empty() {
            let now = left.len().min(buf.remaining());
            buf.put_slice(&left[..now]);
            this.given += now;
            return Poll::Ready(Ok(()));
        }
        if let Poll::Ready(read) = Pin::new(&mut this.stream).poll_read(cx, buf) {
            return Poll::Ready(read);
        }
        // The transport always reads, so this is where it waits for the end.
        ready!(this.cut.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
