//! What is sent: the `OutputStream` of a socket, and single frames.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use wsduo::{ByteString, Message, MessageType};

use crate::buffer::Buffer;
use crate::core::Core;
use crate::error::Error;
use crate::operation::AsyncOperation;
use crate::streams::IOutputStream;

/// The `OutputStream` of a socket. It does not keep the socket alive.
#[derive(Debug)]
pub(crate) struct OutputStream {
    pub(crate) core: Arc<Core>,
}

impl Core {
    /// # Errors
    /// [`Error::CLOSED`] if the stream was closed.
    fn check_output(&self) -> Result<(), Error> {
        if self.is_output_closed() {
            let text = "the output stream is closed; a writer that is dropped closes it, unless detach_stream was called";
            return Err(Error::new(Error::CLOSED, text));
        }
        Ok(())
    }
}

impl IOutputStream for OutputStream {
    fn write(&self, buffer: Buffer) -> AsyncOperation<u32> {
        let core = Arc::clone(&self.core);
        // The type is that of the moment of the call.
        let message_type = core.read(|settings| settings.message_type);
        AsyncOperation::with_progress(move |mut progress| async move {
            core.check_was_opened()?;
            core.check_output()?;
            let sending = core.sending()?;
            let length = buffer.length();
            let message = match message_type.into() {
                MessageType::Binary => Message::Binary(buffer.into()),
                MessageType::Text => Message::Text(text(buffer.into())?),
            };
            sending.send(message).await?;
            progress(length);
            Ok(length)
        })
    }

    fn flush(&self) -> AsyncOperation<bool> {
        let core = Arc::clone(&self.core);
        AsyncOperation::new(async move {
            core.check_was_opened()?;
            core.check_output()?;
            match core.sending() {
                Ok(sending) => Ok(sending.flush().await.is_ok()),
                Err(error) if error.code() == Error::CLOSED => Err(error),
                // The connection failed.
                Err(_) => Ok(false),
            }
        })
    }

    fn close(&self) {
        self.core.is_output_closed.store(true, Ordering::Release);
    }
}

fn text(bytes: Bytes) -> Result<ByteString, Error> {
    ByteString::try_from(bytes).map_err(|_| {
        let text = "this is not UTF-8, and the message type is Utf8; send it as Binary or encode it";
        Error::new(Error::INVALID_ARGUMENT, text)
    })
}

/// Sends a frame of a message in frames.
pub(crate) fn send_frame(core: Arc<Core>, buffer: Buffer, is_final: bool) -> AsyncOperation<u32> {
    let message_type = core.read(|settings| settings.message_type);
    AsyncOperation::with_progress(move |mut progress| async move {
        core.check_was_opened()?;
        let sending = core.sending()?;
        let length = buffer.length();
        // That of the first frame is that of the message.
        let message_type = core.in_frames().unwrap_or(message_type.into());
        sending.feed_part(message_type, buffer.into(), is_final).await?;
        // At once: should this be dropped from here on, the frame is on its way all the same.
        core.set_in_frames((!is_final).then_some(message_type));
        sending.flush().await?;
        progress(length);
        Ok(length)
    })
}
