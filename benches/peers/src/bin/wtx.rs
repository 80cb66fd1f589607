//! wtx: only as a server. Its own handshake, which never agrees to context takeover, and a window of 15 bits. It has no way to batch messages, and
//! no implementation of its streams for TLS that could be given to a socket in one piece.
#![forbid(unsafe_code)]

use peers::deflate::Deflate;
use peers::socket::Socket;
use peers::{MAX_MESSAGE, run, sink};
use tokio::net::TcpStream;
use wtx::web_socket::compression::{Flate2, WindowBits};
use wtx::web_socket::{
    Compression, CompressionLevel, DeflateConfig, Frame, OpCode, WebSocketAcceptor,
};

fn main() -> std::io::Result<()> {
    let deflate = Deflate::from_arguments();
    run(move |stream| async move {
        let Socket::Plain(stream) = stream else { return };
        // How one connection ends is of no interest here.
        let _ = match deflate {
            None => serve(stream, ()).await,
            Some(deflate) => serve(stream, compression(deflate)).await,
        };
    })
}

fn compression(deflate: Deflate) -> Flate2 {
    Flate2::from(DeflateConfig {
        client_max_window_bits: WindowBits::Fifteen,
        compression_level: CompressionLevel::try_from(deflate.level).unwrap_or_default(),
        server_max_window_bits: WindowBits::Fifteen,
    })
}

async fn serve(stream: TcpStream, compression: impl Compression<false>) -> wtx::Result<()> {
    let mut socket = WebSocketAcceptor::default().compression(compression).accept(stream).await?;
    socket.set_max_payload_len(MAX_MESSAGE);
    let counts = sink();
    let mut counted = 0_u64;
    let (mut common, mut reader, mut writer) = socket.parts_mut();
    loop {
        let mut frame = reader.read_frame(&mut common).await?;
        match frame.op_code() {
            OpCode::Binary if counts => counted += 1,
            OpCode::Text if counts => {
                let answer = counted.to_string().into_bytes();
                writer.write_frame(&mut common, &mut Frame::new_fin(OpCode::Text, answer)).await?;
            }
            OpCode::Text | OpCode::Binary => writer.write_frame(&mut common, &mut frame).await?,
            OpCode::Close => return Ok(()),
            _ => {}
        }
    }
}
