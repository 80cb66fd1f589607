//! Who may enter is decided before the connection is open: by a token or a password, within the time of the opening handshake.
//!
//! The program serves, tries to enter in several ways, and checks what came of each.

use std::time::Duration;

use wsduo::http::StatusCode;
use wsduo::{
    Credential, Denial, Error, Incoming, Listener, MessageWebSocketControl, Request, is_same_secret,
};

/// Real ones come from a database, passwords as hashes (Argon2, scrypt).
const TOKEN: &str = "open sesame";
const PASSWORD: &str = "forty thieves";

/// Looks the client up: its name, or what it is told.
async fn user_of(request: &Request) -> Result<String, Denial> {
    // As a database would take.
    tokio::time::sleep(Duration::from_millis(1)).await;
    if request.path() != "/cave" {
        return Err(StatusCode::NOT_FOUND.into());
    }
    if let Some(token) = request.bearer_token()
        && is_same_secret(token, TOKEN)
    {
        return Ok("Ali Baba".to_owned());
    }
    if let Some((user, password)) = request.basic_credentials()
        && is_same_secret(password, PASSWORD)
    {
        return Ok(user);
    }
    let ask = Denial::new(StatusCode::UNAUTHORIZED);
    Err(ask.header("www-authenticate", "Basic realm=\"cave\"").body("who are you?\n"))
}

async fn serve(incoming: Incoming) -> Result<(), Error> {
    let (request, user) = incoming.request().await?.authenticate(user_of).await?;
    let mut socket = request.accept_message(&MessageWebSocketControl::new()).await?;
    socket.send(format!("welcome, {user}")).await?;
    socket.receive().await?;
    Ok(())
}

/// What a client hears: a message, or a status.
async fn enter(control: MessageWebSocketControl, uri: &str) -> Result<String, Error> {
    match control.connect(uri).await {
        Ok(mut socket) => {
            let welcome = socket.receive().await?;
            socket.close(wsduo::CloseCode::NORMAL, "").await?;
            Ok(welcome.map_or_else(String::new, |message| format!("{message:?}")))
        }
        Err(error) => match error.refusal() {
            Some(refusal) => Ok(refusal.status.to_string()),
            None => Err(error),
        },
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let listener = Listener::bind("127.0.0.1:0").await?;
    let uri = format!("ws://{}/cave", listener.local_address()?);
    let serving = tokio::spawn(async move {
        loop {
            // How one client fares is of no interest to the others.
            tokio::spawn(serve(listener.accept().await));
        }
    });

    let nobody = MessageWebSocketControl::new();
    let with = |value: &str| nobody.clone().header("authorization", value);
    let basic = nobody.clone().credential(Credential::new("Morgiana", PASSWORD));
    for (control, uri, expected) in [
        (with("Bearer open sesame"), uri.clone(), "welcome, Ali Baba"),
        (basic, uri.clone(), "welcome, Morgiana"),
        (with("Bearer open barley"), uri.clone(), "401"),
        (nobody.clone(), uri.clone(), "401"),
        (with("Bearer open sesame"), uri.replace("cave", "palace"), "404"),
    ] {
        let heard = enter(control, &uri).await?;
        println!("{heard}");
        assert!(heard.contains(expected), "{heard} instead of {expected}");
    }
    serving.abort();
    Ok(())
}
