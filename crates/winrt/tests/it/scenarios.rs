//! The four scenarios of the original's official sample (spec §20.2), and where its page's fourteen blocks (§20.1) are.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use wsduo::{Identity, Listener, Message, MessageWebSocketControl as PeerControl, Proxy, ServerTls};
use wsduo_winrt::{
    Certificate, ChainValidationResult, DataWriter, Error, HResult, InputStreamOptions, MessageWebSocket,
    MessageWebSocketReceiveMode, Platform, SocketMessageType, StreamWebSocket,
};

use crate::support::{URI, code, connected, pipes, serve, soon, streaming, watched};

/// The example that holds each block of the page: C#, C++/WinRT and C++/CX in its order.
const BLOCKS: [(usize, &str, &str); 14] = [
    (1, "connect", include_str!("../../examples/connect.rs")),
    (2, "connect", include_str!("../../examples/connect.rs")),
    (3, "message_echo", include_str!("../../examples/message_echo.rs")),
    (4, "message_echo", include_str!("../../examples/message_echo.rs")),
    (5, "message_echo", include_str!("../../examples/message_echo.rs")),
    (6, "stream_echo", include_str!("../../examples/stream_echo.rs")),
    (7, "stream_echo", include_str!("../../examples/stream_echo.rs")),
    (8, "stream_echo", include_str!("../../examples/stream_echo.rs")),
    (9, "no_delay", include_str!("../../examples/no_delay.rs")),
    (10, "no_delay", include_str!("../../examples/no_delay.rs")),
    (11, "no_delay", include_str!("../../examples/no_delay.rs")),
    (12, "connect_timeout", include_str!("../../examples/connect_timeout.rs")),
    (13, "connect_timeout", include_str!("../../examples/connect_timeout.rs")),
    (14, "connect_timeout", include_str!("../../examples/connect_timeout.rs")),
];

#[test]
fn every_block_of_the_page_has_its_example() {
    for (index, (block, example, text)) in BLOCKS.into_iter().enumerate() {
        assert_eq!(block, index + 1);
        let line = text.lines().next().unwrap();
        let blocks: Vec<usize> =
            line.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect();
        assert!(
            (blocks[0]..=blocks[1]).contains(&block),
            "{example} does not speak of block {block}: {line}"
        );
    }
}

/// What the sample's server does: greets, and says what was said.
async fn sample_server<T: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    mut socket: wsduo::MessageWebSocket<T>,
) {
    socket.send("EchoWebSocket Connected at: noon").await.unwrap();
    while let Ok(Some(message)) = socket.receive().await {
        let answer = match message {
            Message::Text(text) => format!("You said: \"{text}\""),
            Message::Binary(bytes) => format!("binary message received, size={} bytes", bytes.len()),
        };
        if socket.send(answer).await.is_err() {
            break;
        }
    }
}

#[tokio::test]
async fn scenario_1_utf8_messages() {
    let server = Identity::self_signed(["www.fabrikam.com"]).unwrap();
    let issuer = Certificate::try_from(server.clone()).unwrap().issuer().to_owned();
    let uri = secure_server(ServerTls::new(server)).await;
    for (wanted, outcome) in [("somebody else", Err(HResult(0x800C_000E))), (issuer.as_str(), Ok(()))] {
        let socket = MessageWebSocket::with_platform(&Platform::new().proxy(Proxy::none()));
        let control = socket.control();
        control.set_message_type(SocketMessageType::Utf8);
        for error in [ChainValidationResult::Untrusted, ChainValidationResult::InvalidName] {
            control.ignorable_server_certificate_errors().append(error).unwrap();
        }
        let wanted = wanted.to_owned();
        socket
            .server_custom_validation_requested(move |_, args| {
                let (deferral, wanted) = (args.get_deferral(), wanted.clone());
                serve(async move {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    let leaf = std::iter::once(args.server_certificate());
                    if leaf.chain(args.server_intermediate_certificates()).any(|one| one.issuer() != wanted) {
                        args.reject();
                    }
                    deferral.complete().unwrap();
                });
                async {}
            })
            .unwrap();
        let seen = watched(&socket);
        let connected = soon(socket.connect(&uri)).await.map_err(|error| error.code());
        assert_eq!(connected, outcome);
        if connected.is_err() {
            continue;
        }
        // One writer for the socket's life.
        let writer = DataWriter::with_stream(socket.output_stream());
        for text in ["Hello", "grüß dich"] {
            writer.write_string(text).unwrap();
            soon(writer.store()).await.unwrap();
        }
        seen.all(3).await;
        writer.detach_stream().unwrap();
        socket.close_with_status(1000, "Closed due to user request.").unwrap();
        assert_eq!(
            seen.all(4).await,
            [
                "text EchoWebSocket Connected at: noon",
                "text You said: \"Hello\"",
                "text You said: \"grüß dich\"",
                "closed 1000 Closed due to user request.",
            ]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn scenario_2_binary_stream() {
    let (socket, server) = streaming().await;
    let answering = serve(sample_server(server));
    let (output, input) = (socket.output_stream(), socket.input_stream());
    let sending = serve(async move {
        let mut sent = 0;
        loop {
            match output.write(vec![0, 1, 2, 3, 4, 5, 6, 7, 8, 9].into()).await {
                Ok(n) => sent += n,
                Err(error) => return (sent, error.code()),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let receiving = serve(async move {
        let mut received = Vec::new();
        loop {
            match input.read(1000, InputStreamOptions::PARTIAL).await {
                Ok(buffer) => received.extend_from_slice(&wsduo::Bytes::from(buffer)),
                Err(error) => return (received, error.code()),
            }
        }
    });
    tokio::time::sleep(Duration::from_millis(4500)).await;
    socket.close_with_status(1000, "Closed due to user request.").unwrap();
    assert_eq!(soon(sending).await.unwrap(), (50, Error::CLOSED));
    let (received, end) = soon(receiving).await.unwrap();
    assert_eq!(end, Error::ABORT);
    let answers = "binary message received, size=10 bytes".repeat(5);
    assert_eq!(String::from_utf8(received).unwrap(), format!("EchoWebSocket Connected at: noon{answers}"));
    soon(answering).await.unwrap();
}

#[tokio::test]
async fn scenario_3_client_certificate() {
    let fixture = |name: &str| {
        std::fs::read(format!("{}/../wsduo/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    };
    let server = Identity::self_signed(["www.fabrikam.com"]).unwrap();
    let tls = ServerTls::new(server).require_client_certificate(fixture("authority.pem")).unwrap();
    let uri = secure_server(tls).await;
    let pfx = Identity::from_pkcs12(fixture("client.p12"), "sesame").unwrap();
    for certificate in [None, Some(Certificate::try_from(pfx).unwrap())] {
        let socket = StreamWebSocket::with_platform(&Platform::new().proxy(Proxy::none()));
        let control = socket.control();
        for error in [ChainValidationResult::Untrusted, ChainValidationResult::InvalidName] {
            control.ignorable_server_certificate_errors().append(error).unwrap();
        }
        let is_shown = certificate.is_some();
        control.set_client_certificate(certificate).unwrap();
        match soon(socket.connect(&uri)).await {
            Ok(()) => assert!(is_shown),
            // A client certificate is needed.
            refused => assert!(!is_shown && code(refused) == HResult(0x8007_2F0C)),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn scenario_4_partial_messages() {
    let (platform, mut servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    socket.control().set_message_type(SocketMessageType::Utf8);
    socket.control().set_receive_mode(MessageWebSocketReceiveMode::PartialMessage).unwrap();
    let seen = watched(&socket);
    let server = serve(async move { servers.accept().await });
    soon(socket.connect(URI)).await.unwrap();
    let server = soon(server).await.unwrap();
    // The server answers each fragment as it comes, with the same end-of-message flag.
    let (mut receiver, sender) = server.split();
    let answering = serve(async move {
        let mut fragments = Vec::new();
        while let Ok(Some(part)) = receiver.receive_part().await {
            fragments.push((part.bytes.to_vec(), part.is_complete));
            // A piece of a character cannot stand between quotes.
            let answer = match std::str::from_utf8(&part.bytes) {
                Ok(text) => format!("You said: \"{text}\"\r\n").into_bytes(),
                Err(_) => part.bytes.to_vec(),
            };
            sender.send_part(wsduo::MessageType::Text, &answer, part.is_complete).await.unwrap();
        }
        fragments
    });
    // Two messages; in the other a character of three bytes is cut in two places.
    let pieces: [(&[u8], bool); 6] = [
        (b"one", false),
        (b"two", false),
        (b"end", true),
        (b"\xe2", false),
        (b"\x82", false),
        (b"\xac", true),
    ];
    for (index, (piece, is_final)) in pieces.into_iter().enumerate() {
        let buffer = piece.to_vec().into();
        let operation =
            if is_final { socket.send_final_frame(buffer) } else { socket.send_nonfinal_frame(buffer) };
        assert_eq!(soon(operation).await.unwrap() as usize, piece.len());
        // Each answer is an event of its own, as it comes.
        seen.all(index + 1).await;
    }
    assert_eq!(
        seen.lines(),
        [
            "text You said: \"one\"\r\n...",
            "text You said: \"two\"\r\n...",
            "text You said: \"end\"\r\n",
            "text \u{fffd}...",
            "text \u{fffd}...",
            "text \u{fffd}",
        ]
    );
    socket.close_with_status(1000, "").unwrap();
    let fragments = soon(answering).await.unwrap();
    assert_eq!(fragments, pieces.map(|(piece, is_final)| (piece.to_vec(), is_final)));
}

#[tokio::test(start_paused = true)]
async fn the_server_closes_with_the_code_and_text_of_the_client() {
    let (socket, seen, server) = connected().await;
    let answering = serve(sample_server(server));
    seen.all(1).await;
    socket.close_with_status(1000, "Closed due to user request.").unwrap();
    assert_eq!(seen.all(2).await.last().unwrap(), "closed 1000 Closed due to user request.");
    let _ = soon(answering).await;
}

#[tokio::test(start_paused = true)]
async fn a_connect_is_cancelled_after_five_seconds() {
    let (platform, mut servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    let silent = serve(async move { servers.transport().await });
    let mut connecting = socket.connect(URI);
    let start = tokio::time::Instant::now();
    tokio::select! {
        result = &mut connecting => panic!("{result:?}"),
        () = tokio::time::sleep(Duration::from_secs(5)) => connecting.cancel(),
    }
    assert_eq!(code(connecting.await), Error::ABORT);
    assert_eq!(start.elapsed().as_secs(), 5);
    drop(soon(silent).await.unwrap());
}

async fn secure_server(tls: ServerTls) -> String {
    let listener = Listener::bind("127.0.0.1:0").tls(tls).await.unwrap();
    let uri = format!("wss://{}/", listener.local_address().unwrap());
    serve(async move {
        loop {
            if let Ok(request) = listener.accept().await.request().await
                && let Ok(socket) = request.accept_message(&PeerControl::new()).await
            {
                serve(sample_server(socket));
            }
        }
    });
    uri
}
