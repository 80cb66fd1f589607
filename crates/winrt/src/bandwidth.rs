//! What the system believes of the bandwidth of a connection's path.
//!
//! Linux tells it to whoever names both ends of a connection (`sock_diag`, what `ss -i` shows), without
//! privileges and without the descriptor of the connection. Other systems are not asked.

use wsduo::MessageWebSocketInformation;

/// What the system believes of the bandwidth of a connection's path: on Linux, what its TCP counts. All zero
/// where it does not know, as in the original: on other systems, over anything but TCP, and while the
/// connection is not open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BandwidthStatistics {
    /// Estimated bandwidth to the peer: how fast it took what was sent lately (`tcpi_delivery_rate`).
    pub outbound_bits_per_second: u64,
    /// Estimated bandwidth from the peer: what was read within a round trip (`tcpi_rcv_space` by
    /// `tcpi_rcv_rtt`). Zero until the system has measured a round trip of received data.
    pub inbound_bits_per_second: u64,
    /// How unsteady the first estimate is. Zero: Linux does not tell.
    pub outbound_bits_per_second_instability: u64,
    /// How unsteady the second estimate is. Zero: Linux does not tell.
    pub inbound_bits_per_second_instability: u64,
    /// Whether as much was sent as is needed for a good estimate: the path, and not this program, set the
    /// pace (`tcpi_delivery_rate_app_limited` is not set).
    pub outbound_bandwidth_peaked: bool,
    /// Whether as much was received as is needed for a good estimate. `false`: Linux does not tell.
    pub inbound_bandwidth_peaked: bool,
}

impl BandwidthStatistics {
    /// Those of an open connection. It is a system call or two, and waits for nothing.
    pub(crate) fn of(connection: &MessageWebSocketInformation) -> Self {
        #[cfg(target_os = "linux")]
        if let (Some(local), Some(remote)) = (connection.local_address(), connection.remote_address()) {
            return linux::statistics(local, remote).unwrap_or_default();
        }
        #[cfg(not(target_os = "linux"))]
        let _ = connection;
        Self::default()
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::net::{IpAddr, SocketAddr};

    use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
    use netlink_packet_sock_diag::SockDiagMessage;
    use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
    use netlink_packet_sock_diag::inet::nlas::{Nla, TcpInfo};
    use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags};
    use netlink_sys::protocols::NETLINK_SOCK_DIAG;
    use netlink_sys::{Socket, SocketAddr as NetlinkAddr};

    use super::BandwidthStatistics;

    /// Room for the answer, which is some 400 bytes.
    const ANSWER: usize = 8 << 10;

    /// Any connection between both ends, whatever its number in the kernel (`INET_DIAG_NOCOOKIE`).
    const ANY_COOKIE: [u8; 8] = [0xff; 8];

    const MICROSECONDS_PER_SECOND: u64 = 1_000_000;

    /// What the kernel says of the connection between these ends; `None` if it knows of none.
    pub(super) fn statistics(local: SocketAddr, remote: SocketAddr) -> Option<BandwidthStatistics> {
        let answer = ask(request(local, remote))?;
        // Where there is no connection, the kernel tells of a listener at the local end.
        let found = &answer.header.socket_id;
        let is_same = found.source_port == local.port()
            && found.destination_port == remote.port()
            && found.destination_address.to_canonical() == remote.ip().to_canonical();
        if !is_same {
            return None;
        }
        answer.nlas.iter().find_map(|attribute| match attribute {
            Nla::TcpInfo(tcp) => Some(of_tcp(tcp)),
            _ => None,
        })
    }

    /// The question about the connection between these ends.
    fn request(local: SocketAddr, remote: SocketAddr) -> InetRequest {
        // A system that maps IPv4 into IPv6 finds the connection by either.
        let (source, destination) = (local.ip().to_canonical(), remote.ip().to_canonical());
        let scope = match remote {
            SocketAddr::V6(remote) => remote.scope_id(),
            SocketAddr::V4(_) => 0,
        };
        InetRequest {
            family: if matches!(source, IpAddr::V4(_)) { AF_INET } else { AF_INET6 },
            protocol: IPPROTO_TCP,
            extensions: ExtensionFlags::INFO,
            states: StateFlags::all(),
            socket_id: SocketId {
                source_port: local.port(),
                destination_port: remote.port(),
                source_address: source,
                destination_address: destination,
                interface_id: scope,
                cookie: ANY_COOKIE,
            },
        }
    }

    /// Asks the kernel. It answers while it is being asked, so that the answer is there at once or never.
    fn ask(request: InetRequest) -> Option<InetResponse> {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST;
        let mut question = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
        question.finalize();
        let mut bytes = vec![0; question.buffer_len()];
        question.serialize(&mut bytes);

        let socket = Socket::new(NETLINK_SOCK_DIAG).ok()?;
        socket.set_non_blocking(true).ok()?;
        socket.connect(&NetlinkAddr::new(0, 0)).ok()?;
        socket.send(&bytes, 0).ok()?;
        let mut answer = Vec::with_capacity(ANSWER);
        socket.recv(&mut answer, 0).ok()?;
        match NetlinkMessage::deserialize(&answer).ok()?.payload {
            NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => Some(*response),
            _ => None,
        }
    }

    fn of_tcp(tcp: &TcpInfo) -> BandwidthStatistics {
        // A bit field of C: its first bit is the lowest of the byte, or the highest.
        let app_limited = if cfg!(target_endian = "little") { 0x01 } else { 0x80 };
        let inbound = u64::from(tcp.rcv_space) * 8 * MICROSECONDS_PER_SECOND;
        BandwidthStatistics {
            outbound_bits_per_second: tcp.delivery_rate.saturating_mul(8),
            inbound_bits_per_second: inbound.checked_div(u64::from(tcp.rcv_rtt)).unwrap_or(0),
            outbound_bandwidth_peaked: tcp.delivery_rate > 0
                && tcp.delivery_rate_app_limited & app_limited == 0,
            ..BandwidthStatistics::default()
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_listener_is_not_taken_for_a_connection() {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let local = listener.local_addr().unwrap();
            assert!(ask(request(local, "127.0.0.1:9".parse().unwrap())).is_some(), "the kernel told of it");
            assert_eq!(statistics(local, "127.0.0.1:9".parse().unwrap()), None);
            drop(listener);
            assert_eq!(statistics(local, "127.0.0.1:9".parse().unwrap()), None);
        }

        #[test]
        fn a_connection_over_ipv6_or_mapped_ipv4_is_found() {
            for address in ["[::1]:0", "[::]:0"] {
                // A machine without IPv6 has neither.
                let Ok(listener) = std::net::TcpListener::bind(address) else { continue };
                let port = listener.local_addr().unwrap().port();
                let host = if address == "[::]:0" { "127.0.0.1" } else { "::1" };
                let client = std::net::TcpStream::connect((host, port)).unwrap();
                let (server, _) = listener.accept().unwrap();
                for end in [&client, &server] {
                    let (local, remote) = (end.local_addr().unwrap(), end.peer_addr().unwrap());
                    assert!(statistics(local, remote).is_some(), "{local} {remote}");
                }
            }
        }
    }
}
