//! How long an epoch takes to be durable.

use crate::Arguments;
use crate::fleet::How;
use crate::server::Server;
use crate::table::{Table, Target};
use crate::{floors, throughput};

/// A thousand workers, each an epoch every tenth of a second.
pub(crate) fn measure(arguments: &Arguments, table: &mut Table) {
    let server = Server::fresh(&arguments.output, "latency");
    server.submit("paced", 1_000, 5_000);
    let seconds = arguments.sized(20, 5);
    let mut fleet = server.fleet(1_000, 1, How::Paced { every: 100, seconds });
    let cpu = server.cpu();
    fleet.begin();
    let said = fleet.said();
    let cpu = server.cpu() - cpu;
    let count = said.latencies.len() as f64;
    table.add(
        "1,000 workers: epochs a second, each an append",
        count / said.took,
        "epochs/s",
        Target::None,
    );
    table.add(
        "1,000 workers: server CPU, an append of one epoch",
        1e6 * cpu / count,
        "µs",
        Target::None,
    );
    let latency =
        |share| throughput::percentile(said.latencies.iter().map(|&latency| f64::from(latency)), share);
    table.add(
        "1,000 workers: append to acknowledgement, median",
        latency(0.5),
        "ms",
        Target::None,
    );
    table.add(
        "1,000 workers: append to acknowledgement, 99th percentile",
        latency(0.99),
        "ms",
        Target::AtMost(50.0 + 1e3 * floors::fsync(&arguments.output).0),
    );
    table.add(
        "1,000 workers: append to acknowledgement, slowest",
        latency(1.0),
        "ms",
        Target::None,
    );
}
