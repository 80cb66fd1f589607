//! wtx: its own handshake, which never agrees to context takeover, and a window of 15 bits. It has no way to batch replies.
#![forbid(unsafe_code)]

use peers::deflate::Deflate;
use peers::service::Service;
use peers::{MAX_MESSAGE, Server, Transport, run};
use std::io::{self, IoSlice};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wtx::collection::Vector;
use wtx::stream::{StreamReader, StreamWriter};
use wtx::web_socket::compression::{Flate2, WindowBits};
use wtx::web_socket::{
    Compression, CompressionLevel, DeflateConfig, Frame, OpCode, WebSocketAcceptor, WebSocketPayloadOrigin,
};

/// It writes a header and a payload.
const SLICES: usize = 4;

fn main() -> std::io::Result<()> {
    run(Echo { deflate: Deflate::from_arguments() })
}

#[derive(Clone)]
struct Echo {
    deflate: Option<Deflate>,
}

impl Server for Echo {
    async fn serve(self, stream: impl Transport) {
        // How one connection ends is of no interest here.
        let _ = match self.deflate {
            None => echo(Wire(stream), ()).await,
            Some(deflate) => echo(Wire(stream), compression(deflate)).await,
        };
    }
}

/// A transport in its terms: it knows TCP by itself, and TLS only with another provider than the others here.
struct Wire<S>(S);

impl<S: Transport> StreamReader for Wire<S> {
    async fn read(&mut self, bytes: &mut [u8]) -> wtx::Result<usize> {
        Ok(self.0.read(bytes).await?)
    }
}

impl<S: Transport> StreamWriter for Wire<S> {
    async fn write_all(&mut self, bytes: &[u8]) -> wtx::Result<()> {
        self.0.write_all(bytes).await?;
        Ok(self.0.flush().await?)
    }

    async fn write_all_vectored(&mut self, bytes: &[&[u8]]) -> wtx::Result<()> {
        let mut slices: [IoSlice<'_>; SLICES] =
            std::array::from_fn(|index| IoSlice::new(bytes.get(index).unwrap_or(&&[][..])));
        let mut left = &mut slices[..bytes.len()];
        while !left.is_empty() {
            match self.0.write_vectored(left).await? {
                0 if left.iter().all(|slice| slice.is_empty()) => break,
                0 => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                count => IoSlice::advance_slices(&mut left, count),
            }
        }
        Ok(self.0.flush().await?)
    }
}

fn compression(deflate: Deflate) -> Flate2 {
    Flate2::from(DeflateConfig {
        client_max_window_bits: WindowBits::Fifteen,
        compression_level: CompressionLevel::try_from(deflate.level).unwrap_or_default(),
        server_max_window_bits: WindowBits::Fifteen,
    })
}

async fn echo(stream: Wire<impl Transport>, compression: impl Compression<false>) -> wtx::Result<()> {
    let mut socket = WebSocketAcceptor::default().compression(compression).accept(stream).await?;
    socket.set_max_payload_len(MAX_MESSAGE);
    let (mut common, mut reader, mut writer) = socket.split_mut();
    let mut buffer = Vector::new();
    let mut service = Service::from_arguments();
    loop {
        buffer.clear();
        let mut frame = reader.read_frame(&mut buffer, &mut common, WebSocketPayloadOrigin::Adaptive).await?;
        let is_text = match frame.op_code() {
            OpCode::Text => true,
            OpCode::Binary => false,
            OpCode::Close => return Ok(()),
            _ => continue,
        };
        // Frames that are read and frames that are made differ in type, so the count goes out by itself.
        let mut count = None;
        if service.reply((), is_text, |text| count = Some(text)).is_none() {
            continue;
        }
        match count {
            None => writer.write_frame(&mut common, &mut frame).await?,
            Some(text) => {
                let mut frame = Frame::new_fin(OpCode::Text, text.into_bytes());
                writer.write_frame(&mut common, &mut frame).await?;
            }
        }
    }
}
