//! From a host name to a TCP connection: its addresses raced against each other (RFC 8305).
//!
//! By hand, since the connectors at hand race one address family against the other and within a family try one address
//! after the other: four dead addresses before a good one would cost minutes there, and one second here.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::error::{Error, ErrorKind};

/// Most addresses of a host that are tried.
const MAX_ADDRESSES: usize = 5;

/// How long an attempt has before the next one starts beside it (RFC 8305 §5).
const HEAD_START: Duration = Duration::from_millis(250);

/// Connects to the first address that answers. Each attempt, and the look-up, may take `patience`.
pub(crate) async fn dial(host: &str, port: u16, patience: Duration) -> Result<TcpStream, Error> {
    let addresses = resolve(host, port, patience).await?;
    let place = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    race(&place, addresses, |address| attempt(address, patience)).await
}

async fn resolve(host: &str, port: u16, patience: Duration) -> Result<Vec<SocketAddr>, Error> {
    let failed = |why: &dyn std::fmt::Display| {
        Error::text(ErrorKind::Resolve, format!("cannot find an address of {host:?}: {why}; check the name"))
    };
    match timeout(patience, tokio::net::lookup_host((host, port))).await {
        Err(_) => Err(failed(&format_args!("no answer within {patience:?}"))),
        Ok(Err(error)) => Err(failed(&error)),
        Ok(Ok(found)) => match interleave(found) {
            none if none.is_empty() => Err(failed(&"it has none")),
            addresses => Ok(addresses),
        },
    }
}

/// The address families in turn, beginning with the one that the system prefers (RFC 8305 §4).
fn interleave(found: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let found: Vec<_> = found.collect();
    let prefers_v6 = found.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|address| address.is_ipv6() == prefers_v6);
    let longer = first.len().max(second.len());
    let in_turn = (0..longer).flat_map(|i| [first.get(i), second.get(i)]).flatten();
    in_turn.take(MAX_ADDRESSES).copied().collect()
}

async fn race<S, F>(
    place: &str,
    addresses: Vec<SocketAddr>,
    attempt: impl Fn(SocketAddr) -> F,
) -> Result<S, Error>
where
    S: Send + 'static,
    F: Future<Output = io::Result<S>> + Send + 'static,
{
    let tried = addresses.len();
    let mut waiting = addresses.into_iter();
    // Dropping the set ends all attempts in it, however this function ends.
    let mut attempts = JoinSet::new();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        if let Some(address) = waiting.next() {
            attempts.spawn(attempt(address));
        } else if attempts.is_empty() {
            break;
        }
        let ended = if waiting.len() > 0 {
            match timeout(HEAD_START, attempts.join_next()).await {
                Ok(ended) => ended,
                Err(_) => continue,
            }
        } else {
            attempts.join_next().await
        };
        match ended {
            Some(Ok(Ok(stream))) => return Ok(stream),
            Some(Ok(Err(error))) => last = error,
            // An attempt neither panics nor is it aborted.
            Some(Err(_)) | None => {}
        }
    }
    let kind = match last.kind() {
        io::ErrorKind::TimedOut => ErrorKind::TimedOut,
        _ => ErrorKind::Connect,
    };
    let what = match tried {
        1 => format!("cannot connect to {place}"),
        n => format!("cannot connect to {place} by any of {n} addresses, the last"),
    };
    Err(Error::source(kind, what, last))
}

async fn attempt(address: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    match timeout(patience, TcpStream::connect(address)).await {
        Ok(result) => result,
        Err(_) => {
            let text = format!("{address} did not answer within {patience:?}");
            Err(io::Error::new(io::ErrorKind::TimedOut, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|address| address.parse().unwrap()).collect()
    }

    #[test]
    fn the_families_take_turns_and_five_addresses_are_enough() {
        let found = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "[::4]:1", "1.1.1.1:1", "2.2.2.2:1"]);
        let expected = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]);
        assert_eq!(interleave(found.into_iter()), expected);
    }

    #[tokio::test]
    async fn an_address_that_refuses_does_not_cost_a_head_start() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dead = gone.local_addr().unwrap();
        drop(gone);
        let stream = race("place", vec![dead, dead, good], TcpStream::connect).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
    }

    #[tokio::test]
    async fn when_all_refuse_the_error_says_how_many_and_why() {
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dead = gone.local_addr().unwrap();
        drop(gone);
        let error = race("place:1", vec![dead, dead], TcpStream::connect).await.unwrap_err();
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
        let begun = tokio::time::Instant::now();
        assert_eq!(race("place", places, four_black_holes).await.unwrap(), 5);
        assert_eq!(begun.elapsed(), 4 * HEAD_START + Duration::from_millis(10));
    }
}
