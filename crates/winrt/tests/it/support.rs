//! What the tests of all subjects share: servers, sockets that reach them, and what handlers saw.

use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use wsduo::{
    BoxFuture, BoxedStream, Connector, MessageWebSocket as Peer, MessageWebSocketControl as PeerControl,
    Proxy, Request, RequestControl,
};
use wsduo_winrt::{
    Error, EventToken, HResult, MessageWebSocket, Platform, SocketMessageType, StreamWebSocket,
};

/// Where the server is said to be; nothing is looked up.
pub(crate) const URI: &str = "ws://server.example/";

/// Far longer than any default timeout.
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// Leads every client to a pipe, whose other end comes out here. Time can be stopped: nothing waits for the
/// system.
pub(crate) struct Servers {
    arriving: mpsc::UnboundedReceiver<DuplexStream>,
}

struct Pipes {
    arriving: mpsc::UnboundedSender<DuplexStream>,
    room: usize,
}

impl Connector for Pipes {
    fn connect<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<BoxedStream>> {
        Box::pin(async move {
            let (near, far) = tokio::io::duplex(self.room);
            self.arriving.send(far).map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
            Ok(BoxedStream::new(near))
        })
    }
}

/// A platform on which all servers are [`Servers`].
pub(crate) fn pipes() -> (Platform, Servers) {
    pipes_of(PeerControl::new(), 64 << 10)
}

/// The settings of `wsduo` that lead to the servers of [`pipes`].
pub(crate) fn client_control() -> (PeerControl, Servers) {
    let (sender, arriving) = mpsc::unbounded_channel();
    let control =
        PeerControl::new().connector(Pipes { arriving: sender, room: 64 << 10 }).proxy(Proxy::none());
    (control, Servers { arriving })
}

/// The same with these settings and so many bytes of room in each direction.
pub(crate) fn pipes_of(control: PeerControl, room: usize) -> (Platform, Servers) {
    let (sender, arriving) = mpsc::unbounded_channel();
    let control = control.connector(Pipes { arriving: sender, room });
    (Platform::new().control(control).proxy(Proxy::none()), Servers { arriving })
}

impl Servers {
    /// The next connection, before anything was said.
    pub(crate) async fn transport(&mut self) -> DuplexStream {
        soon(self.arriving.recv()).await.expect("nobody connects any more")
    }

    /// The next request.
    pub(crate) async fn request(&mut self) -> Request<DuplexStream> {
        let transport = self.transport().await;
        soon(Request::from_transport(transport, &RequestControl::new())).await.unwrap()
    }

    /// The next connection, accepted, as the bytes on the wire.
    pub(crate) async fn raw(&mut self) -> DuplexStream {
        let mut transport = self.transport().await;
        let request = soon(Request::from_transport(&mut transport, &RequestControl::new())).await.unwrap();
        drop(soon(request.accept_message(&PeerControl::new())).await.unwrap());
        transport
    }

    /// The next connection, accepted.
    pub(crate) async fn accept(&mut self) -> Peer<DuplexStream> {
        soon(self.request().await.accept_message(&PeerControl::new())).await.unwrap()
    }
}

/// A message socket, what its handlers saw, and the server it is connected to.
pub(crate) async fn connected() -> (MessageWebSocket, Seen, Peer<DuplexStream>) {
    let (platform, mut servers) = pipes();
    let socket = MessageWebSocket::with_platform(&platform);
    let seen = watched(&socket);
    let server = serve(async move { servers.accept().await });
    soon(socket.connect(URI)).await.unwrap();
    (socket, seen, server.await.unwrap())
}

/// A stream socket and the server it is connected to.
pub(crate) async fn streaming() -> (StreamWebSocket, Peer<DuplexStream>) {
    let (platform, mut servers) = pipes();
    let socket = StreamWebSocket::with_platform(&platform);
    let server = serve(async move { servers.accept().await });
    soon(socket.connect(URI)).await.unwrap();
    (socket, server.await.unwrap())
}

/// Something that happens meanwhile.
pub(crate) fn serve<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(future)
}

/// What handlers saw, in a line each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    pub(crate) fn note(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// Waits until there are so many lines, and lets time pass to see that there are no more.
    pub(crate) async fn all(&self, count: usize) -> Vec<String> {
        soon(async {
            while self.lines().len() < count {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.lines()
    }
}

/// Notes what the handlers of the socket are told.
pub(crate) fn watched(socket: &MessageWebSocket) -> Seen {
    let seen = Seen::default();
    watch_messages(socket, &seen).unwrap();
    watch_closed(socket, &seen).unwrap();
    seen
}

pub(crate) fn watch_messages(socket: &MessageWebSocket, seen: &Seen) -> Result<EventToken, Error> {
    let seen = seen.clone();
    socket.message_received(move |_, args| {
        let seen = seen.clone();
        async move {
            let end = if args.is_message_complete() { "" } else { "..." };
            match (args.get_data(), args.message_type()) {
                (Ok(data), SocketMessageType::Utf8) => {
                    seen.note(format!("text {}{end}", String::from_utf8_lossy(&wsduo::Bytes::from(data))));
                }
                (Ok(data), SocketMessageType::Binary) => {
                    seen.note(format!("{} bytes{end}", data.length()));
                }
                (Err(error), _) => seen.note(format!("error {}", error.code())),
            }
        }
    })
}

pub(crate) fn watch_closed(socket: &MessageWebSocket, seen: &Seen) -> Result<EventToken, Error> {
    let seen = seen.clone();
    socket.closed(move |_, args| {
        let seen = seen.clone();
        async move { seen.note(format!("closed {} {}", args.code(), args.reason()).trim_end()) }
    })
}

/// The future has to be done within an hour of the stopped clock, or a minute of a real one; otherwise it
/// hangs.
#[track_caller]
pub(crate) fn soon<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(HOUR, future).await {
            Ok(output) => output,
            Err(_) => panic!("hangs: {caller}"),
        }
    }
}

/// The number of the failure.
#[track_caller]
pub(crate) fn code<R: std::fmt::Debug>(result: Result<R, Error>) -> HResult {
    match result {
        Err(error) => error.code(),
        Ok(value) => panic!("expected an error, got {value:?}"),
    }
}

pub(crate) fn watch_closed_stream(socket: &StreamWebSocket, seen: &Seen) -> Result<EventToken, Error> {
    let seen = seen.clone();
    socket.closed(move |_, args| {
        let seen = seen.clone();
        async move { seen.note(format!("closed {} {}", args.code(), args.reason()).trim_end()) }
    })
}
