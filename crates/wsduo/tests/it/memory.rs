//! What a socket holds on to while it is idle.

use wsduo::{Message, MessageWebSocket, Role};
use wsduo_testing::{Scripted, wire};

use crate::support::{noise, patient, poll_once};

#[test]
fn a_socket_is_a_pointer() {
    assert_eq!(size_of::<MessageWebSocket<Scripted>>(), size_of::<usize>());
}

/// Bytes of memory that this process has in use.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn the_memory_of_large_messages_is_given_back() {
    const SOCKETS: usize = 100;
    const MESSAGE: usize = 1 << 20;
    let large = Message::from(noise(MESSAGE));
    let frame = wire::frame(0x82, large.as_bytes());
    let mut sockets = Vec::new();
    let before = resident();
    for _ in 0..SOCKETS {
        let (transport, handle) = Scripted::new(&*frame);
        let mut socket = patient().from_transport(transport, Role::Client);
        assert!(socket.receive().await.unwrap().as_ref() == Some(&large));
        socket.send(&large).await.unwrap();
        socket.feed(vec![1; MESSAGE]).await.unwrap();
        socket.flush().await.unwrap();
        assert!(poll_once(socket.receive()).is_pending());
        handle.take_written();
        handle.shrink();
        sockets.push((socket, handle));
    }
    // Other tests run beside this one, so the bound is wide: a megabyte kept by each would be far over it.
    let grown = resident().saturating_sub(before);
    assert!(grown < SOCKETS * MESSAGE / 2, "{grown} bytes");
}
