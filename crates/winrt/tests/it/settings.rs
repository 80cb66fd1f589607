//! When settings and handlers may be changed (spec §9).

use std::time::Duration;

use tokio::io::AsyncReadExt;
use wsduo::{CloseCode, MessageType};
use wsduo_winrt::{
    Certificate, ChainValidationResult, Error, Identity, MessageWebSocket, MessageWebSocketReceiveMode,
    PasswordCredential, SocketMessageType, StreamWebSocket,
};

use crate::support::{
    Seen, URI, code, connected, pipes, pipes_of, serve, soon, streaming, watch_closed, watch_messages,
};

fn credential() -> PasswordCredential {
    PasswordCredential::new("test", "ada", "sesame").unwrap()
}

/// Every setting that is fixed when the socket connects: whether changing them fails.
fn fixed_settings(socket: &MessageWebSocket) -> Vec<Option<u32>> {
    let control = socket.control();
    let certificate = Certificate::try_from(Identity::self_signed(["x.example"]).unwrap()).unwrap();
    [
        control.set_max_message_size(10),
        control.set_receive_mode(MessageWebSocketReceiveMode::PartialMessage),
        control.set_server_credential(credential()),
        control.set_proxy_credential(credential()),
        control.supported_protocols().append("x"),
        control.supported_protocols().clear(),
        control.set_client_certificate(certificate),
        control.set_desired_unsolicited_pong_interval(Duration::from_secs(9)),
        socket.set_request_header("x", "y"),
    ]
    .into_iter()
    .map(|result| result.err().map(|error| error.code().0))
    .collect()
}

const ILLEGAL: Option<u32> = Some(0x8000_000E);

#[tokio::test(start_paused = true)]
async fn settings_are_frozen_at_connect_except_the_message_type() {
    let (platform, mut servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    let connecting = serve(socket.connect(URI));
    let request = servers.request().await;
    assert_eq!(fixed_settings(&socket), [ILLEGAL; 9], "connecting");
    socket.control().set_message_type(SocketMessageType::Utf8);
    let mut server = soon(request.accept_message(&wsduo::MessageWebSocketControl::new())).await.unwrap();
    soon(connecting).await.unwrap().unwrap();
    assert_eq!(fixed_settings(&socket), [ILLEGAL; 9], "connected");
    soon(socket.output_stream().write("x".into())).await.unwrap();
    assert_eq!(soon(server.receive()).await.unwrap().unwrap().message_type(), MessageType::Text);
    socket.close();
    assert_eq!(fixed_settings(&socket), [ILLEGAL; 9], "closed");
    socket.control().set_message_type(SocketMessageType::Binary);
    assert_eq!(socket.control().message_type(), SocketMessageType::Binary);
    assert_eq!(socket.control().max_message_size(), u32::MAX, "nothing was changed");

    let created = MessageWebSocket::new();
    assert_eq!(fixed_settings(&created), [None; 9]);
}

#[tokio::test(start_paused = true)]
async fn some_settings_have_no_effect_after_connect_and_no_error() {
    let (socket, _seen, _server) = connected().await;
    let control = socket.control();
    let before = control.outbound_buffer_size_in_bytes();
    control.set_outbound_buffer_size_in_bytes(before + 1);
    assert_eq!(control.outbound_buffer_size_in_bytes(), before);
    let ignorable = control.ignorable_server_certificate_errors();
    ignorable.append(ChainValidationResult::Expired).unwrap();
    assert_eq!(ignorable.size(), 0);
}

#[tokio::test(start_paused = true)]
async fn no_delay_is_frozen_at_connect() {
    let (socket, _server) = streaming().await;
    assert_eq!(code(socket.control().set_no_delay(false)), Error::ILLEGAL_METHOD_CALL);
    let created = StreamWebSocket::new();
    created.control().set_no_delay(false).unwrap();
    assert!(!created.control().no_delay());
}

#[tokio::test(start_paused = true)]
async fn handlers_are_added_and_removed_before_connect_alone() {
    let (platform, mut servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    let seen = Seen::default();
    let removed = watch_messages(&socket, &Seen::default()).unwrap();
    let (messages, closed) = (watch_messages(&socket, &seen).unwrap(), watch_closed(&socket, &seen).unwrap());
    let validation = socket.server_custom_validation_requested(|_, _| async {}).unwrap();
    socket.remove_message_received(removed).unwrap();

    let check = |socket: &MessageWebSocket| {
        assert_eq!(code(watch_messages(socket, &seen)), Error::ILLEGAL_METHOD_CALL);
        assert_eq!(code(watch_closed(socket, &seen)), Error::ILLEGAL_METHOD_CALL);
        let added = socket.server_custom_validation_requested(|_, _| async {});
        assert_eq!(code(added), Error::ILLEGAL_METHOD_CALL);
        assert_eq!(code(socket.remove_message_received(messages)), Error::ILLEGAL_METHOD_CALL);
        assert_eq!(code(socket.remove_closed(closed)), Error::ILLEGAL_METHOD_CALL);
        let removed = socket.remove_server_custom_validation_requested(validation);
        assert_eq!(code(removed), Error::ILLEGAL_METHOD_CALL);
    };
    let connecting = serve(socket.connect(URI));
    let request = servers.request().await;
    check(&socket);
    let mut server = soon(request.accept_message(&wsduo::MessageWebSocketControl::new())).await.unwrap();
    soon(connecting).await.unwrap().unwrap();
    check(&socket);
    soon(server.send("x")).await.unwrap();
    soon(server.close(CloseCode::NORMAL, "")).await.unwrap();
    assert_eq!(seen.all(2).await, ["text x", "closed 1000"]);
    check(&socket);
}

#[tokio::test(start_paused = true)]
async fn handlers_are_fixed_after_a_failed_connect_too() {
    let socket = MessageWebSocket::new();
    assert_eq!(code(soon(socket.connect("http://server.example")).await), Error::INVALID_ARGUMENT);
    assert_eq!(code(watch_messages(&socket, &Seen::default())), Error::ILLEGAL_METHOD_CALL);
    assert_eq!(fixed_settings(&socket), [None; 9], "settings are not");
}

#[tokio::test(start_paused = true)]
async fn an_unsolicited_pong_leaves_at_the_interval_desired_but_at_most_every_second() {
    for (desired, actual, expected) in
        [(None, None, 0), (Some(0.1), Some(1.0), 100), (Some(7.0), Some(7.0), 14), (Some(0.0), None, 0)]
    {
        // Pings of the keepalive would take the place of some.
        let (platform, mut servers) = pipes_of(wsduo::MessageWebSocketControl::new().keepalive(None), 1000);
        let socket = MessageWebSocket::with_platform(&platform);
        let seconds = |seconds: Option<f64>| seconds.map(Duration::from_secs_f64);
        socket.control().set_desired_unsolicited_pong_interval(seconds(desired)).unwrap();
        assert_eq!(socket.control().desired_unsolicited_pong_interval(), seconds(desired));
        assert_eq!(socket.control().actual_unsolicited_pong_interval(), seconds(actual));
        let server = serve(async move { servers.raw().await });
        soon(socket.connect(URI)).await.unwrap();
        let mut raw = soon(server).await.unwrap();
        let (mut pongs, mut buffer) = (0, [0; 6]);
        let reading = async {
            loop {
                raw.read_exact(&mut buffer).await.unwrap();
                assert_eq!(buffer[..2], [0x8a, 0x80]);
                pongs += 1;
            }
        };
        assert!(tokio::time::timeout(Duration::from_millis(100_500), reading).await.is_err());
        assert_eq!(pongs, expected, "{desired:?}");
    }
}
