//! Clients that ask for much and read nothing of it.

use tenfold_proto::v1;
use tenfold_proto::v1::control_client::ControlClient;
use tokio::runtime::Runtime;
use tonic::Streaming;
use tonic::transport::Endpoint;

use super::Cluster;

/// Tails that begin and are never read from, each on a connection of its own with the smallest window.
pub fn unread_tails(
    runtime: &Runtime,
    cluster: &Cluster,
    tails: usize,
    raw: bool,
) -> Vec<Streaming<v1::WatchResponse>> {
    let request = v1::WatchRequest {
        selector: "last".to_owned(),
        raw,
        follow: true,
        ..v1::WatchRequest::default()
    };
    let tail = |_| {
        let endpoint = Endpoint::from_shared(cluster.address()).unwrap();
        let endpoint = endpoint
            .initial_stream_window_size(65_535)
            .initial_connection_window_size(65_535);
        runtime.block_on(async {
            let mut control = ControlClient::new(endpoint.connect_lazy());
            control.watch(request.clone()).await.unwrap().into_inner()
        })
    };
    (0..tails).map(tail).collect()
}
