//! Tenfold's contract on the wire: the services Control (people) and Fleet (workers), generated from
//! `proto/tenfold/v1/`, and [`convert`] between its messages and the types of `tenfold-types`.

pub mod convert;
pub mod dial;
pub mod pushback;

/// The protocol between workers and coordinator; `Register` refuses any other.
pub const PROTOCOL: u32 = 3;

/// The generated messages, clients and servers.
#[expect(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    reason = "generated; the protos carry the docs"
)]
#[allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::allow_attributes,
    reason = "generated, and not always there"
)]
pub mod v1 {
    tonic::include_proto!("tenfold.v1");
}
