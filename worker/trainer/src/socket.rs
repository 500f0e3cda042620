//! The socket that a trainer inherits from the worker that started it.

use std::io;
use std::os::fd::FromRawFd;
use std::os::unix::net::UnixStream;

use tenfold_types::frame::DESCRIPTOR;

/// Takes the worker's socket off its descriptor. Call this first in `main`, once: what opens a file before might get
/// that descriptor.
///
/// # Errors
/// The descriptor is no unix socket, as when the trainer is started by hand.
pub fn inherited() -> io::Result<UnixStream> {
    let target = std::fs::read_link(format!("/proc/self/fd/{DESCRIPTOR}"))?;
    if !target.as_os_str().as_encoded_bytes().starts_with(b"socket:") {
        return Err(io::Error::other(format!("it is {}", target.display())));
    }
    #[expect(
        unsafe_code,
        reason = "there is no safe way to own a descriptor that is known by number alone"
    )]
    // SAFETY: the descriptor is open, as the link shows, and nothing else in this process knows of it: it came with
    // the process, and this is called once, before anything opens a file.
    let socket = unsafe { UnixStream::from_raw_fd(DESCRIPTOR) };
    socket.peer_addr()?;
    Ok(socket)
}
