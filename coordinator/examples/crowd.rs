//! A crowd of workers that connect all at once: `crowd ADDRESS WORKERS [CONNECTIONS] [PID]`.
//!
//! Each registers, sends a heartbeat and waits for work, as agents do after a coordinator has come back: a call that
//! fails for a passing reason is made again after the pause that the coordinator asks for, or one of its own. Says how
//! long it took until all were served, and what a coordinator with this PID takes of memory then and 5 s later, when
//! each has gone on sending heartbeats.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on ends there")]

use std::time::{Duration, Instant};

use tenfold_proto::v1::fleet_client::FleetClient;
use tenfold_proto::{PROTOCOL, pushback, v1};
use tokio::task::JoinSet;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, workers, rest @ ..] = arguments.as_slice() else {
        eprintln!("usage: crowd ADDRESS WORKERS [CONNECTIONS] [PID]");
        std::process::exit(2);
    };
    let workers: u64 = workers.parse().unwrap();
    let connections: usize = rest.first().map_or(1, |text| text.parse().unwrap());
    let pid = rest.get(1);
    let endpoint = Endpoint::from_shared(address.clone()).unwrap();

    let began = Instant::now();
    let mut crowd = JoinSet::new();
    for worker in 0..workers {
        crowd.spawn(come(endpoint.clone(), worker, connections));
    }
    let (mut clients, mut again) = (Vec::new(), 0);
    while let Some(served) = crowd.join_next().await {
        let (client, times) = served.unwrap();
        clients.push(client);
        again += times;
    }
    println!(
        "{workers} workers with {connections} connections each served after {:.2} s; {again} calls made again",
        began.elapsed().as_secs_f64()
    );
    let Some(pid) = pid else { return };
    println!("then: {}", memory(pid));
    let mut beats = JoinSet::new();
    for (worker, mut client) in (0..workers).zip(clients) {
        beats.spawn(async move {
            for _ in 0..5 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                _ = client.heartbeat(heartbeat(worker)).await;
            }
            client
        });
    }
    let clients = beats.join_all().await;
    println!("5 s later: {}", memory(pid));
    drop(clients);
}

/// Until a worker is served; its client, and how many calls were made again.
async fn come(endpoint: Endpoint, worker: u64, connections: usize) -> (FleetClient<Channel>, u32) {
    let endpoint = endpoint.tcp_nodelay(true);
    let mut client = FleetClient::new(endpoint.connect_lazy());
    let slot = v1::Slot {
        kind: v1::DeviceKind::Cpu.into(),
        device: "an abacus".to_owned(),
        threads: 1,
    };
    let register = v1::RegisterRequest {
        protocol: PROTOCOL,
        worker: worker.to_le_bytes().to_vec(),
        host: format!("node{worker}"),
        process: 1,
        version: "0.1.0".to_owned(),
        libtorch: "none".to_owned(),
        slots: vec![slot],
    };
    let mut again = 0;
    while let Err(status) = client.register(register.clone()).await {
        if again == 0 {
            eprintln!("worker {worker}: {status}");
        }
        again += 1;
        pause(&status).await;
    }
    let mut waiting = if connections > 1 {
        FleetClient::new(endpoint.connect_lazy())
    } else {
        client.clone()
    };
    tokio::spawn(async move {
        for request in 0_u64.. {
            let request = [request.to_le_bytes(), worker.to_le_bytes()].concat();
            let acquire = v1::AcquireRequest {
                worker: worker.to_le_bytes().to_vec(),
                request,
                slot: 0,
                max_trials: 1,
                sizes: Vec::new(),
            };
            if let Err(status) = waiting.acquire(acquire).await {
                pause(&status).await;
            }
        }
    });
    while let Err(status) = client.heartbeat(heartbeat(worker)).await {
        if again == 0 {
            eprintln!("worker {worker}: {status}");
        }
        again += 1;
        pause(&status).await;
    }
    (client, again)
}

fn heartbeat(worker: u64) -> v1::HeartbeatRequest {
    v1::HeartbeatRequest {
        worker: worker.to_le_bytes().to_vec(),
        fences: Vec::new(),
    }
}

async fn pause(status: &Status) {
    let pause = pushback::of(status).unwrap_or(Duration::from_millis(300));
    tokio::time::sleep(pause).await;
}

/// Resident memory, now and at its highest, and threads.
fn memory(pid: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let lines = status.lines().filter(|line| {
        ["VmRSS", "VmHWM", "RssAnon", "Threads"]
            .iter()
            .any(|name| line.starts_with(name))
    });
    lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join(", ")
}
