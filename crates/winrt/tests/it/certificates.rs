//! What a `wss` server shows, and who looks at it (spec §6.2, §14.5). On the loopback interface.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use wsduo::{ClientTls, Listener, MessageWebSocketControl as PeerControl, Proxy, ServerTls};
use wsduo_winrt::{
    Certificate, ChainValidationResult, Error, Identity, MessageWebSocket, Platform, SocketSslErrorSeverity,
    StreamWebSocket, WebErrorStatus,
};

use crate::support::{code, serve, soon};

struct Secure {
    uri: String,
    identity: Identity,
}

/// A server that accepts whoever comes and holds the connections.
async fn secure(name: &str) -> Secure {
    let identity = Identity::self_signed([name]).unwrap();
    let tls = ServerTls::new(identity.clone());
    let listener = Listener::bind("127.0.0.1:0").tls(tls).await.unwrap();
    let uri = format!("wss://{}/", listener.local_address().unwrap());
    serve(async move {
        let mut open = Vec::new();
        loop {
            let incoming = listener.accept().await;
            if let Ok(request) = incoming.request().await
                && let Ok(socket) = request.accept_message(&PeerControl::new()).await
            {
                open.push(serve(socket.into_echo()));
            }
        }
    });
    Secure { uri, identity }
}

trait IntoEcho {
    fn into_echo(self) -> impl Future<Output = ()> + Send + 'static;
}

impl IntoEcho for wsduo::MessageWebSocket {
    async fn into_echo(mut self) {
        let _ = self.run(|message, replies| replies.send(message)).await;
    }
}

fn platform() -> Platform {
    Platform::new().proxy(Proxy::none())
}

impl Secure {
    /// A platform that trusts the server.
    fn trusted(&self) -> Platform {
        let pem = self.identity.certificate_pem().unwrap();
        platform().tls(ClientTls::new().add_roots(pem).unwrap().only_added_roots())
    }

    fn certificate(&self) -> Certificate {
        Certificate::try_from(self.identity.clone()).unwrap()
    }
}

#[tokio::test]
async fn the_certificate_of_the_server_is_known_after_connecting() {
    let server = secure("127.0.0.1").await;
    let socket = StreamWebSocket::with_platform(&server.trusted());
    assert!(socket.information().server_certificate().is_none());
    soon(socket.connect(&server.uri)).await.unwrap();
    let information = socket.information();
    assert_eq!(information.server_certificate(), Some(server.certificate()));
    assert_eq!(information.server_certificate_errors(), []);
    assert_eq!(information.server_certificate_error_severity(), SocketSslErrorSeverity::None);
    assert_eq!(information.server_intermediate_certificates(), []);
    assert_eq!(information.local_address().unwrap().canonical_name(), "127.0.0.1");
    // And it stays known.
    socket.close();
    assert_eq!(information.server_certificate(), Some(server.certificate()));
}

#[tokio::test]
async fn an_unknown_issuer_fails_the_connect_and_passes_when_it_is_ignored() {
    let server = secure("127.0.0.1").await;
    let socket = MessageWebSocket::with_platform(&platform());
    let error = soon(socket.connect(&server.uri)).await.unwrap_err();
    assert_eq!((error.code().0, error.status()), (0x8007_2F0D, WebErrorStatus::CertificateIsInvalid));
    assert_eq!(
        socket.information().server_certificate(),
        Some(server.certificate()),
        "for people to look at"
    );
    let errors = socket.information().server_certificate_errors();
    assert!(!errors.is_empty());

    let ignorable = socket.control().ignorable_server_certificate_errors();
    for error in errors {
        ignorable.append(error).unwrap();
    }
    soon(socket.connect(&server.uri)).await.unwrap();
    let information = socket.information();
    assert_eq!(information.server_certificate_errors(), ignorable.to_vec());
    assert_eq!(information.server_certificate_error_severity(), SocketSslErrorSeverity::Ignorable);
}

#[tokio::test]
async fn another_name_fails_the_connect_and_passes_when_it_is_ignored() {
    let server = secure("other.example").await;
    let socket = MessageWebSocket::with_platform(&server.trusted());
    let error = soon(socket.connect(&server.uri)).await.unwrap_err();
    assert_eq!(error.status(), WebErrorStatus::CertificateCommonNameIsIncorrect);
    socket
        .control()
        .ignorable_server_certificate_errors()
        .append(ChainValidationResult::InvalidName)
        .unwrap();
    soon(socket.connect(&server.uri)).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_ignored_is_an_invalid_argument() {
    let server = secure("127.0.0.1").await;
    let socket = MessageWebSocket::with_platform(&server.trusted());
    socket.control().ignorable_server_certificate_errors().append(ChainValidationResult::Revoked).unwrap();
    assert_eq!(code(soon(socket.connect(&server.uri)).await), Error::INVALID_ARGUMENT);
}

#[tokio::test]
async fn a_handler_that_rejects_fails_the_connect_with_0x800c000e() {
    let server = secure("127.0.0.1").await;
    let socket = MessageWebSocket::with_platform(&server.trusted());
    let expected = server.certificate();
    socket
        .server_custom_validation_requested(move |_, args| {
            assert_eq!(*args.server_certificate(), expected);
            assert_eq!(args.server_certificate_error_severity(), SocketSslErrorSeverity::None);
            args.reject();
            async {}
        })
        .unwrap();
    let error = soon(socket.connect(&server.uri)).await.unwrap_err();
    assert_eq!(error.code().0, 0x800C_000E);
    // It is asked each time.
    assert_eq!(code(soon(socket.connect(&server.uri)).await).0, 0x800C_000E);
}

#[tokio::test]
async fn pinning_by_hash_lets_the_right_certificate_pass() {
    let server = secure("127.0.0.1").await;
    let socket = MessageWebSocket::with_platform(&server.trusted());
    let pinned = server.certificate().get_hash_value_by("SHA256").unwrap();
    socket
        .server_custom_validation_requested(move |_, args| {
            if args.server_certificate().get_hash_value_by("SHA256").unwrap() != pinned {
                args.reject();
            }
            async {}
        })
        .unwrap();
    soon(socket.connect(&server.uri)).await.unwrap();
}

#[tokio::test]
async fn several_handlers_are_all_asked_and_one_is_enough_to_reject() {
    let server = secure("127.0.0.1").await;
    let socket = MessageWebSocket::with_platform(&server.trusted());
    let asked = Arc::new(AtomicUsize::new(0));
    for number in 0..3 {
        let asked = Arc::clone(&asked);
        socket
            .server_custom_validation_requested(move |_, args| {
                asked.fetch_add(1, Ordering::SeqCst);
                if number == 1 {
                    args.reject();
                }
                async {}
            })
            .unwrap();
    }
    assert_eq!(code(soon(socket.connect(&server.uri)).await).0, 0x800C_000E);
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_deferral_holds_the_connect_until_it_is_complete() {
    for rejects in [false, true] {
        let server = secure("127.0.0.1").await;
        let socket = MessageWebSocket::with_platform(&server.trusted());
        let (go, gone) = tokio::sync::watch::channel(false);
        socket
            .server_custom_validation_requested(move |_, args| {
                let (deferral, mut gone) = (args.get_deferral(), gone.clone());
                serve(async move {
                    gone.wait_for(|gone| *gone).await.unwrap();
                    if rejects {
                        args.reject();
                    }
                    deferral.complete().unwrap();
                    assert_eq!(code(deferral.complete()), Error::ILLEGAL_METHOD_CALL);
                });
                async {}
            })
            .unwrap();
        let connecting = serve(socket.connect(&server.uri));
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(!connecting.is_finished());
        go.send(true).unwrap();
        let result = soon(connecting).await.unwrap();
        assert_eq!(result.map_err(|error| error.code().0), if rejects { Err(0x800C_000E) } else { Ok(()) });
    }
}

#[tokio::test]
async fn a_handler_that_panics_rejects() {
    let server = secure("127.0.0.1").await;
    let socket = MessageWebSocket::with_platform(&server.trusted());
    socket.server_custom_validation_requested(|_, _| async { panic!("meant to be seen") }).unwrap();
    assert_eq!(code(soon(socket.connect(&server.uri)).await).0, 0x800C_000E);
}

#[tokio::test]
async fn a_slow_handler_is_bounded_by_the_time_that_connecting_has() {
    let server = secure("127.0.0.1").await;
    let control = PeerControl::new().connect_timeout(Duration::from_millis(200));
    let socket = MessageWebSocket::with_platform(&server.trusted().control(control));
    socket.server_custom_validation_requested(|_, _| std::future::pending()).unwrap();
    let error = soon(socket.connect(&server.uri)).await.unwrap_err();
    assert_eq!(error.status(), WebErrorStatus::Timeout);
}

#[tokio::test]
async fn without_tls_no_handler_is_asked() {
    let (platform, mut servers) = crate::support::pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    socket
        .server_custom_validation_requested(|_, args| {
            args.reject();
            async {}
        })
        .unwrap();
    let server = serve(async move { servers.accept().await });
    soon(socket.connect(crate::support::URI)).await.unwrap();
    soon(server).await.unwrap();
    assert!(socket.information().server_certificate().is_none());
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_a_server_that_asks_and_needs_its_key() {
    let identity = Identity::self_signed(["127.0.0.1"]).unwrap();
    let own = Identity::self_signed(["client"]).unwrap();
    let tls =
        ServerTls::new(identity.clone()).require_client_certificate(own.certificate_pem().unwrap()).unwrap();
    let listener = Listener::bind("127.0.0.1:0").tls(tls).await.unwrap();
    let uri = format!("wss://{}/", listener.local_address().unwrap());
    let server = serve(async move {
        loop {
            if let Ok(request) = listener.accept().await.request().await {
                let shown = request.tls().unwrap().certificates[0].clone();
                return (shown, request.accept_message(&PeerControl::new()).await.unwrap());
            }
        }
    });
    let roots = ClientTls::new().add_roots(identity.certificate_pem().unwrap()).unwrap().only_added_roots();
    let socket = MessageWebSocket::with_platform(&platform().tls(roots));
    let certificate = Certificate::try_from(own).unwrap();
    let without_key = Certificate::from_blob(certificate.get_certificate_blob()).unwrap();
    assert_eq!(code(socket.control().set_client_certificate(without_key)), Error::INVALID_ARGUMENT);
    assert!(soon(socket.connect(&uri)).await.is_err(), "none is shown");
    socket.control().set_client_certificate(certificate.clone()).unwrap();
    soon(socket.connect(&uri)).await.unwrap();
    let (shown, _server) = soon(server).await.unwrap();
    assert_eq!(shown, certificate.get_certificate_blob());
}
