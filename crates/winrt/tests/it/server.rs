//! The sockets of a server (spec §5).

use tokio::task::JoinHandle;
use wsduo::{Message, MessageType, MessageWebSocketControl as PeerControl};
use wsduo_winrt::{
    Error, InputStreamOptions, MessageWebSocket, MessageWebSocketReceiveMode, ServerMessageWebSocket,
    ServerMessageWebSocketOptions, ServerStreamWebSocket, ServerStreamWebSocketOptions, SocketMessageType,
};

use crate::support::{Seen, Servers, URI, client_control, code, pipes, serve, soon};

/// A client of `wsduo` that connects to the pipe.
fn client(protocols: &'static [&str]) -> (JoinHandle<wsduo::MessageWebSocket>, Servers) {
    let (control, servers) = client_control();
    let control = control.subprotocols(protocols.iter().copied());
    (serve(async move { control.connect(URI).await.unwrap() }), servers)
}

#[tokio::test(start_paused = true)]
async fn a_server_socket_takes_messages_and_answers_with_the_options_given() {
    let (client, mut servers) = client(&["chat.v2", "chat.v1"]);
    let request = servers.request().await;
    assert_eq!(request.subprotocols(), ["chat.v2", "chat.v1"]);
    let options = ServerMessageWebSocketOptions {
        protocol: Some("chat.v1".into()),
        message_type: SocketMessageType::Utf8,
        outbound_buffer_size_in_bytes: Some(50_000),
        max_message_size: 10,
        receive_mode: MessageWebSocketReceiveMode::PartialMessage,
        control: PeerControl::new(),
    };
    let socket = ServerMessageWebSocket::for_request(request, options);
    let seen = Seen::default();
    let noted = seen.clone();
    socket
        .message_received(move |socket, args| {
            let seen = noted.clone();
            async move {
                seen.note(match args.get_data_reader() {
                    Ok(reader) => {
                        format!("{} {}", reader.unconsumed_buffer_length(), args.is_message_complete())
                    }
                    Err(error) => error.code().to_string(),
                });
                if args.is_message_complete() {
                    let _ = socket.output_stream().write("got it".into()).await;
                }
            }
        })
        .unwrap();
    let noted = seen.clone();
    socket
        .closed(move |_, args| {
            noted.note(format!("closed {}", args.code()));
            async {}
        })
        .unwrap();
    assert_eq!(code(soon(socket.output_stream().write("x".into())).await), Error::ILLEGAL_METHOD_CALL);
    soon(socket.accept()).await.unwrap();
    assert_eq!(code(soon(socket.accept()).await), Error::ILLEGAL_METHOD_CALL);
    assert_eq!(code(socket.closed(|_, _| async {})), Error::ILLEGAL_METHOD_CALL);
    assert_eq!(socket.information().protocol().as_deref(), Some("chat.v1"));
    assert_eq!(socket.information().bandwidth_statistics(), wsduo_winrt::BandwidthStatistics::default());

    let client = soon(client).await.unwrap();
    assert_eq!(client.information().subprotocol(), Some("chat.v1"));
    let (mut receiver, sender) = client.split();
    soon(sender.send_part(MessageType::Binary, b"abc", false)).await.unwrap();
    seen.all(1).await;
    soon(sender.send_part(MessageType::Binary, b"d", true)).await.unwrap();
    assert_eq!(soon(receiver.receive()).await.unwrap(), Some(Message::from("got it")));
    socket.control().set_message_type(SocketMessageType::Binary);
    soon(socket.output_stream().write("x".into())).await.unwrap();
    assert_eq!(soon(receiver.receive()).await.unwrap(), Some(Message::from(b"x".to_vec())));
    soon(sender.send(vec![0; 11])).await.unwrap();
    assert_eq!(soon(receiver.receive()).await.unwrap(), None);
    assert_eq!(receiver.closed().unwrap().code.number(), 1009);
    let lines = seen.all(4).await;
    assert_eq!(lines[..2], ["3 false", "1 true"]);
    assert!(lines[2..].contains(&"0x80072F78".to_owned()), "{lines:?}");
    assert_eq!(lines.last().unwrap(), "closed 1009");
}

#[tokio::test(start_paused = true)]
async fn a_server_stream_reads_and_writes_bytes() {
    let (client, mut servers) = client(&[]);
    let options = ServerStreamWebSocketOptions { no_delay: false, ..ServerStreamWebSocketOptions::default() };
    let socket = ServerStreamWebSocket::for_request(servers.request().await, options);
    let seen = Seen::default();
    let noted = seen.clone();
    socket
        .closed(move |_, args| {
            noted.note(format!("closed {} {}", args.code(), args.reason()));
            async {}
        })
        .unwrap();
    soon(socket.accept()).await.unwrap();
    let mut client = soon(client).await.unwrap();
    soon(client.send(b"bytes".to_vec())).await.unwrap();
    let read = soon(socket.input_stream().read(5, InputStreamOptions::NONE)).await.unwrap();
    soon(socket.output_stream().write(read)).await.unwrap();
    assert_eq!(soon(client.receive()).await.unwrap(), Some(Message::from(b"bytes".to_vec())));
    socket.close_with_status(1001, "shutting down").unwrap();
    assert_eq!(soon(client.receive()).await.unwrap(), None);
    assert_eq!(client.closed().unwrap().reason, "shutting down");
    assert_eq!(seen.all(1).await, ["closed 1001 shutting down"]);
}

#[tokio::test(start_paused = true)]
async fn a_protocol_that_was_not_offered_refuses_the_request() {
    let (platform, mut servers) = pipes();
    let client = MessageWebSocket::with_platform(&platform);
    let connecting = serve(client.connect(URI));
    let options = ServerMessageWebSocketOptions {
        protocol: Some("other".into()),
        ..ServerMessageWebSocketOptions::default()
    };
    let socket = ServerMessageWebSocket::for_request(servers.request().await, options);
    assert_eq!(code(soon(socket.accept()).await), Error::INVALID_ARGUMENT);
    assert_eq!(code(soon(connecting).await.unwrap()).0, 0x8019_01F4);
    assert_eq!(code(soon(socket.accept()).await), Error::CLOSED);
}

#[tokio::test(start_paused = true)]
async fn a_server_socket_that_is_closed_or_dropped_before_it_is_accepted_gives_up_the_request() {
    for is_dropped in [true, false] {
        let (platform, mut servers) = pipes();
        let client = MessageWebSocket::with_platform(&platform);
        let connecting = serve(client.connect(URI));
        let socket = ServerMessageWebSocket::for_request(
            servers.request().await,
            ServerMessageWebSocketOptions::default(),
        );
        socket.close();
        assert_eq!(code(soon(socket.accept()).await), Error::CLOSED);
        if is_dropped {
            drop(socket);
        }
        assert!(soon(connecting).await.unwrap().is_err());
    }
}
