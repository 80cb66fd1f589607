//! `serve --threads`: what several threads have in common.

use wsduo::{CloseCode, Message, MessageWebSocket, MessageWebSocketControl};

use crate::support::{Server, block_on, command};

const THREADS: usize = 3;

fn server(arguments: &[&str]) -> Server {
    let mut command = command();
    command.arg("serve").args(arguments).args(["--threads", &THREADS.to_string()]);
    Server::spawn(command)
}

/// Clients that take part, of which each thread has two.
async fn clients(server: &Server) -> Vec<MessageWebSocket> {
    let mut clients = Vec::new();
    for _ in 0..2 * THREADS {
        let mut client = MessageWebSocket::connect(&server.url).await.unwrap();
        client.ping().await.unwrap();
        clients.push(client);
    }
    clients
}

#[test]
fn all_threads_echo_and_a_signal_closes_the_clients_of_all() {
    let mut server = server(&[]);
    block_on(async {
        let mut clients = clients(&server).await;
        for client in &mut clients {
            client.send("Hello").await.unwrap();
            assert_eq!(client.receive().await.unwrap(), Some(Message::from("Hello")));
        }
        #[cfg(unix)]
        {
            server.signal(rustix::process::Signal::TERM);
            for client in &mut clients {
                assert_eq!(client.receive().await.unwrap(), None);
                assert_eq!(client.closed().unwrap().code, CloseCode::GOING_AWAY);
            }
            assert_eq!(server.process.wait(), Some(0));
        }
    });
}

#[test]
fn a_broadcast_reaches_the_clients_of_all_threads() {
    let server = server(&["broadcast"]);
    block_on(async {
        let mut clients = clients(&server).await;
        for sender in 0..clients.len() {
            let text = format!("from {sender}");
            clients[sender].send(&text).await.unwrap();
            for (number, client) in clients.iter_mut().enumerate() {
                if number != sender {
                    assert_eq!(client.receive().await.unwrap(), Some(Message::from(text.as_str())));
                }
            }
        }
    });
}

#[test]
fn limits_hold_for_all_threads_together() {
    let server = server(&["--max-connections-per-address", "2"]);
    let control = MessageWebSocketControl::new();
    block_on(async {
        let _open =
            (control.connect(&server.url).await.unwrap(), control.connect(&server.url).await.unwrap());
        for _ in 0..THREADS {
            let refused = control.connect(&server.url).await.unwrap_err();
            assert_eq!(refused.refusal().unwrap().status.as_u16(), 503);
        }
    });

    let server = self::server(&["--max-connections", "2"]);
    block_on(async {
        let mut first = control.connect(&server.url).await.unwrap();
        let mut second = control.connect(&server.url).await.unwrap();
        let third = control.connect(&server.url);
        tokio::pin!(third);
        for _ in 0..THREADS {
            tokio::select! {
                _ = &mut third => panic!("there was no place"),
                pong = first.ping() => assert!(pong.is_ok()),
            }
        }
        second.close(CloseCode::NORMAL, "").await.unwrap();
        third.await.unwrap();
    });
}

#[cfg(target_os = "linux")]
#[test]
fn there_are_as_many_threads_as_were_asked_for_or_as_there_are_processors() {
    let serving =
        |server: &Server| std::fs::read_dir(format!("/proc/{}/task", server.process.0.id())).unwrap().count();
    assert_eq!(serving(&server(&[])), THREADS);
    let mut command = command();
    command.arg("serve");
    let processors = std::thread::available_parallelism().unwrap().get();
    assert_eq!(serving(&Server::spawn(command)), processors);
}
