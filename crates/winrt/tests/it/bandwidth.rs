//! `BandwidthStatistics`, as Linux knows them. On the loopback interface.

use wsduo_winrt::BandwidthStatistics;

use crate::support::connected;

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_was_transferred_shows_in_the_statistics_of_both_ends_until_they_are_closed() {
    use wsduo::{Listener, Proxy};
    use wsduo_winrt::{
        InputStreamOptions, Platform, ServerStreamWebSocket, ServerStreamWebSocketOptions, StreamWebSocket,
    };

    use crate::support::{serve, soon};

    /// No machine's loopback interface is as fast.
    const TOO_FAST: u64 = 1_000_000_000_000_000;
    const LEN: u32 = 1 << 20;
    const COUNT: u32 = 16;

    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("ws://{}/", listener.local_address().unwrap());
    let client = StreamWebSocket::with_platform(&Platform::new().proxy(Proxy::none()));
    assert_eq!(client.information().bandwidth_statistics(), BandwidthStatistics::default());
    let serving = serve(async move {
        let request = listener.accept().await.request().await.unwrap();
        let socket = ServerStreamWebSocket::for_request(request, ServerStreamWebSocketOptions::default());
        socket.accept().await.unwrap();
        socket
    });
    soon(client.connect(&uri)).await.unwrap();
    let server = soon(serving).await.unwrap();

    let output = client.output_stream();
    let writing = serve(async move {
        for _ in 0..COUNT {
            output.write(vec![7; LEN as usize].into()).await.unwrap();
        }
        output.flush().await.unwrap();
    });
    let input = server.input_stream();
    let mut rest = LEN * COUNT;
    while rest > 0 {
        let read = soon(input.read(LEN, InputStreamOptions::PARTIAL)).await.unwrap();
        assert!(read.length() > 0);
        rest -= read.length();
    }
    soon(writing).await.unwrap();

    let sent = client.information().bandwidth_statistics();
    assert!((1..TOO_FAST).contains(&sent.outbound_bits_per_second), "{sent:?}");
    let received = server.information().bandwidth_statistics();
    assert!((1..TOO_FAST).contains(&received.inbound_bits_per_second), "{received:?}");

    client.close();
    assert_eq!(client.information().bandwidth_statistics(), BandwidthStatistics::default());
    assert!(client.information().local_address().is_some(), "its address is remembered");
    while soon(input.read(1, InputStreamOptions::NONE)).await.unwrap().length() > 0 {}
    assert_eq!(server.information().bandwidth_statistics(), BandwidthStatistics::default());
}

#[tokio::test(start_paused = true)]
async fn a_pipe_has_no_bandwidth() {
    let (socket, _seen, _server) = connected().await;
    assert_eq!(socket.information().bandwidth_statistics(), BandwidthStatistics::default());
}
