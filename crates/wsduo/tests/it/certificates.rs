//! Certificates of servers: each thing that can be wrong with one is found, named, and let pass where that is asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyPair};
use rcgen::{NameConstraints, date_time_ymd};
use wsduo::CertificateError::{
    BasicConstraintsError, Expired, IncompleteChain, InvalidCertificateAuthorityPolicy, InvalidName,
    InvalidSignature, Untrusted, WrongUsage,
};
use wsduo::WebErrorStatus as Status;
use wsduo::{
    CertificateError, CertificateErrorSeverity, ClientTls, Error, ErrorKind, Identity, Listener,
    MessageWebSocket, MessageWebSocketControl,
};

use crate::authority::{Authority, params, self_signed, serve};
use crate::support::{kind, text};

/// By `openssl x509 -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256`.
const FIXTURE_PIN: [u8; 32] = [
    0x33, 0x3b, 0x90, 0x65, 0xe0, 0x39, 0x9f, 0xf4, 0x38, 0x97, 0xac, 0x91, 0x9f, 0x26, 0x57, 0x44, 0xd6,
    0x78, 0x69, 0x1f, 0x95, 0x13, 0x7f, 0x77, 0x0b, 0x60, 0xfd, 0xa0, 0x0d, 0x84, 0x2a, 0xbd,
];

async fn connect(tls: &ClientTls, host: &str, port: u16) -> Result<MessageWebSocket, Error> {
    MessageWebSocketControl::new().tls(tls.clone()).connect(&format!("wss://{host}:{port}/")).await
}

fn ignorable() -> Vec<CertificateError> {
    CertificateError::ALL.into_iter().filter(|error| error.is_ignorable()).collect()
}

/// What a client makes of a server that shows this: these errors, the worst first, and what is said of them.
#[track_caller]
fn check(
    identity: Identity,
    tls: ClientTls,
    expected: &'static [CertificateError],
    said: &'static str,
) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let port = serve(identity).await;
        let error = connect(&tls, "localhost", port).await.unwrap_err();
        assert_eq!(error.certificate_errors(), expected, "{caller}: {error}");
        assert_eq!(error.kind(), ErrorKind::Tls);
        let shown = error.to_string();
        assert!(
            shown.starts_with("TLS with localhost failed: ") && shown.contains(said),
            "{caller}: {shown}"
        );
        assert!(!shown.chars().any(char::is_control) && !shown.contains("insecure"), "{shown}");
        let (status, hresult) = match expected[0] {
            InvalidName => (Status::CertificateCommonNameIsIncorrect, 0x8007_2F06),
            Expired => (Status::CertificateExpired, 0x8007_2F05),
            Untrusted | IncompleteChain => (Status::CertificateIsInvalid, 0x8007_2F0D),
            _ => (Status::CertificateContainsErrors, 0x8007_2F17),
        };
        assert_eq!((error.web_error_status(), error.hresult().0), (status, hresult), "{caller}");

        // Any of it that is not ignored is enough to fail.
        for kept in expected {
            let others = ignorable().into_iter().filter(|error| error != kept);
            let error = connect(&tls.clone().ignore(others), "localhost", port).await.unwrap_err();
            assert_eq!(error.certificate_errors(), expected, "{caller}: {error}");
        }
        if expected.iter().all(|error| error.is_ignorable()) {
            // Twice: the second time the session may be resumed, and the certificate is not shown again.
            let ignoring = tls.clone().ignore(expected.iter().copied());
            for _ in 0..2 {
                let mut socket = connect(&ignoring, "localhost", port).await.unwrap();
                socket.send("let through").await.unwrap();
                assert_eq!(socket.receive().await.unwrap(), Some(text("let through")));
                let information = socket.information();
                let seen = information.tls().unwrap();
                assert_eq!(seen.certificate_errors, expected, "{caller}");
                assert_eq!(seen.certificate_error_severity(), CertificateErrorSeverity::Ignorable);
            }
        } else {
            let ignoring = tls.clone().ignore(ignorable());
            assert_eq!(kind(connect(&ignoring, "localhost", port).await), ErrorKind::Tls, "{caller}");
        }
        let any = tls.danger_accept_any_certificate();
        let socket = connect(&any, "localhost", port).await.unwrap();
        assert_eq!(socket.information().tls().unwrap().certificate_errors, expected, "{caller}");
    }
}

fn expired(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(2001, 2, 3);
    params
}

#[tokio::test]
async fn a_good_certificate_has_no_errors() {
    let root = Authority::new("root");
    let middle = root.below("middle");
    for identity in [root.issue(&params("localhost")), middle.issue_with(&params("localhost"), &[&middle])] {
        let port = serve(identity).await;
        let socket = connect(&root.trusted(), "localhost", port).await.unwrap();
        let information = socket.information();
        let tls = information.tls().unwrap();
        assert_eq!(tls.certificate_error_severity(), CertificateErrorSeverity::None);
        assert_eq!((tls.alpn.as_deref(), tls.server_name.as_deref()), (Some("http/1.1"), Some("localhost")));
    }
}

#[tokio::test]
async fn expired_or_not_yet_valid() {
    let root = Authority::new("root");
    check(root.issue(&expired("localhost")), root.trusted(), &[Expired], "expired on 2001-02-03").await;
    let mut future = params("localhost");
    future.not_before = date_time_ymd(3000, 1, 2);
    check(root.issue(&future), root.trusted(), &[Expired], "not valid before 3000-01-02").await;
    // An authority in between.
    let mut old = expired("middle");
    old.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let middle = root.below_with(old);
    let identity = middle.issue_with(&params("localhost"), &[&middle]);
    check(identity, root.trusted(), &[Expired], "expired on 2001-02-03").await;
}

#[tokio::test]
async fn self_signed_or_of_an_unknown_authority() {
    let (root, other) = (Authority::new("root"), Authority::new("other"));
    check(self_signed(&params("localhost")), root.trusted(), &[Untrusted], "is self-signed").await;
    // What tools make when asked for a self-signed certificate.
    let mut authority = params("localhost");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    check(self_signed(&authority), root.trusted(), &[Untrusted], "is self-signed").await;
    check(
        other.issue(&params("localhost")),
        root.trusted(),
        &[IncompleteChain],
        "issuer of its certificate, \"CN=other\"",
    )
    .await;
    let shown = other.issue_with(&params("localhost"), &[&other]);
    check(shown, root.trusted(), &[Untrusted], "comes from \"CN=other\"").await;
    let middle = other.below("middle");
    let shown = middle.issue_with(&params("localhost"), &[&middle]);
    check(shown, root.trusted(), &[IncompleteChain], "ends at \"CN=other\"").await;
    // An authority that goes by the name of a trusted one.
    let impostor = Authority::new("root");
    let shown = impostor.issue_with(&params("localhost"), &[&impostor]);
    check(shown, root.trusted(), &[Untrusted], "comes from \"CN=root\"").await;
}

#[tokio::test]
async fn for_another_name() {
    let root = Authority::new("root");
    let said = "its certificate is for \"other.example\", not for localhost";
    check(root.issue(&params("other.example")), root.trusted(), &[InvalidName], said).await;
    check(root.issue(&params("127.0.0.1")), root.trusted(), &[InvalidName], "is for \"127.0.0.1\"").await;
}

#[tokio::test]
async fn for_another_use() {
    let root = Authority::new("root");
    let mut client = params("localhost");
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    check(root.issue(&client), root.trusted(), &[WrongUsage], "not made for servers").await;
}

#[tokio::test]
async fn several_errors_are_all_found() {
    let (root, other) = (Authority::new("root"), Authority::new("other"));
    let mut all = expired("other.example");
    all.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    check(root.issue(&expired("other.example")), root.trusted(), &[InvalidName, Expired], "; also, ").await;
    let expected = &[WrongUsage, Untrusted, InvalidName, Expired];
    check(other.issue_with(&all, &[&other]), root.trusted(), expected, "; also, ").await;
    check(self_signed(&expired("localhost")), root.trusted(), &[Untrusted, Expired], "; also, ").await;
    let mut authority = expired("other.example");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    check(self_signed(&authority), root.trusted(), &[Untrusted, InvalidName, Expired], "; also, ").await;
}

/// The identity of a server whose certificate was altered after it was signed.
fn forged(root: &Authority, name: &str, shows_root: bool) -> Identity {
    let key = KeyPair::generate().unwrap();
    let made = root.issue_key(&params(name), &key);
    let mut der = made.der().to_vec();
    let last = der.len() - 1;
    der[last] ^= 1;
    let mut pem = pem(&der);
    if shows_root {
        pem.push_str(&root.pem());
    }
    Identity::from_pem(pem, key.serialize_pem()).unwrap()
}

fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[tokio::test]
async fn a_wrong_signature_never_passes() {
    let (root, other) = (Authority::new("root"), Authority::new("other"));
    let forgery = forged(&root, "localhost", false);
    check(forgery, root.trusted(), &[InvalidSignature], "signature").await;
    let forgery = forged(&root, "localhost", true);
    check(forgery, root.trusted(), &[InvalidSignature], "signature").await;
    // Nor is it hidden by an authority that nobody trusts.
    let forgery = forged(&other, "localhost", true);
    check(forgery, root.trusted(), &[InvalidSignature], "signature").await;
}

#[tokio::test]
async fn an_authority_without_the_right_to_be_one_never_passes() {
    let root = Authority::new("root");
    let none = root.below_with(params("none"));
    let chain = none.issue_with(&params("localhost"), &[&none]);
    check(chain, root.trusted(), &[BasicConstraintsError], "authority").await;
    let mut bounded = params("bounded");
    bounded.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    bounded.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("example.org".into())],
        excluded_subtrees: Vec::new(),
    });
    let bounded = root.below_with(bounded);
    let chain = bounded.issue_with(&params("localhost"), &[&bounded]);
    check(chain, root.trusted(), &[InvalidCertificateAuthorityPolicy], "not allowed").await;
}

#[tokio::test]
async fn a_self_signed_certificate_that_is_trusted_by_itself_is_good() {
    let mut authority = params("localhost");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    for params in [params("localhost"), authority] {
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let port = serve(Identity::from_pem(&pem, key.serialize_pem()).unwrap()).await;
        let tls = ClientTls::new().add_roots(&pem).unwrap();
        connect(&tls, "localhost", port).await.unwrap();
        let error = connect(&tls, "127.0.0.1", port).await.unwrap_err();
        assert_eq!(error.certificate_errors(), [InvalidName], "{error}");
    }
}

#[tokio::test]
async fn only_ignorable_errors_can_be_ignored() {
    for error in CertificateError::ALL {
        let control = MessageWebSocketControl::new().tls(ClientTls::new().ignore([error]));
        // Nothing listens there.
        let failed = control.connect("wss://127.0.0.1:1/").await.unwrap_err();
        let expected = if error.is_ignorable() { ErrorKind::Connect } else { ErrorKind::InvalidInput };
        assert_eq!(failed.kind(), expected, "{failed}");
    }
    let fatal = ClientTls::new().ignore([CertificateError::Revoked]).prepared().unwrap_err();
    let text = fatal.to_string();
    assert!(text.contains("Revoked cannot be ignored") && text.contains("only Untrusted"), "{text}");
}

#[tokio::test]
async fn the_validation_sees_what_the_server_showed() {
    let root = Authority::new("root");
    let middle = root.below("middle");
    let identity = middle.issue_with(&expired("localhost"), &[&middle]);
    let shown: Vec<Vec<u8>> = identity.certificates().map(<[u8]>::to_vec).collect();
    let port = serve(identity).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let validating = |tls: ClientTls| {
        let (asked, shown) = (Arc::clone(&asked), shown.clone());
        tls.validate(move |certificate| {
            asked.fetch_add(1, Ordering::Relaxed);
            assert_eq!(certificate.host(), "localhost");
            assert_eq!(certificate.leaf(), shown[0]);
            assert!(certificate.intermediates().eq([&shown[1][..]]));
            assert_eq!(certificate.errors(), [Expired]);
            assert_eq!(certificate.severity(), CertificateErrorSeverity::Ignorable);
            async {
                tokio::task::yield_now().await;
                Ok::<(), &str>(())
            }
        })
    };
    connect(&validating(root.trusted().ignore([Expired])), "localhost", port).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    // It can only tighten: what the other checks refuse, it is not asked about.
    let error = connect(&validating(root.trusted()), "localhost", port).await.unwrap_err();
    assert_eq!((error.certificate_errors(), asked.load(Ordering::Relaxed)), (&[Expired][..], 1));
    assert_eq!(error.certificates(), shown);
}

#[tokio::test]
async fn what_the_validation_rejects_gets_no_request() {
    let root = Authority::new("root");
    let listener = Listener::bind("127.0.0.1:0").tls(root.issue(&params("localhost"))).await.unwrap();
    let port = listener.local_address().unwrap().port();
    let tls = root.trusted().validate(|_| async { Err("not the one we know") });
    // A request would leave the client waiting for its answer.
    let control = MessageWebSocketControl::new().tls(tls).connect_timeout(Duration::from_secs(5));
    let uri = format!("wss://localhost:{port}/");
    let (client, server) =
        tokio::join!(control.connect(&uri), async { listener.accept().await.request().await });
    assert_eq!(kind(server), ErrorKind::Connect);
    let error = client.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CertificateRejected);
    assert_eq!(error.web_error_status(), Status::CertificateIsInvalid);
    assert_eq!(error.hresult().to_string(), "0x800C000E");
    assert!(error.to_string().ends_with("not the one we know"), "{error}");
}

#[tokio::test]
async fn the_validation_has_as_long_as_connecting() {
    let root = Authority::new("root");
    let port = serve(root.issue(&params("localhost"))).await;
    let tls = root.trusted().validate(|_| std::future::pending::<Result<(), String>>());
    let control = MessageWebSocketControl::new().tls(tls).connect_timeout(Duration::from_millis(300));
    let error = control.connect(&format!("wss://localhost:{port}/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[tokio::test]
async fn a_pin_is_the_sha_256_of_the_public_key() {
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/");
    let file = |name: &str| std::fs::read(format!("{fixture}{name}")).unwrap();
    let identity = Identity::from_pem(file("client.pem"), file("client.key")).unwrap();
    let port = serve(identity).await;
    let trusting = ClientTls::new().add_roots(file("authority.pem")).unwrap().only_added_roots();
    connect(&trusting.clone().pin_sha256([7; 32]).pin_sha256(FIXTURE_PIN), "localhost", port).await.unwrap();

    for tls in [trusting.clone(), trusting.danger_accept_any_certificate()] {
        let error = connect(&tls.pin_sha256([7; 32]), "localhost", port).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CertificateRejected);
        assert_eq!(
            (error.web_error_status(), error.hresult().0),
            (Status::CertificateIsInvalid, 0x800C_000E)
        );
        let hex: String = FIXTURE_PIN.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(error.to_string().contains(&hex), "{error}");
    }
}
