//! Redirects: not followed unless asked for, bounded, and with no secret taken elsewhere.

use http::{HeaderMap, HeaderValue, StatusCode};
use rcgen::CertificateParams;
use wsduo::{
    CertificateError, ClientTls, Credential, Error, ErrorKind, Listener, MessageWebSocketControl, ServerTls,
};

use crate::authority::Authority;
use crate::http_server::{HttpServer, OPEN, header, redirect, refusal};
use crate::support::control;

#[track_caller]
fn refused(error: &Error, status: u16, said: &str) {
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert_eq!(error.refusal().unwrap().status, status);
    let text = error.to_string();
    assert!(text.contains(said) && !text.contains(char::is_control), "{said:?} was expected: {text}");
}

fn secretive() -> MessageWebSocketControl {
    let mut key = HeaderValue::from_static("sesame");
    key.set_sensitive(true);
    control()
        .header("authorization", "Bearer sesame")
        .header("cookie", "session=sesame")
        .header("x-key", key)
        .header("x-harmless", "yes")
        .credential(Credential::new("ada", "sesame"))
}

#[tokio::test]
async fn a_redirect_is_not_followed_by_default() {
    let mut server = HttpServer::answering(&[redirect("/elsewhere"), OPEN.into()]).await;
    let error = control().connect(&server.uri("/")).await.unwrap_err();
    refused(&error, 302, r#"with location "/elsewhere""#);
    assert_eq!(server.take_heads().len(), 1);
}

#[tokio::test]
async fn redirects_are_followed_where_asked_for() {
    for status in ["301 M", "302 F", "303 S", "307 T", "308 P"] {
        let moved = |location: &str| refusal(status, &format!("Location: {location}\r\n"), "moved");
        let mut second = HttpServer::answering(&[moved("b?c"), OPEN.into()]).await;
        let mut first = HttpServer::answering(&[moved("/x/y"), moved(&second.uri("/a/"))]).await;
        let socket = control().subprotocols(["p"]).redirects(5).connect(&first.uri("/")).await.unwrap();
        assert_eq!(socket.information().uri(), Some(&second.uri("/a/b?c")[..]));
        let (first, second) = (first.take_heads(), second.take_heads());
        assert!(first[0].starts_with("GET / ") && first[1].starts_with("GET /x/y "), "{first:?}");
        assert!(second[0].starts_with("GET /a/ ") && second[1].starts_with("GET /a/b?c "), "{second:?}");
        let host = second[1].lines().find_map(|line| line.strip_prefix("Host: ")).unwrap();
        assert!(socket.information().uri().unwrap().contains(host));
        assert_eq!(header(&second[1], "sec-websocket-protocol"), Some("p"));
    }
}

#[tokio::test]
async fn a_server_that_knows_only_http_redirects_to_http() {
    let mut second = HttpServer::answering(&[OPEN.into()]).await;
    let location = second.uri("/x").replace("ws://", "http://");
    let first = HttpServer::answering(&[redirect(&location)]).await;
    let socket = control().redirects(1).connect(&first.uri("/")).await.unwrap();
    assert_eq!(socket.information().uri(), Some(&second.uri("/x")[..]));
    assert_eq!(second.take_heads().len(), 1);
}

#[tokio::test]
async fn a_loop_of_redirects_ends_at_the_limit() {
    for (limit, requests) in [(1, 2), (5, 6)] {
        let mut server = HttpServer::answering(&vec![redirect("/again"); 50]).await;
        let error = control().redirects(limit).connect(&server.uri("/")).await.unwrap_err();
        refused(&error, 302, &format!("{limit} redirects were followed, the limit"));
        assert_eq!(server.take_heads().len(), requests);
    }
}

#[tokio::test]
async fn a_redirect_to_anything_but_a_websocket_is_not_followed() {
    for (location, said) in [
        ("file:///etc/passwd", "a redirect to file is not followed; only ws, wss, http and https are"),
        ("ftp://127.0.0.1/", "a redirect to ftp is not followed"),
        ("javascript:alert(1)", "a redirect to javascript is not followed"),
        ("ws://", "does not lead to a URI"),
        ("ws://user:pass@127.0.0.1/", "user name or password"),
        ("ws://127.0.0.1:0/", "port"),
    ] {
        let mut server = HttpServer::answering(&[redirect(location), OPEN.into()]).await;
        let error = control().redirects(5).connect(&server.uri("/")).await.unwrap_err();
        refused(&error, 302, said);
        assert_eq!(server.take_heads().len(), 1);
    }
    let server = HttpServer::answering(&[refusal("302 Found", "", "")]).await;
    let error = control().redirects(5).connect(&server.uri("/")).await.unwrap_err();
    refused(&error, 302, "does not say where to");
}

#[tokio::test]
async fn other_3xx_are_no_redirects() {
    for status in ["300 Multiple Choices", "304 Not Modified", "305 Use Proxy", "306 Switch Proxy"] {
        let mut server = HttpServer::answering(&[refusal(status, "Location: /x\r\n", ""), OPEN.into()]).await;
        let error = control().redirects(5).connect(&server.uri("/")).await.unwrap_err();
        refused(&error, status[..3].parse().unwrap(), &status[..3]);
        assert_eq!(server.take_heads().len(), 1);
    }
}

#[tokio::test]
async fn secrets_stay_with_the_server_they_are_for() {
    let mut server = HttpServer::answering(&[redirect("/x"), OPEN.into()]).await;
    secretive().redirects(5).connect(&server.uri("/")).await.unwrap();
    for head in server.take_heads() {
        assert_eq!(header(&head, "authorization"), Some("Bearer sesame"));
        assert_eq!(header(&head, "cookie"), Some("session=sesame"));
        assert_eq!(header(&head, "x-key"), Some("sesame"));
    }
}

#[test]
fn secrets_are_not_shown() {
    let shown = format!("{:?}", secretive());
    assert!(!shown.contains("sesame") && shown.contains("x-harmless"), "{shown}");
}

#[tokio::test]
async fn what_is_for_a_proxy_is_not_sent_to_the_server() {
    let error =
        control().header("proxy-authorization", "Basic x").connect("ws://a.invalid/").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("use Proxy::credential"), "{error}");
}

#[tokio::test]
async fn secrets_do_not_go_to_another_host() {
    // Another port is another server, and so is the same server by another name.
    let mut other = HttpServer::answering(&[redirect("/further"), OPEN.into()]).await;
    let mut first = HttpServer::answering(&[redirect(&other.uri("/"))]).await;
    secretive().redirects(5).connect(&first.uri("/")).await.unwrap();
    assert!(first.take_heads()[0].contains("sesame"));
    let heads = other.take_heads();
    assert_eq!(heads.len(), 2);
    for head in &heads {
        assert!(!head.contains("sesame"), "{head}");
        assert_eq!(header(head, "x-harmless"), Some("yes"));
    }
}

/// What of the settings of TLS is meant for one server: who we are, and what its certificate may lack.
#[tokio::test]
async fn another_host_sees_no_client_certificate_and_is_forgiven_nothing() {
    let authority = Authority::new("Root");
    let server_for = |name: &str| {
        let named = CertificateParams::new([name.to_owned()]).unwrap();
        let tls = ServerTls::new(authority.issue(&named));
        Listener::bind("127.0.0.1:0").tls(tls.request_client_certificate(authority.pem()).unwrap())
    };
    let trusting = ClientTls::new().add_roots(authority.pem()).unwrap().only_added_roots();
    let me = authority.issue(&CertificateParams::new(["me".to_owned()]).unwrap());
    let control = control().redirects(1).tls(trusting.identity(me).ignore([CertificateError::InvalidName]));
    for (name, is_good) in [("127.0.0.1", true), ("elsewhere.example", false)] {
        let (first, other) =
            (server_for("elsewhere.example").await.unwrap(), server_for(name).await.unwrap());
        let location = format!("wss://127.0.0.1:{}/", other.local_address().unwrap().port());
        let url = format!("wss://127.0.0.1:{}/", first.local_address().unwrap().port());
        let serving = async {
            let request = first.accept().await.request().await?;
            assert_eq!(request.tls().unwrap().certificates.len(), 1, "the first server sees who we are");
            let mut headers = HeaderMap::new();
            headers.insert("location", location.parse().unwrap());
            request.refuse_with(StatusCode::FOUND, &headers, "").await?;
            let request = other.accept().await.request().await?;
            assert!(request.tls().unwrap().certificates.is_empty(), "the other one does not");
            request.accept_message(&MessageWebSocketControl::new()).await
        };
        let (connected, served) = tokio::join!(control.connect(&url), serving);
        match is_good {
            true => {
                connected.unwrap();
                served.unwrap();
            }
            false => assert_eq!(connected.unwrap_err().certificate_errors(), [CertificateError::InvalidName]),
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_redirect_away_from_a_unix_socket_is_not_followed() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let folder = std::env::temp_dir().join(format!("wsduo-redirect-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("socket");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let serving = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 4096];
        assert!(stream.read(&mut head).await.unwrap() > 0);
        stream.write_all(redirect("ws://elsewhere.example/").as_bytes()).await.unwrap();
        stream
    };
    let control = control().redirects(1).unix_socket(&path);
    let (connected, _stream) = tokio::join!(control.connect("ws://server.example/"), serving);
    std::fs::remove_dir_all(&folder).unwrap();
    refused(&connected.unwrap_err(), 302, "away from the server behind a Unix socket");
}

#[tokio::test]
async fn a_server_by_another_name_is_another_server() {
    let mut server = HttpServer::silent().await;
    let by_name = server.uri("/").replace("127.0.0.1", "localhost");
    server.say(&redirect(&by_name));
    server.say(OPEN);
    let socket = secretive().redirects(5).connect(&server.uri("/")).await.unwrap();
    assert_eq!(socket.information().uri(), Some(&by_name[..]));
    let heads = server.take_heads();
    assert!(heads[0].contains("sesame") && !heads[1].contains("sesame"), "{heads:?}");
}

#[tokio::test]
async fn secrets_that_were_left_behind_do_not_come_back() {
    // Another server chose what they would be said to.
    let mut first = HttpServer::silent().await;
    let other = HttpServer::answering(&[redirect(&first.uri("/back"))]).await;
    first.say(&redirect(&other.uri("/")));
    first.say(&refusal("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", ""));
    let error = secretive().redirects(5).connect(&first.uri("/")).await.unwrap_err();
    refused(&error, 401, "the credential is for another server");
    let heads = first.take_heads();
    assert!(heads[1].starts_with("GET /back ") && !heads[1].contains("sesame"), "{heads:?}");
}

#[tokio::test]
async fn a_credential_does_not_answer_another_server() {
    let challenge = refusal("401 Unauthorized", "WWW-Authenticate: Basic realm=\"give me\"\r\n", "");
    let mut other = HttpServer::answering(&[challenge, OPEN.into()]).await;
    let first = HttpServer::answering(&[redirect(&other.uri("/"))]).await;
    let error = secretive().redirects(5).connect(&first.uri("/")).await.unwrap_err();
    refused(&error, 401, "the credential is for another server");
    let heads = other.take_heads();
    assert_eq!(heads.len(), 1);
    assert!(!heads[0].to_ascii_lowercase().contains("authorization"), "{heads:?}");
}

#[tokio::test]
async fn a_redirect_from_wss_to_ws_is_not_followed() {
    use wsduo::{ClientTls, Identity, Listener};

    let mut plain = HttpServer::answering(&[OPEN.into()]).await;
    let identity = Identity::self_signed(["localhost"]).unwrap();
    let tls = ClientTls::new().add_roots(identity.certificate_pem().unwrap()).unwrap();
    for location in [plain.uri("/"), plain.uri("/").replace("ws", "http")] {
        let listener = Listener::bind("127.0.0.1:0").tls(identity.clone()).await.unwrap();
        let uri = format!("wss://localhost:{}/", listener.local_address().unwrap().port());
        let redirecting = async {
            let request = listener.accept().await.request().await.unwrap();
            let mut headers = HeaderMap::new();
            headers.insert("location", location.parse().unwrap());
            request.refuse_with(StatusCode::FOUND, &headers, "").await
        };
        let control = secretive().tls(tls.clone()).redirects(5);
        let (error, _) = tokio::join!(control.connect(&uri), redirecting);
        refused(&error.unwrap_err(), 302, "a redirect from wss to ws is not followed");
    }
    assert!(plain.take_heads().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_total_time_covers_all_redirects() {
    use std::time::Duration;

    use crate::http_server::Then;

    let stuck = HttpServer::answering_and_then(String::new(), Then::Keep).await;
    let server = HttpServer::answering(&[redirect("/x"), redirect(&stuck.uri("/"))]).await;
    let control = control().redirects(5).total_connect_timeout(Duration::from_secs(3));
    let begin = tokio::time::Instant::now();
    let error = control.connect(&server.uri("/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert_eq!(begin.elapsed().as_secs(), 3);
}
