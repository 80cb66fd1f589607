//! A transport that fails at its n-th operation, for every n: one outcome, no hang, no panic.

use wsduo::{AsyncReplies, CloseCode, Error, Message, MessageType, MessageWebSocket, Role};
use wsduo_testing::{Fault, Faulty, Slow};

use crate::support::{control, noise, soon};

type Transport = Slow<Faulty<tokio::io::DuplexStream>>;

const FAULTS: [Fault; 4] = [Fault::Error, Fault::End, Fault::Silence, Fault::WritesFail];
const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// More operations than any scenario has.
const MANY: usize = 100_000;

/// A socket with an echo behind a transport that has so many good operations.
fn socket(role: Role, fault: Fault, good: usize) -> MessageWebSocket<Transport> {
    let (near, far) = tokio::io::duplex(500);
    let far_role = if role == Role::Client { Role::Server } else { Role::Client };
    let mut echo = control().from_transport(far, far_role);
    tokio::spawn(async move {
        let _ = echo.run(|message, replies| replies.send(message)).await;
    });
    let transport = Slow::with_chunks(Faulty::new(near, fault, good), 100, 100);
    control().from_transport(transport, role)
}

/// The end is the same however often and however it is asked for, and only a clean one is not an error.
async fn check_end(socket: &mut MessageWebSocket<Transport>) -> bool {
    let first = loop {
        match soon(socket.receive()).await {
            Ok(Some(_)) => {}
            Ok(None) => break None,
            Err(error) => break Some(error.kind()),
        }
    };
    let closed = socket.closed().cloned().unwrap();
    assert_eq!(closed.clean, first.is_none(), "{closed:?}, {first:?}");
    for _ in 0..2 {
        assert_eq!(soon(socket.receive()).await.err().map(|error| error.kind()), first);
        assert_eq!(soon(socket.receive_part()).await.err().map(|error| error.kind()), first);
        let ran = soon(socket.run(|_, _| Ok(()))).await;
        assert_eq!(ran.as_ref().err().map(Error::kind), first);
        assert!(soon(socket.send("late")).await.is_err());
        assert!(soon(socket.ping()).await.is_err());
        assert_eq!(soon(socket.close(CloseCode::GOING_AWAY, "late")).await.unwrap(), closed);
    }
    closed.clean
}

async fn everything(socket: &mut MessageWebSocket<Transport>) -> Result<(), Error> {
    let message = Message::from(noise(300));
    socket.send(&message).await?;
    assert!(socket.receive().await?.is_none_or(|back| back == message));
    socket.feed("one").await?;
    socket.ping().await?;
    let mut writer = socket.message_writer(MessageType::Binary);
    let written = tokio::io::AsyncWriteExt::write_all(&mut writer, &noise(50)).await;
    if written.is_ok() {
        writer.finish().await?;
    }
    socket.flush().await?;
    while let Some(part) = socket.receive_part().await? {
        if part.is_complete {
            break;
        }
    }
    socket.close(CloseCode::NORMAL, "").await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn one_task() {
    for role in ROLES {
        for fault in FAULTS {
            for good in 0.. {
                assert!(good < 1000, "never well");
                let mut socket = socket(role, fault, good);
                let _ = soon(everything(&mut socket)).await;
                if check_end(&mut socket).await && good > 60 {
                    break;
                }
            }
            let mut well = socket(role, fault, MANY);
            soon(everything(&mut well)).await.unwrap();
            assert!(check_end(&mut well).await);
        }
    }
}

async fn some_error() -> Error {
    control().connect("no uri").await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn handlers() {
    for asynchronous in [false, true] {
        for fault in FAULTS {
            for good in 0..60 {
                let mut socket = socket(Role::Client, fault, good);
                for _ in 0..3 {
                    let _ = socket.feed(noise(200)).await;
                }
                let mut handled = 0;
                let result = if asynchronous {
                    soon(socket.run_async(async |message, replies: &AsyncReplies<'_, _>| {
                        tokio::task::yield_now().await;
                        handled += 1;
                        match handled {
                            20.. => Err(some_error().await),
                            _ => replies.send(message).await,
                        }
                    }))
                    .await
                } else {
                    soon(socket.run(|message, replies| {
                        handled += 1;
                        match handled {
                            20.. => replies.close(CloseCode::NORMAL, ""),
                            _ => replies.send(message),
                        }
                    }))
                    .await
                };
                if let Ok(closed) = result {
                    assert!(closed.clean);
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn halves() {
    for role in ROLES {
        for fault in FAULTS {
            for good in 0..80 {
                let (mut receiver, sender) = socket(role, fault, good).split();
                let other = sender.clone();
                let sending = tokio::spawn(async move {
                    for _ in 0..5 {
                        sender.send(noise(300)).await?;
                    }
                    sender.close(CloseCode::NORMAL, "").await
                });
                let pinging = tokio::spawn(async move { while other.ping().await.is_ok() {} });
                let received = soon(async {
                    while receiver.receive().await?.is_some() {}
                    Ok::<_, Error>(())
                })
                .await;
                let closed = soon(sending).await.unwrap();
                soon(pinging).await.unwrap();
                assert_eq!(received.is_ok(), receiver.closed().unwrap().clean);
                if let Ok(closed) = closed {
                    assert_eq!(closed, receiver.closed().unwrap());
                }
            }
        }
    }
}
