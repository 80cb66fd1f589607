//! What a server shows by TLS and wants to see, and certificates of clients.

use std::sync::Arc;

use tokio_rustls::{TlsAcceptor, TlsConnector};
use wsduo::{
    ClientTls, Error, ErrorKind, Identity, Listener, MessageWebSocket, MessageWebSocketControl, ServerTls,
    TlsInformation, TlsVersion,
};

use crate::authority::{Authority, params, serve};
use crate::support::{kind, text};

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/{}"), name)).unwrap()
}

async fn connect(tls: &ClientTls, host: &str, port: u16) -> Result<MessageWebSocket, Error> {
    MessageWebSocketControl::new().tls(tls.clone()).connect(&format!("wss://{host}:{port}/")).await
}

/// What either side makes of one connection: what the server saw of the client, and the client's socket.
async fn meet(
    server: &ServerTls,
    client: &ClientTls,
) -> (Result<TlsInformation, Error>, Result<MessageWebSocket, Error>) {
    let listener = Listener::bind("127.0.0.1:0").tls(server.clone()).await.unwrap();
    let port = listener.local_address().unwrap().port();
    let serving = async {
        let request = listener.accept().await.request().await?;
        let seen = request.tls().unwrap().clone();
        let socket = request.accept_message(&MessageWebSocketControl::new()).await?;
        assert_eq!(socket.information().tls(), Some(&seen));
        Ok(seen)
    };
    tokio::join!(serving, connect(client, "localhost", port))
}

#[tokio::test]
async fn a_client_certificate_is_required_or_not() {
    let (root, clients, other) = (Authority::new("root"), Authority::new("clients"), Authority::new("other"));
    let server = ServerTls::new(root.issue(&params("localhost")));
    let required = server.clone().require_client_certificate(clients.pem()).unwrap();
    let optional = server.clone().request_client_certificate(clients.pem()).unwrap();
    let good = clients.issue(&params("client"));
    let leaf = good.certificates().next().unwrap().to_vec();
    let nobody = root.trusted();
    let known = nobody.clone().identity(good);
    let unknown = nobody.clone().identity(other.issue(&params("client")));

    for server in [&required, &optional] {
        for version in [TlsVersion::V1_2, TlsVersion::V1_3] {
            let (seen, client) = meet(server, &known.clone().min_version(version)).await;
            assert_eq!(seen.unwrap().certificates, std::slice::from_ref(&leaf));
            client.unwrap();
        }
        let (seen, client) = meet(server, &unknown).await;
        assert_eq!(kind(seen), ErrorKind::Tls);
        let error = client.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
        assert!(error.to_string().contains("does not accept the certificate of this client"), "{error}");
    }
    for (server, client) in [(&optional, &nobody), (&server, &nobody), (&server, &known)] {
        let (seen, client) = meet(server, client).await;
        assert!(seen.unwrap().certificates.is_empty());
        client.unwrap();
    }

    let (seen, client) = meet(&required, &nobody).await;
    let error = seen.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls);
    assert!(error.to_string().contains("it showed no certificate, and one is required"), "{error}");
    let error = client.unwrap_err();
    assert_eq!((error.kind(), error.hresult().0), (ErrorKind::Tls, 0x8007_2F0C));
    assert!(error.to_string().contains("it requires a certificate of the client; give it"), "{error}");
}

#[tokio::test]
async fn an_identity_comes_from_pem_or_pkcs12() {
    let pem = Identity::from_pem(fixture("client.pem"), fixture("client.key")).unwrap();
    let leaf = pem.certificates().next().unwrap().to_vec();
    let both = [fixture("client.key"), fixture("client.pem")].concat();
    let mut identities = vec![pem, Identity::from_pem(&both, &both).unwrap()];
    for file in ["client.p12", "client-legacy.p12"] {
        let identity = Identity::from_pkcs12(fixture(file), "sesame").unwrap();
        // With its authority behind it.
        assert_eq!(identity.certificates().count(), 2, "{file}");
        identities.push(identity);
        let error = Identity::from_pkcs12(fixture(file), "wrong").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("check its password"), "{error}");
    }
    let root = Authority::new("root");
    let server = ServerTls::new(root.issue(&params("localhost")))
        .require_client_certificate(fixture("authority.pem"))
        .unwrap();
    for identity in identities {
        assert!(!format!("{identity:?}").contains("key"), "{identity:?}");
        let (seen, client) = meet(&server, &root.trusted().identity(identity)).await;
        assert_eq!(seen.unwrap().certificates[0], leaf);
        client.unwrap();
    }
    for nonsense in [&b""[..], b"nonsense", &fixture("client.p12")[..100]] {
        assert_eq!(kind(Identity::from_pkcs12(nonsense, "sesame")), ErrorKind::InvalidInput);
    }
    // A key that is another's.
    let other = Identity::from_pem(self_signed_pem(), fixture("client.key"));
    assert_eq!(kind(other), ErrorKind::InvalidInput);
}

fn self_signed_pem() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    params("localhost").self_signed(&key).unwrap().pem()
}

#[tokio::test]
async fn the_certificate_is_chosen_by_the_name_asked_for() {
    let root = Authority::new("root");
    let names = ["localhost", "one.example", "*.wild.example"];
    let identities = names.map(|name| root.issue(&params(name)));
    let leaves = identities.clone().map(|identity| identity.certificates().next().unwrap().to_vec());
    let [first, second, third] = identities;
    let port = serve(ServerTls::new(first).add_identity(second).add_identity(third)).await;
    let cases = [
        ("localhost", 0),
        ("one.example", 1),
        ("ONE.example", 1),
        ("two.wild.example", 2),
        ("a.b.wild.example", 0),
        ("else", 0),
    ];
    for (name, shown) in cases {
        let tls = root.trusted().server_name(name).danger_accept_any_certificate();
        let socket = connect(&tls, "127.0.0.1", port).await.unwrap();
        let information = socket.information();
        let tls = information.tls().unwrap();
        assert!(tls.certificates[0] == leaves[shown], "{name}");
        assert_eq!(tls.server_name.as_deref().map(str::to_lowercase), Some(name.to_lowercase()));
    }
    // The name asked for is the one that is checked, and an address is not asked for.
    connect(&root.trusted().server_name("two.wild.example"), "127.0.0.1", port).await.unwrap();
    let error = connect(&root.trusted(), "127.0.0.1", port).await.unwrap_err();
    assert_eq!(error.certificate_errors(), [wsduo::CertificateError::InvalidName]);
    let none = connect(&root.trusted().server_name("not a name"), "127.0.0.1", port).await;
    assert_eq!(kind(none), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn certificates_are_replaced_without_a_restart() {
    let (old_root, new_root) = (Authority::new("old"), Authority::new("new"));
    let tls = ServerTls::new(old_root.issue(&params("localhost")));
    let port = serve(tls.clone()).await;
    let mut old = connect(&old_root.trusted(), "localhost", port).await.unwrap();
    tls.replace(&ServerTls::new(new_root.issue(&params("localhost")))).unwrap();
    connect(&new_root.trusted(), "localhost", port).await.unwrap();
    assert_eq!(kind(connect(&old_root.trusted(), "localhost", port).await), ErrorKind::Tls);
    old.send("still here").await.unwrap();
    assert_eq!(old.receive().await.unwrap(), Some(text("still here")));

    // What cannot be used changes nothing.
    let unusable = ServerTls::new(old_root.issue(&params("localhost")))
        .require_client_certificate("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n")
        .unwrap();
    assert_eq!(kind(tls.replace(&unusable)), ErrorKind::InvalidInput);
    assert_eq!(kind(Listener::bind("127.0.0.1:0").tls(unusable).await), ErrorKind::InvalidInput);
    connect(&new_root.trusted(), "localhost", port).await.unwrap();
}

#[tokio::test]
async fn the_least_version_is_kept() {
    let root = Authority::new("root");
    let server = ServerTls::new(root.issue(&params("localhost"))).min_version(TlsVersion::V1_3);
    let (seen, client) = meet(&server, &root.trusted().min_version(TlsVersion::V1_3)).await;
    assert_eq!(seen.unwrap().version, "TLSv1.3");
    client.unwrap();
}

/// Peers that speak TLS 1.2 and nothing later.
#[tokio::test]
async fn an_older_version_than_the_least_is_refused() {
    let root = Authority::new("root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = root.issue_key(&params("localhost"), &key).der().clone();
    let old_server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf], key.serialize_der().try_into().unwrap())
        .unwrap();
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = tcp.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(old_server));
    let serving = async { acceptor.accept(tcp.accept().await.unwrap().0).await.map(drop) };
    let client = root.trusted().min_version(TlsVersion::V1_3);
    let (error, served) = tokio::join!(connect(&client, "localhost", port), serving);
    served.unwrap_err();
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls);
    assert!(error.to_string().contains("no version of TLS is common"), "{error}");

    let old_client = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let server = ServerTls::new(root.issue(&params("localhost"))).min_version(TlsVersion::V1_3);
    let listener = Listener::bind("127.0.0.1:0").tls(server).await.unwrap();
    let tcp = tokio::net::TcpStream::connect(listener.local_address().unwrap()).await.unwrap();
    let connector = TlsConnector::from(Arc::new(old_client));
    let connecting = async { connector.connect("localhost".try_into().unwrap(), tcp).await.map(drop) };
    let (error, connected) = tokio::join!(async { listener.accept().await.request().await }, connecting);
    connected.unwrap_err();
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls);
    assert!(error.to_string().contains("its TLS is older than the least version allowed here"), "{error}");
}

#[tokio::test]
async fn alpn_is_http_1_1_unless_set() {
    let root = Authority::new("root");
    let identity = root.issue(&params("localhost"));
    let server = ServerTls::new(identity.clone());
    let agreed = async |server: &ServerTls, client: &ClientTls| meet(server, client).await.0.unwrap().alpn;
    let none = || std::iter::empty::<Vec<u8>>();
    assert_eq!(agreed(&server, &root.trusted()).await.as_deref(), Some("http/1.1"));
    assert_eq!(agreed(&server, &root.trusted().alpn(none())).await, None);
    assert_eq!(agreed(&server.clone().alpn(none()), &root.trusted()).await, None);
    let special = server.clone().alpn(["b", "a"]);
    assert_eq!(agreed(&special, &root.trusted().alpn(["a", "b"])).await.as_deref(), Some("b"));

    let (seen, client) = meet(&server.alpn(["h2"]), &root.trusted()).await;
    assert!(seen.unwrap_err().to_string().contains("ALPN"));
    let error = client.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls);
    assert!(error.to_string().contains("none of the protocols offered by ALPN"), "{error}");
    // A server that does not know of ALPN is fine.
    connect(&root.trusted(), "localhost", serve(ServerTls::new(identity).alpn(none())).await).await.unwrap();
}
