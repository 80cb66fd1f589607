//! From a host name to a connection: its addresses raced against each other (RFC 8305).
//!
//! By hand, since the connectors at hand race one address family against the other and within a family try one address
//! after the other: four dead addresses before a good one would cost minutes there, and one second here.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

use super::patience::{Patience, whole_milliseconds};
use super::transport::Reached;
use crate::connecting::Connecting;
use crate::control::Settings;
use crate::dialling::{BoxedStream, Connector, Dialling, SocketOptions};
use crate::error::{Error, ErrorKind};

/// Most addresses of a host that are tried.
const MAX_ADDRESSES: usize = 5;

/// How long an attempt has before the next one starts beside it (RFC 8305 §5).
const HEAD_START: Duration = Duration::from_millis(250);

/// Connects to a host, by the first of its addresses that answers.
pub(crate) async fn dial(
    host: &str,
    port: u16,
    settings: &Settings,
    patience: Patience,
) -> Result<Reached, Error> {
    let dialling = &settings.dialling;
    let place = place(host, port);
    if let Some(connector) = &dialling.connector {
        return by_connector(&*connector.0, host, port, &place, patience).await;
    }
    let mut addresses = look_up(host, port, dialling, patience).await?;
    let options = &dialling.socket;
    if let Some(local) = options.local_address {
        addresses.retain(|address| address.is_ipv4() == local.is_ipv4());
        if addresses.is_empty() {
            let text = format!("cannot connect to {place} from {local}: it has no address of that family");
            return Err(Error::text(ErrorKind::Connect, text));
        }
    }
    let tell = |address, error: Option<&io::Error>, took| {
        dialling.observer.tell(&Connecting::AddressTried { address, error, took });
    };
    let attempt = |address| attempt(address, options, patience);
    let tcp = race(&place, addresses, patience, attempt, tell).await?;
    // A socket that refuses the option is about to report why.
    let _ = tcp.set_nodelay(settings.no_delay.unwrap_or(true));
    Ok(Reached::tcp(tcp))
}

/// Connects to a socket of this machine.
#[cfg(unix)]
pub(crate) async fn unix_socket(path: &std::path::Path, patience: Patience) -> Result<Reached, Error> {
    let connecting = async {
        tokio::net::UnixStream::connect(path).await.map_err(|error| {
            let what = format!("cannot connect to the socket {path:?}");
            Error::source(ErrorKind::Connect, what, error)
        })
    };
    let stream = patience.within(&format!("connecting to the socket {path:?}"), connecting).await?;
    Ok(Reached::other(BoxedStream::new(stream)))
}

async fn by_connector(
    connector: &dyn Connector,
    host: &str,
    port: u16,
    place: &str,
    patience: Patience,
) -> Result<Reached, Error> {
    let connecting = async {
        connector
            .connect(host, port)
            .await
            .map_err(|error| Error::source(ErrorKind::Connect, format!("cannot connect to {place}"), error))
    };
    let stream = patience.within(&format!("connecting to {place}"), connecting).await?;
    Ok(Reached::other(stream))
}

/// The host and port as in a URI.
pub(crate) fn place(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The addresses of a host, in the order in which to try them; at least one.
pub(crate) async fn look_up(
    host: &str,
    port: u16,
    dialling: &Dialling,
    patience: Patience,
) -> Result<Vec<SocketAddr>, Error> {
    let failed = |why: &dyn std::fmt::Display| {
        Error::text(ErrorKind::Resolve, format!("cannot find an address of {host:?}: {why}; check the name"))
    };
    let begun = Instant::now();
    let left = patience.left();
    let found = match timeout(left, find(host, port, dialling)).await {
        Err(_) => return Err(failed(&format_args!("no answer within {:?}", whole_milliseconds(left)))),
        Ok(Err(error)) => return Err(failed(&error)),
        Ok(Ok(found)) => found,
    };
    let addresses = interleave(found);
    if addresses.is_empty() {
        return Err(failed(&"it has none"));
    }
    let took = begun.elapsed();
    dialling.observer.tell(&Connecting::Resolved { host, addresses: &addresses, took });
    Ok(addresses)
}

/// What is known, is an address already, the resolver of the caller, or that of the system finds.
async fn find(host: &str, port: u16, dialling: &Dialling) -> io::Result<Vec<SocketAddr>> {
    if !dialling.known.is_empty()
        && let Some(known) = dialling.known.get(&(host.to_owned(), port))
    {
        return Ok(known.iter().map(|&ip| SocketAddr::new(ip, port)).collect());
    }
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    match &dialling.resolver {
        Some(resolver) => resolver.0.resolve(host, port).await,
        None => tokio::net::lookup_host((host, port)).await.map(Iterator::collect),
    }
}

/// The address families in turn, beginning with the one that the system prefers (RFC 8305 §4).
fn interleave(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let prefers_v6 = found.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|address| address.is_ipv6() == prefers_v6);
    let longer = first.len().max(second.len());
    let in_turn = (0..longer).flat_map(|i| [first.get(i), second.get(i)]).flatten();
    in_turn.take(MAX_ADDRESSES).copied().collect()
}

/// An attempt under way: the address, since when, and its result to come.
struct Attempt<'a, S> {
    address: SocketAddr,
    begun: Instant,
    result: Pin<Box<dyn Future<Output = io::Result<S>> + Send + 'a>>,
}

/// The first connection that comes about. There is no task behind it: when the future is dropped, so are all attempts.
async fn race<'a, S, F>(
    place: &str,
    addresses: Vec<SocketAddr>,
    patience: Patience,
    attempt: impl Fn(SocketAddr) -> F,
    tell: impl Fn(SocketAddr, Option<&io::Error>, Duration),
) -> Result<S, Error>
where
    F: Future<Output = io::Result<S>> + Send + 'a,
{
    let known = addresses.len();
    let mut tried = 0;
    let mut waiting = addresses.into_iter();
    let mut attempts: Vec<Attempt<'a, S>> = Vec::with_capacity(known);
    let mut last = io::Error::from(io::ErrorKind::TimedOut);
    loop {
        if patience.left().is_zero() {
            waiting = Vec::new().into_iter();
        }
        if let Some(address) = waiting.next() {
            tried += 1;
            let result = Box::pin(attempt(address));
            attempts.push(Attempt { address, begun: Instant::now(), result });
        } else if attempts.is_empty() {
            break;
        }
        let ended = if waiting.len() > 0 {
            match timeout(HEAD_START, first_of(&mut attempts)).await {
                Ok(ended) => ended,
                Err(_) => continue,
            }
        } else {
            first_of(&mut attempts).await
        };
        let (address, took, result) = ended;
        tell(address, result.as_ref().err(), took);
        match result {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    let kind = match last.kind() {
        io::ErrorKind::TimedOut => ErrorKind::TimedOut,
        _ => ErrorKind::Connect,
    };
    let what = match tried {
        1 if known == 1 => format!("cannot connect to {place}"),
        0 => format!("there was no time left to connect to {place}"),
        n if n < known => {
            format!(
                "cannot connect to {place} by any of {n} addresses, with no time to try {} more, the last",
                known - n
            )
        }
        n => format!("cannot connect to {place} by any of {n} addresses, the last"),
    };
    Err(Error::source(kind, what, last))
}

/// Waits for an attempt to end, and takes it out.
async fn first_of<S>(attempts: &mut Vec<Attempt<'_, S>>) -> (SocketAddr, Duration, io::Result<S>) {
    poll_fn(|cx| {
        for i in 0..attempts.len() {
            if let Poll::Ready(result) = attempts[i].result.as_mut().poll(cx) {
                let ended = attempts.swap_remove(i);
                return Poll::Ready((ended.address, ended.begun.elapsed(), result));
            }
        }
        Poll::Pending
    })
    .await
}

async fn attempt(address: SocketAddr, options: &SocketOptions, patience: Patience) -> io::Result<TcpStream> {
    let left = patience.left();
    let connecting = async { options.socket(address)?.connect(address).await };
    match timeout(left, connecting).await {
        Ok(result) => result,
        Err(_) => {
            let text = format!("{address} did not answer within {:?}", whole_milliseconds(left));
            Err(io::Error::new(io::ErrorKind::TimedOut, text))
        }
    }
}

impl SocketOptions {
    /// A socket for a connection to `address`.
    fn socket(&self, address: SocketAddr) -> io::Result<TcpSocket> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        if let Some(size) = self.send_buffer_size {
            socket.set_send_buffer_size(size)?;
        }
        if let Some(size) = self.receive_buffer_size {
            socket.set_recv_buffer_size(size)?;
        }
        if let Some(idle) = self.keepalive {
            // The system counts seconds, and refuses none.
            let keepalive = TcpKeepalive::new().with_time(idle.max(Duration::from_secs(1)));
            SockRef::from(&socket).set_tcp_keepalive(&keepalive)?;
        }
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(interface) = &self.interface {
            socket.bind_device(Some(interface.as_bytes())).map_err(|error| {
                io::Error::new(error.kind(), format!("cannot use the interface {interface:?}: {error}"))
            })?;
        }
        if let Some(local) = self.local_address {
            socket.bind(SocketAddr::new(local, 0)).map_err(|error| {
                io::Error::new(error.kind(), format!("cannot use the local address {local}: {error}"))
            })?;
        }
        Ok(socket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|address| address.parse().unwrap()).collect()
    }

    fn patience() -> Patience {
        Patience::new(Duration::from_secs(60), None)
    }

    #[test]
    fn the_families_take_turns_and_five_addresses_are_enough() {
        let found = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "[::4]:1", "1.1.1.1:1", "2.2.2.2:1"]);
        let expected = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]);
        assert_eq!(interleave(found), expected);
    }

    #[tokio::test]
    async fn an_address_that_refuses_does_not_cost_a_head_start() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dead = gone.local_addr().unwrap();
        drop(gone);
        let stream = race("place", vec![dead, dead, good], patience(), TcpStream::connect, |_, _, _| {})
            .await
            .unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
    }

    #[tokio::test]
    async fn when_all_refuse_the_error_says_how_many_and_why() {
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dead = gone.local_addr().unwrap();
        drop(gone);
        let error = race("place:1", vec![dead, dead], patience(), TcpStream::connect, |_, _, _| {})
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect);
        assert!(error.to_string().starts_with("cannot connect to place:1 by any of 2 addresses"), "{error}");
    }

    /// Only the last of these answers, after 10 ms.
    async fn four_black_holes(address: SocketAddr) -> io::Result<u16> {
        if address.port() < 5 {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        Ok(address.port())
    }

    #[tokio::test(start_paused = true)]
    async fn four_black_holes_cost_four_head_starts() {
        let places = addresses(&["1.1.1.1:1", "1.1.1.1:2", "1.1.1.1:3", "1.1.1.1:4", "1.1.1.1:5"]);
        let begun = Instant::now();
        assert_eq!(race("place", places, patience(), four_black_holes, |_, _, _| {}).await.unwrap(), 5);
        assert_eq!(begun.elapsed(), 4 * HEAD_START + Duration::from_millis(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_ends_the_race_and_the_error_says_how_far_it_came() {
        let places = addresses(&["1.1.1.1:1", "1.1.1.1:2", "1.1.1.1:3", "1.1.1.1:4", "1.1.1.1:5"]);
        let total = Duration::from_millis(600);
        let patience = Patience::new(Duration::from_secs(60), Some(total));
        let begun = Instant::now();
        let black_hole = |address| async move {
            tokio::time::sleep(patience.left()).await;
            Err::<(), _>(io::Error::new(io::ErrorKind::TimedOut, format!("{address} is silent")))
        };
        let error = race("place", places, patience, black_hole, |_, _, _| {}).await.unwrap_err();
        assert_eq!(begun.elapsed(), total);
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let text = error.to_string();
        let expected =
            "cannot connect to place by any of 3 addresses, with no time to try 2 more, the last: 1.1.1.1:";
        assert!(text.starts_with(expected), "{text}");
    }

    #[tokio::test]
    async fn the_options_reach_the_socket() {
        let options = SocketOptions {
            local_address: Some([127, 0, 0, 1].into()),
            keepalive: Some(Duration::from_millis(1)),
            send_buffer_size: Some(50_000),
            receive_buffer_size: Some(60_000),
            ..SocketOptions::default()
        };
        let socket = options.socket("127.0.0.1:1".parse().unwrap()).unwrap();
        assert_eq!(socket.local_addr().unwrap().ip(), options.local_address.unwrap());
        assert!(socket.send_buffer_size().unwrap() >= 50_000);
        assert!(socket.recv_buffer_size().unwrap() >= 60_000);
        assert!(SockRef::from(&socket).keepalive().unwrap());
        let bare = SocketOptions::default().socket("[::1]:1".parse().unwrap()).unwrap();
        assert!(!SockRef::from(&bare).keepalive().unwrap());
    }
}
