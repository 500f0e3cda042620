//! Two thousand workers that come back at the same moment.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::Arguments;
use crate::fleet::{How, Work};
use crate::server::Server;
use crate::table::{Table, Target};

pub(crate) fn measure(arguments: &Arguments, table: &mut Table) {
    let workers = arguments.sized(2_000, 500) as u32;
    let mut server = Server::fresh(&arguments.output, "crowd");
    let stay = 15;
    let fleet = server.fleet(Work {
        workers,
        epochs: stay,
        how: How::Present,
        ..Work::default()
    });
    let present = || {
        server.ask(async |mut control| {
            let workers = control
                .workers(tenfold_proto::v1::WorkersRequest::default())
                .await
                .unwrap();
            workers.into_inner().workers.len()
        })
    };
    while present() < workers as usize {
        std::thread::sleep(Duration::from_millis(200));
    }
    server.kill();
    std::thread::sleep(Duration::from_millis(500));
    let server = server.again();
    let began = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64();
    std::thread::sleep(Duration::from_secs(8));
    let memory = server.memory().1;
    let said = fleet.said();
    let last = said.served_at.iter().copied().fold(0.0, f64::max);
    assert_eq!(said.served_at.len(), workers as usize);
    table.add(
        format!("{workers} workers reconnecting at once: all served"),
        last - began,
        "s",
        Target::AtMost(5.0),
    );
    table.add(
        format!("{workers} workers reconnecting at once: memory, at most"),
        memory / 1e6,
        "MB",
        Target::AtMost(150.0),
    );
}
