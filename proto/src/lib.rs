//! Tenfold's contract on the wire: the services Control (people) and Fleet (workers), generated from
//! `proto/tenfold/v1/`, and [`convert`] between its messages and the types of `tenfold-types`.

pub mod convert;
pub mod dial;
pub mod pushback;
pub mod version;

/// Version of the protocol between the coordinator, its workers and its commands. It grows when one side would misunderstand
/// the other; a peer that says another version is refused.
pub const PROTOCOL: u32 = 4;

/// The services and messages as an encoded `google.protobuf.FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

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
