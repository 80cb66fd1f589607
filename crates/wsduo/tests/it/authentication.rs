//! A server that asks who we are (RFC 9110 §11, RFC 7616, RFC 7617).

use http_auth::{DigestClient, PasswordParams, parse_challenges};
use wsduo::{Credential, ErrorKind, MessageWebSocketControl};

use crate::http_server::{HttpServer, OPEN, header, redirect, refusal};
use crate::support::control;

/// Of "Aladdin" and "open sesame": the example of RFC 7617 §2.
const BASIC: &str = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";

fn ours() -> MessageWebSocketControl {
    control().credential(Credential::new("Aladdin", "open sesame"))
}

fn challenge(challenges: &[&str]) -> String {
    let headers: String = challenges.iter().map(|value| format!("WWW-Authenticate: {value}\r\n")).collect();
    refusal("401 Unauthorized", &headers, "who are you?")
}

/// What a client answers to these challenges.
async fn answer(challenges: &[&str]) -> String {
    let mut server = HttpServer::answering(&[challenge(challenges), OPEN.into()]).await;
    ours().connect(&server.uri("/chat?room=1")).await.unwrap();
    let heads = server.take_heads();
    assert_eq!(header(&heads[0], "authorization"), None, "nobody had asked");
    assert_eq!(heads[0].lines().next(), heads[1].lines().next());
    header(&heads[1], "authorization").unwrap().to_owned()
}

/// Expects the answer to be the right one to this Digest challenge (RFC 7616 §3.4).
#[track_caller]
fn answers(answer: &str, challenge: &str) {
    let cnonce = answer.split_once("cnonce=\"").unwrap().1.split('"').next().unwrap();
    assert!(cnonce.len() >= 16, "{answer}");
    let mut digest = DigestClient::try_from(&parse_challenges(challenge).unwrap()[0]).unwrap();
    let params = PasswordParams {
        username: "Aladdin",
        password: "open sesame",
        uri: "/chat?room=1",
        method: "GET",
        body: answer.contains("auth-int").then_some(b""),
    };
    assert_eq!(answer, digest.respond_with_testing_cnonce(&params, cnonce).unwrap());
}

#[tokio::test]
async fn basic_is_answered() {
    assert_eq!(answer(&["Basic realm=\"WallyWorld\""]).await, BASIC);
    assert_eq!(answer(&["basic realm=x, charset=\"UTF-8\""]).await, BASIC);
    assert_eq!(answer(&["Basic"]).await, BASIC);
}

#[tokio::test]
async fn digest_is_answered_with_each_algorithm() {
    for algorithm in
        ["", ", algorithm=MD5", ", algorithm=SHA-256", ", algorithm=SHA-512-256", ", algorithm=SHA-256-sess"]
    {
        for qop in ["auth", "auth, auth-int", "auth-int"] {
            let challenge =
                format!(r#"Digest realm="a \"b\"", nonce="n/1=", qop="{qop}", opaque="o"{algorithm}"#);
            answers(&answer(&[&challenge]).await, &challenge);
        }
    }
}

#[tokio::test]
async fn each_answer_has_a_nonce_of_its_own() {
    let challenge = r#"Digest realm="a", nonce="b", qop="auth", algorithm=SHA-256"#;
    assert_ne!(answer(&[challenge]).await, answer(&[challenge]).await);
}

#[tokio::test]
async fn of_several_challenges_the_strongest_is_answered() {
    let md5 = r#"Digest realm="a", nonce="b", qop="auth", algorithm=MD5"#;
    let sha256 = r#"Digest realm="c", nonce="d", qop="auth", algorithm=SHA-256"#;
    let other = "Negotiate";
    let unknown = r#"Digest realm="a", nonce="b", qop="auth", algorithm=SHA3"#;
    for challenges in [
        vec![other, "Basic realm=\"x\"", md5, sha256],
        vec![sha256, md5, "Basic realm=\"x\"", other],
        vec![&format!("{other}, Basic realm=\"x\", {md5}, {sha256}")],
    ] {
        answers(&answer(&challenges).await, sha256);
    }
    answers(&answer(&["Basic realm=\"x\"", md5, unknown]).await, md5);
    assert_eq!(answer(&[other, unknown, "Basic realm=\"x\""]).await, BASIC);
    // A header that does not follow the grammar does not hide the others.
    assert_eq!(answer(&["Digest realm=\"", "=,=", "Basic realm=\"x\""]).await, BASIC);
}

#[tokio::test]
async fn a_credential_is_tried_once() {
    for challenges in [&["Basic realm=\"x\""][..], &[r#"Digest realm="a", nonce="b", qop="auth""#]] {
        let mut server = HttpServer::answering(&vec![challenge(challenges); 9]).await;
        let error = ours().connect(&server.uri("/")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert_eq!(error.refusal().unwrap().status, 401);
        assert_eq!(error.refusal().unwrap().body, b"who are you?");
        assert!(error.to_string().ends_with("; the credential was not accepted"), "{error}");
        assert!(!format!("{error} {error:?}").contains("sesame"));
        assert_eq!(server.take_heads().len(), 2);
    }
}

#[tokio::test]
async fn a_scheme_that_is_not_known_is_reported_with_the_status() {
    for challenges in
        [&["Negotiate"][..], &["Bearer realm=\"x\", NTLM"], &[], &["Digest realm=\"x\""], &["\u{7f}"]]
    {
        let mut server = HttpServer::answering(&[challenge(challenges), OPEN.into()]).await;
        let error = ours().connect(&server.uri("/")).await.unwrap_err();
        if server.take_heads().len() == 1 && error.kind() == ErrorKind::Handshake {
            continue; // a control character is no header
        }
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().contains("Basic and Digest are known"), "{error}");
        assert_eq!(error.refusal().unwrap().status, 401);
    }
}

#[tokio::test]
async fn a_403_is_no_challenge() {
    let refused = refusal("403 Forbidden", "WWW-Authenticate: Basic realm=\"x\"\r\n", "");
    let mut server = HttpServer::answering(&[refused, OPEN.into()]).await;
    let error = ours().connect(&server.uri("/")).await.unwrap_err();
    assert_eq!(error.refusal().unwrap().status, 403);
    assert_eq!(server.take_heads().len(), 1);
}

#[tokio::test]
async fn a_407_of_a_server_gets_no_answer() {
    let refused = refusal("407 Proxy", "Proxy-Authenticate: Basic realm=\"x\"\r\n", "");
    let mut server = HttpServer::answering(&[refused, OPEN.into()]).await;
    let error = ours().connect(&server.uri("/")).await.unwrap_err();
    assert_eq!(error.refusal().unwrap().status, 407);
    assert_eq!(server.take_heads().len(), 1);
}

#[tokio::test]
async fn without_a_credential_a_401_is_a_refusal() {
    let mut server = HttpServer::answering(&[challenge(&["Basic realm=\"x\""]), OPEN.into()]).await;
    let error = control().connect(&server.uri("/")).await.unwrap_err();
    assert_eq!(error.refusal().unwrap().status, 401);
    assert_eq!(server.take_heads().len(), 1);
}

#[tokio::test]
async fn a_user_name_with_a_colon_cannot_be_said_in_basic() {
    let server = HttpServer::answering(&[challenge(&["Basic realm=\"x\""])]).await;
    let control = control().credential(Credential::new("a:b", "sesame"));
    let error = control.connect(&server.uri("/")).await.unwrap_err();
    assert!(error.to_string().contains("has a colon"), "{error}");
    assert!(!error.to_string().contains("sesame"));
}

#[tokio::test]
async fn a_header_of_the_caller_gives_way_to_the_answer() {
    let mut server = HttpServer::answering(&[challenge(&["Basic realm=\"x\""]), OPEN.into()]).await;
    ours().header("authorization", "Bearer old").connect(&server.uri("/")).await.unwrap();
    let heads = server.take_heads();
    assert_eq!(header(&heads[0], "authorization"), Some("Bearer old"));
    assert_eq!(header(&heads[1], "authorization"), Some(BASIC));
    assert_eq!(heads[1].matches("uthorization").count(), 1);
}

#[tokio::test]
async fn behind_a_redirect_on_the_same_server_the_answer_is_made_anew() {
    let digest = r#"Digest realm="a", nonce="b", qop="auth""#;
    let answers = [challenge(&[digest]), redirect("/x"), challenge(&[digest]), OPEN.into()];
    let mut server = HttpServer::answering(&answers).await;
    ours().redirects(5).connect(&server.uri("/")).await.unwrap();
    let heads = server.take_heads();
    assert_eq!(heads.len(), 4);
    assert!(header(&heads[1], "authorization").unwrap().contains("uri=\"/\""));
    assert_eq!(header(&heads[2], "authorization"), None);
    assert!(header(&heads[3], "authorization").unwrap().contains("uri=\"/x\""));
}

#[test]
fn a_credential_does_not_show_its_password() {
    let shown = format!("{:?} {:?}", Credential::new("ada", "sesame"), ours());
    assert!(shown.contains("ada") && !shown.contains("sesame"), "{shown}");
}
