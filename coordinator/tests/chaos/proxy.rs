//! The network between a worker and its coordinator, which can be cut, in one direction or in both. What was sent before
//! or meanwhile is not lost: it arrives when the network is whole again, as with TCP.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What gets through.
#[derive(Default)]
struct Cut {
    to_coordinator: AtomicBool,
    to_worker: AtomicBool,
}

pub(crate) struct Proxy {
    port: u16,
    cut: Arc<Cut>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    /// In front of a port of this machine.
    pub(crate) fn before(coordinator: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            cut: Arc::default(),
            open: Arc::default(),
        };
        let (cut, open) = (Arc::clone(&proxy.cut), Arc::clone(&proxy.open));
        thread::spawn(move || {
            for worker in listener.incoming().map_while(Result::ok) {
                // Whoever calls while the network is cut hears nothing until it is whole.
                while cut.to_coordinator.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(10));
                }
                let Ok(coordinator) = TcpStream::connect(("127.0.0.1", coordinator)) else {
                    continue;
                };
                let pairs = [
                    (worker.try_clone(), coordinator.try_clone(), true),
                    (coordinator.try_clone(), worker.try_clone(), false),
                ];
                open.lock().unwrap().extend([worker, coordinator]);
                for (from, to, forth) in pairs {
                    let cut = Arc::clone(&cut);
                    thread::spawn(move || carry(from.unwrap(), to.unwrap(), &cut, forth));
                }
            }
        });
        proxy
    }

    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Cuts these directions.
    pub(crate) fn cut(&self, to_coordinator: bool, to_worker: bool) {
        self.cut.to_coordinator.store(to_coordinator, Ordering::Relaxed);
        self.cut.to_worker.store(to_worker, Ordering::Relaxed);
    }

    pub(crate) fn heal(&self) {
        self.cut(false, false);
    }

    /// Breaks every connection there is.
    pub(crate) fn reset(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, cut: &Cut, forth: bool) {
    let cut = if forth {
        &cut.to_coordinator
    } else {
        &cut.to_worker
    };
    let mut bytes = [0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        while cut.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(5));
        }
        if to.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    _ = from.shutdown(Shutdown::Both);
    _ = to.shutdown(Shutdown::Both);
}
