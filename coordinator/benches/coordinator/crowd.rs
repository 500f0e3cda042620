//! Two thousand workers that come back at the same moment.

use crate::Arguments;
use crate::fleet::How;
use crate::server::Server;
use crate::table::{Table, Target, number};
use crate::throughput::percentile;

/// Each has a trial when the coordinator is killed. When it serves again, all connect at once; a worker is served when
/// it has registered, shown its lease, and has an epoch of its trial acknowledged.
pub(crate) fn measure(arguments: &Arguments, table: &mut Table) {
    let workers = arguments.sized(2_000, 500) as u32;
    let server = Server::fresh(&arguments.output, "crowd");
    server.submit("crowd", workers.into(), 100);
    let mut fleet = server.fleet(workers, 1, How::Returning);
    let server = server.again();
    fleet.begin();
    let said = fleet.said();
    assert_eq!(said.latencies.len(), workers as usize);
    let served = |share| percentile(said.latencies.iter().map(|&ms| 1e-3 * f64::from(ms)), share);
    let name = format!("{} workers reconnecting at once", number(workers.into()));
    table.add(format!("{name}: half served"), served(0.5), "s", Target::None);
    table.add(
        format!("{name}: all served"),
        served(1.0),
        "s",
        Target::AtMost(5.0),
    );
    table.add(
        format!("{name}: memory, at most"),
        server.memory().1 / 1e6,
        "MB",
        Target::AtMost(150.0),
    );
}
