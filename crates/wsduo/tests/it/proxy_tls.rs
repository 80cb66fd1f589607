//! TLS with a proxy: it is asked for no more than to be trusted. What is set for the server is between us and the server.

use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wsduo::WebErrorStatus as Status;
use wsduo::{CertificateError, ClientTls, ErrorKind, Identity, Listener, Proxy, Reconnect, ServerTls};

use crate::support::{control, kind};

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// What a client said to the proxy: the name and the protocols that it asked for.
type Hello = (Option<String>, Vec<Vec<u8>>);

#[derive(Debug)]
struct Listening {
    key: Arc<CertifiedKey>,
    heard: Arc<Mutex<Vec<Hello>>>,
}

impl ResolvesServerCert for Listening {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let protocols = hello.alpn().map(|names| names.map(<[u8]>::to_vec).collect()).unwrap_or_default();
        self.heard.lock().unwrap().push((hello.server_name().map(str::to_owned), protocols));
        Some(Arc::clone(&self.key))
    }
}

/// A proxy behind TLS that would like to see a certificate: its port, its own certificate, and what it heard and saw.
struct HttpsProxy {
    port: u16,
    pem: String,
    heard: Arc<Mutex<Vec<Hello>>>,
    shown: Arc<AtomicUsize>,
}

impl HttpsProxy {
    async fn start() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let key = CertifiedKey::from_der(vec![made.cert.der().clone()], key, &provider).unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&fixture("authority.pem")).unwrap()).unwrap();
        let optional =
            rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
                .allow_unauthenticated()
                .build()
                .unwrap();
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(optional)
            .with_cert_resolver(Arc::new(Listening { key: Arc::new(key), heard: Arc::clone(&heard) }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shown = Arc::new(AtomicUsize::new(0));
        tokio::spawn(serve(listener, config, Arc::clone(&shown)));
        Self { port, pem: made.cert.pem(), heard, shown }
    }

    fn proxy(&self) -> Proxy {
        Proxy::new(&format!("https://localhost:{}", self.port)).unwrap()
    }
}

async fn serve(
    listener: TcpListener,
    config: rustls::ServerConfig,
    shown: Arc<AtomicUsize>,
) -> io::Result<()> {
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    loop {
        let (tcp, _) = listener.accept().await?;
        let Ok(mut client) = acceptor.accept(tcp).await else { continue };
        shown.fetch_add(client.get_ref().1.peer_certificates().map_or(0, <[_]>::len), Ordering::Relaxed);
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await?);
        }
        let head = String::from_utf8_lossy(&head);
        let mut server = TcpStream::connect(head.split(' ').nth(1).unwrap_or_default()).await?;
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
        client.flush().await?;
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    }
}

#[tokio::test]
async fn a_proxy_sees_nothing_of_what_is_for_the_server() {
    let proxy = HttpsProxy::start().await;
    let identity = Identity::self_signed(["server.example"]).unwrap();
    let server_pem = identity.certificate_pem().unwrap().to_owned();
    let server_tls = ServerTls::new(identity).require_client_certificate(fixture("authority.pem")).unwrap();
    let listener = Listener::bind("127.0.0.1:0").tls(server_tls).await.unwrap();
    let uri = format!("wss://{}/", listener.local_address().unwrap());
    let validated = Arc::new(Mutex::new(Vec::new()));
    let hosts = Arc::clone(&validated);
    let tls = ClientTls::new()
        .add_roots(&proxy.pem)
        .unwrap()
        .add_roots(server_pem)
        .unwrap()
        .only_added_roots()
        .identity(Identity::from_pem(fixture("client.pem"), fixture("client.key")).unwrap())
        .server_name("server.example")
        .alpn(["http/1.1", "secret-protocol"])
        .validate(move |certificate| {
            hosts.lock().unwrap().push(certificate.host().to_owned());
            async { Ok::<(), String>(()) }
        });
    let serving = async {
        let request = listener.accept().await.request().await.unwrap();
        request.accept_message(&control()).await.unwrap()
    };
    let control = control().tls(tls).proxy(proxy.proxy());
    let (client, _server) = tokio::join!(control.connect(&uri), serving);
    client.unwrap();
    let expected = (Some("localhost".to_owned()), vec![b"http/1.1".to_vec()]);
    assert_eq!(*proxy.heard.lock().unwrap(), [expected]);
    assert_eq!(proxy.shown.load(Ordering::Relaxed), 0, "certificates of the client");
    assert_eq!(*validated.lock().unwrap(), ["127.0.0.1"]);
}

#[tokio::test]
async fn a_pin_is_not_for_the_proxy_and_what_is_ignored_is_not_either() {
    let proxy = HttpsProxy::start().await;
    // The tunnel opens; then the server, which is none, is what fails.
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("wss://{}/", gone.local_addr().unwrap());
    let refusing = tokio::spawn(async move {
        loop {
            drop(gone.accept().await);
        }
    });
    let trusting = ClientTls::new().add_roots(&proxy.pem).unwrap().only_added_roots();
    let pinned = control().tls(trusting.pin_sha256([7; 32])).proxy(proxy.proxy());
    let error = pinned.connect(&uri).await.unwrap_err();
    assert!(error.to_string().starts_with("TLS with 127.0.0.1 failed"), "{error}");
    refusing.abort();

    let ignoring = ClientTls::new().only_added_roots().ignore([CertificateError::Untrusted]);
    let control = control().tls(ignoring).proxy(proxy.proxy());
    let error = control.connect(&uri).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Proxy);
    assert_eq!(error.certificate_errors(), [CertificateError::Untrusted]);
    assert_eq!((error.web_error_status(), error.hresult().0), (Status::CertificateIsInvalid, 0x8007_2F0D));
    let said =
        format!("cannot use the proxy https://localhost:{}: TLS with localhost failed: its", proxy.port);
    assert!(error.to_string().starts_with(&said), "{error}");
    // Trying again would bring the same.
    assert_eq!(kind(Reconnect::new(control, uri).next().await), ErrorKind::Proxy);
}
