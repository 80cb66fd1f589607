//! Proxies that others wrote, started here: tinyproxy, microsocks, Dante. And an `https` proxy, which none of these is.
//!
//! Where one is not installed its test says so and passes, unless `WSDUO_REAL_PROXIES` is set, as it is in CI.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wsduo::{ClientTls, Error, ErrorKind, Identity, Listener, MessageWebSocketControl, Proxy};

use crate::support::{control, text};

/// A proxy that does not outlive its test.
struct Running {
    child: Child,
    address: SocketAddr,
    configuration: Option<PathBuf>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(path) = &self.configuration {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The program, or `None` where it is not installed and need not be.
fn find(program: &str, package: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = folders.map(|folder| folder.join(program)).find(|path| path.is_file());
    if found.is_none() {
        let missing = format!("{program} is not installed (Debian: apt-get install {package})");
        assert!(std::env::var_os("WSDUO_REAL_PROXIES").is_none(), "{missing}");
        eprintln!("skipped: {missing}");
    }
    found
}

/// An address where nobody listens.
async fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// Starts a program and waits until it listens.
async fn start(mut command: Command, address: SocketAddr, configuration: Option<PathBuf>) -> Running {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut running = Running { child, address, configuration };
    for _ in 0..500 {
        if TcpStream::connect(address).await.is_ok() {
            return running;
        }
        assert!(running.child.try_wait().unwrap().is_none(), "{command:?} ended at once");
        // Another process: nothing else tells when it is ready.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{command:?} does not listen on {address}");
}

fn write_configuration(name: &str, address: SocketAddr, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("wsduo-{name}-{}-{}", std::process::id(), address.port()));
    std::fs::write(&path, text).unwrap();
    path
}

async fn tinyproxy(settings: &str) -> Option<Running> {
    let program = find("tinyproxy", "tinyproxy-bin")?;
    let address = free_address().await;
    let text = format!("Listen {}\nPort {}\nAllow 127.0.0.1\n{settings}\n", address.ip(), address.port());
    let path = write_configuration("tinyproxy", address, &text);
    let mut command = Command::new(program);
    command.arg("-d").arg("-c").arg(&path);
    Some(start(command, address, Some(path)).await)
}

async fn microsocks(arguments: &[&str]) -> Option<Running> {
    let program = find("microsocks", "microsocks")?;
    let address = free_address().await;
    let mut command = Command::new(program);
    command.args(["-i", "127.0.0.1", "-p", &address.port().to_string()]).args(arguments);
    Some(start(command, address, None).await)
}

async fn dante() -> Option<Running> {
    let program = find("danted", "dante-server")?;
    let address = free_address().await;
    let text = format!(
        "internal: 127.0.0.1 port = {}\nexternal: lo\nclientmethod: none\nsocksmethod: none\n\
         client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}\n\
         socks pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}\n",
        address.port()
    );
    let path = write_configuration("danted", address, &text);
    let mut command = Command::new(program);
    command.arg("-f").arg(&path);
    Some(start(command, address, Some(path)).await)
}

/// A server with and one without TLS, and what it takes to reach them.
struct Servers {
    plain: Listener,
    secure: Listener,
    tls: ClientTls,
}

impl Servers {
    async fn start() -> Self {
        let identity = Identity::self_signed(["localhost"]).unwrap();
        let tls = ClientTls::new().add_roots(identity.certificate_pem().unwrap()).unwrap().only_added_roots();
        let plain = Listener::bind("127.0.0.1:0").await.unwrap();
        let secure = Listener::bind("127.0.0.1:0").tls(identity).await.unwrap();
        Self { plain, secure, tls }
    }

    /// A message there and back, with and without TLS.
    async fn echo_through(&self, proxy: &Proxy) -> Result<(), Error> {
        let control = control().proxy(proxy.clone()).tls(self.tls.clone());
        for (listener, scheme) in [(&self.plain, "ws"), (&self.secure, "wss")] {
            let uri = format!("{scheme}://localhost:{}/", listener.local_address().unwrap().port());
            let serving = async {
                let request = listener.accept().await.request().await?;
                assert!(request.headers().keys().all(|name| !name.as_str().contains("auth")));
                let mut socket = request.accept_message(&MessageWebSocketControl::new()).await?;
                if let Some(message) = socket.receive().await? {
                    socket.send(message).await?;
                }
                socket.receive().await.map(|_| ())
            };
            let using = async {
                let mut socket = control.connect(&uri).await?;
                socket.send("hello").await?;
                assert_eq!(socket.receive().await?, Some(text("hello")));
                socket.close(wsduo::CloseCode::NORMAL, "").await.map(|_| ())
            };
            // A proxy that refuses leaves the server waiting.
            tokio::select! {
                result = using => result?,
                result = serving => result?,
            }
        }
        Ok(())
    }

    async fn refused_by(&self, proxy: &str) -> Error {
        let error = self.echo_through(&Proxy::new(proxy).unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Proxy, "{error}");
        assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        error
    }
}

#[tokio::test]
async fn tinyproxy_opens_tunnels() {
    let Some(proxy) = tinyproxy("").await else { return };
    let servers = Servers::start().await;
    servers.echo_through(&Proxy::new(&format!("http://{}", proxy.address)).unwrap()).await.unwrap();
    // Where nobody listens.
    let gone = free_address().await;
    let through = control().proxy(Proxy::new(&proxy.address.to_string()).unwrap());
    let error = through.connect(&format!("ws://{gone}/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Proxy);
    assert!(error.refusal().unwrap().status.is_server_error(), "{error}");
}

#[tokio::test]
async fn tinyproxy_asks_for_credentials() {
    let Some(proxy) = tinyproxy("BasicAuth me secret").await else { return };
    let servers = Servers::start().await;
    servers.echo_through(&Proxy::new(&format!("http://me:secret@{}", proxy.address)).unwrap()).await.unwrap();
    // It has a status of its own for those who are not who they say.
    for (user, status) in [("", 407), ("me:wrongsecret@", 401)] {
        let error = servers.refused_by(&format!("http://{user}{}", proxy.address)).await;
        assert!(error.to_string().contains(&format!("proxy answered {status} ")), "{error}");
        assert_eq!(error.refusal().unwrap().status, status);
    }
}

#[tokio::test]
async fn tinyproxy_forbids_other_ports() {
    let Some(proxy) = tinyproxy("ConnectPort 443").await else { return };
    let servers = Servers::start().await;
    let error = servers.refused_by(&format!("http://{}", proxy.address)).await;
    assert!(error.to_string().contains("proxy answered 403 Forbidden"), "{error}");
}

#[tokio::test]
async fn microsocks_opens_tunnels() {
    let Some(proxy) = microsocks(&[]).await else { return };
    let servers = Servers::start().await;
    for scheme in ["socks5", "socks5h"] {
        let proxy = Proxy::new(&format!("{scheme}://{}", proxy.address)).unwrap();
        servers.echo_through(&proxy).await.unwrap();
    }
    let through = control().proxy(Proxy::new(&format!("socks5://{}", proxy.address)).unwrap());
    let error = through.connect(&format!("ws://{}/", free_address().await)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Proxy);
    assert!(error.to_string().contains("code 5: the server refused the connection"), "{error}");
}

#[tokio::test]
async fn microsocks_asks_for_credentials() {
    let Some(proxy) = microsocks(&["-u", "me", "-P", "secret"]).await else { return };
    let servers = Servers::start().await;
    let at = |user: &str| format!("socks5h://{user}{}", proxy.address);
    servers.echo_through(&Proxy::new(&at("me:secret@")).unwrap()).await.unwrap();
    let error = servers.refused_by(&at("me:wrongsecret@")).await;
    assert!(error.to_string().contains("did not accept the user name and password"), "{error}");
    let error = servers.refused_by(&at("")).await;
    assert!(error.to_string().contains("wants to know who is there"), "{error}");
}

#[tokio::test]
async fn dante_opens_tunnels_by_socks_4_and_5() {
    let Some(proxy) = dante().await else { return };
    let servers = Servers::start().await;
    // It does not know 4A.
    for scheme in ["socks4", "socks5", "socks5h"] {
        let through = Proxy::new(&format!("{scheme}://{}", proxy.address)).unwrap();
        servers.echo_through(&through).await.unwrap_or_else(|error| panic!("{scheme}: {error}"));
    }
    for (scheme, expected) in [("socks4", "code 91"), ("socks5", "code 5")] {
        let through = control().proxy(Proxy::new(&format!("{scheme}://{}", proxy.address)).unwrap());
        let error = through.connect(&format!("ws://{}/", free_address().await)).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

/// An HTTP proxy behind TLS, for one connection after the other.
async fn https_proxy(listener: TcpListener, config: rustls::ServerConfig) -> io::Result<()> {
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    loop {
        let (tcp, _) = listener.accept().await?;
        let Ok(mut client) = acceptor.accept(tcp).await else { continue };
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
async fn a_proxy_may_stand_behind_tls() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let proxying = tokio::spawn(https_proxy(listener, config));

    let mut servers = Servers::start().await;
    // The proxy's certificate is checked as the server's is.
    let error = servers.refused_by(&format!("https://localhost:{port}")).await;
    let expected = format!("cannot use the proxy https://localhost:{port}: TLS with localhost failed: ");
    assert!(error.to_string().starts_with(&expected), "{error}");
    servers.tls = servers.tls.add_roots(made.cert.pem()).unwrap();
    servers.echo_through(&Proxy::new(&format!("https://localhost:{port}")).unwrap()).await.unwrap();
    proxying.abort();
}
