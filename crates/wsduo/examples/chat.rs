//! Rooms in which people talk: a topic for each room, one task for each connection.
//!
//! `chat ADDR` serves until it is stopped; talk with `wsduo ws://ADDR/ROOM?NAME`, or from a page of the same origin. Without an
//! address it shows itself: three people come, talk and go, and it fails unless each of them saw what the others said.

use wsduo::{
    Broadcaster, CloseCode, Error, Incoming, Listener, Message, MessageWebSocket, MessageWebSocketControl,
    Publication,
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    match std::env::args().nth(1).filter(|argument| argument != "--check") {
        Some(address) => {
            let listener = Listener::bind(address).await?;
            println!("listening on ws://{}/", listener.local_address()?);
            serve(&listener).await
        }
        None => demonstrate().await,
    }
}

async fn serve(listener: &Listener) -> Result<(), Failure> {
    // The defaults suit a chat: nobody waits for the slow, and who missed something is told by a close with 1013.
    let rooms = Broadcaster::new();
    let control = MessageWebSocketControl::new().max_message_size(4 << 10);
    loop {
        let incoming = listener.accept().await;
        let (rooms, control) = (rooms.clone(), control.clone());
        tokio::spawn(async move {
            if let Err(error) = person(incoming, &rooms, &control).await {
                eprintln!("{error}");
            }
        });
    }
}

/// One connection: it listens to its room, and says there what comes in.
async fn person(
    incoming: Incoming,
    rooms: &Broadcaster,
    control: &MessageWebSocketControl,
) -> Result<(), Error> {
    let request = incoming.request().await?;
    let room = request.path().to_owned();
    let name = request.query().unwrap_or("somebody").chars().take(32).collect::<String>();
    let mut socket = request.accept_message(control).await?;

    let mut subscription = rooms.subscribe(&*room)?;
    rooms.publish(&room, format!("{name} joins, {} are here", rooms.subscribers(&room))).await;
    let ended = loop {
        // Meanwhile, what others say is sent.
        match socket.receive_with(&mut subscription).await {
            Ok(Some(Message::Text(said))) => {
                let said = Publication::new(format!("{name}: {said}")).except(subscription.id());
                rooms.publish(&room, said).await;
            }
            Ok(Some(Message::Binary(_))) => {
                socket.close(CloseCode::UNSUPPORTED_DATA, "only text is understood here").await?;
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    drop(subscription);
    rooms.publish(&room, format!("{name} leaves")).await;
    ended
}

async fn demonstrate() -> Result<(), Failure> {
    let listener = Listener::bind("127.0.0.1:0").await?;
    let address = listener.local_address()?;
    let server = tokio::spawn(async move { serve(&listener).await });

    let mut ada = MessageWebSocket::connect(&format!("ws://{address}/tea?ada")).await?;
    expect(&mut ada, "ada joins, 1 are here").await?;
    let mut bob = MessageWebSocket::connect(&format!("ws://{address}/tea?bob")).await?;
    for who in [&mut ada, &mut bob] {
        expect(who, "bob joins, 2 are here").await?;
    }
    // In another room.
    let mut eve = MessageWebSocket::connect(&format!("ws://{address}/coffee?eve")).await?;
    expect(&mut eve, "eve joins, 1 are here").await?;

    ada.send("milk?").await?;
    expect(&mut bob, "ada: milk?").await?;
    bob.send("please").await?;
    expect(&mut ada, "bob: please").await?;
    bob.close(CloseCode::NORMAL, "").await?;
    expect(&mut ada, "bob leaves").await?;

    let closed = eve.close(CloseCode::NORMAL, "").await?;
    println!("eve heard nothing of it, and left: {closed}");
    server.abort();
    Ok(())
}

async fn expect(socket: &mut MessageWebSocket, expected: &str) -> Result<(), Failure> {
    let message = socket.receive().await?;
    println!("{expected}");
    match message {
        Some(Message::Text(text)) if text == expected => Ok(()),
        other => Err(format!("expected {expected:?}, got {other:?}").into()),
    }
}
