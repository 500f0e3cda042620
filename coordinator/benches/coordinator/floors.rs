//! What the machine itself allows.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc;
use std::time::Instant;

use tenfold_proto::v1;
use tenfold_proto::v1::fleet_server::{Fleet, FleetServer};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use crate::Arguments;
use crate::fleet::Worker;
use crate::table::{Table, Target};
use crate::throughput::{median, percentile};

pub(crate) fn measure(arguments: &Arguments, table: &mut Table) {
    let mut floor = |name: &str, value, unit| table.add(format!("floor: {name}"), value, unit, Target::None);
    let (half, most) = fsync(&arguments.output);
    floor("a page written and synced, median", 1e3 * half, "ms");
    floor("a page written and synced, 99th percentile", 1e3 * most, "ms");
    floor(
        "written in sequence and synced",
        write(&arguments.output) / 1e6,
        "MB/s",
    );
    floor("a byte over loopback and back, median", 1e6 * loopback(), "µs");
    let (alone, together) = calls();
    floor("a gRPC call that does nothing, median", 1e6 * alone, "µs");
    floor("gRPC calls that do nothing, by 100 clients", together, "calls/s");
    floor("memory, copied", copy() / 1e9, "GB/s");
}

/// Median and 99th percentile, in seconds, of a page that is written and synced.
pub(crate) fn fsync(folder: &Path) -> (f64, f64) {
    let path = folder.join("floor");
    let mut file = File::create(&path).unwrap();
    let page = [7; 4096];
    let times: Vec<f64> = (0..500)
        .map(|_| {
            let began = Instant::now();
            file.write_all(&page).unwrap();
            file.sync_data().unwrap();
            began.elapsed().as_secs_f64()
        })
        .collect();
    std::fs::remove_file(path).unwrap();
    (median(times.iter().copied()), percentile(times, 0.99))
}

/// Bytes a second.
fn write(folder: &Path) -> f64 {
    let path = folder.join("floor");
    let mut file = File::create(&path).unwrap();
    let chunk = vec![7; 8 << 20];
    let began = Instant::now();
    for _ in 0..32 {
        file.write_all(&chunk).unwrap();
        file.sync_data().unwrap();
    }
    let rate = (32.0 * chunk.len() as f64) / began.elapsed().as_secs_f64();
    std::fs::remove_file(path).unwrap();
    rate
}

/// Seconds.
fn loopback() -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let echo = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        let mut byte = [0];
        while stream.read(&mut byte).unwrap() == 1 {
            stream.write_all(&byte).unwrap();
        }
    });
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let times: Vec<f64> = (0..5_000)
        .map(|_| {
            let began = Instant::now();
            stream.write_all(&[1]).unwrap();
            stream.read_exact(&mut [0]).unwrap();
            began.elapsed().as_secs_f64()
        })
        .collect();
    drop(stream);
    echo.join().unwrap();
    median(times)
}

/// A server of which every call does nothing.
struct Idle;

#[tonic::async_trait]
impl Fleet for Idle {
    async fn register(
        &self,
        _: Request<v1::RegisterRequest>,
    ) -> Result<Response<v1::RegisterResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn acquire(&self, _: Request<v1::AcquireRequest>) -> Result<Response<v1::AcquireResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn append(&self, _: Request<v1::AppendRequest>) -> Result<Response<v1::AppendResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn heartbeat(
        &self,
        _: Request<v1::HeartbeatRequest>,
    ) -> Result<Response<v1::HeartbeatResponse>, Status> {
        Ok(Response::new(Default::default()))
    }
}

/// Seconds of a call by one client, and calls a second by a hundred, with a thread for the server and one for clients.
fn calls() -> (f64, f64) {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (said, address) = mpsc::channel();
    let server = std::thread::spawn(move || {
        runtime().block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            said.send(listener.local_addr().unwrap()).unwrap();
            let serving = tonic::transport::Server::builder()
                .add_service(FleetServer::new(Idle))
                .serve_with_incoming(TcpListenerStream::new(listener));
            tokio::select! {
                served = serving => served.unwrap(),
                _ = stopped => {}
            }
        });
    });
    let address = format!("http://{}", address.recv().unwrap());
    let figures = runtime().block_on(async {
        let mut worker = Worker::new(&address, 0, 1);
        let mut times = Vec::new();
        for _ in 0..3_000 {
            let began = Instant::now();
            worker.heartbeat(&[]).await.unwrap();
            times.push(began.elapsed().as_secs_f64());
        }
        let (clients, each) = (100, 300);
        let mut all = tokio::task::JoinSet::new();
        let began = Instant::now();
        for number in 0..clients {
            let mut worker = Worker::new(&address, number, 1);
            all.spawn(async move {
                for _ in 0..each {
                    worker.heartbeat(&[]).await.unwrap();
                }
            });
        }
        while let Some(ended) = all.join_next().await {
            ended.unwrap();
        }
        let rate = f64::from(clients * each) / began.elapsed().as_secs_f64();
        (median(times), rate)
    });
    _ = stop.send(());
    server.join().unwrap();
    figures
}

/// Bytes a second.
fn copy() -> f64 {
    let (from, mut to) = (vec![1_u8; 256 << 20], vec![0_u8; 256 << 20]);
    to.copy_from_slice(&from);
    let began = Instant::now();
    for _ in 0..8 {
        std::hint::black_box(&mut to).copy_from_slice(std::hint::black_box(&from));
    }
    8.0 * from.len() as f64 / began.elapsed().as_secs_f64()
}
