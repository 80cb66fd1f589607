//! The WebSockets that Microsoft documents for UWP (`Windows.Networking.Sockets`), by their own names and
//! with their own rules, on every platform: a thin face over [`wsduo`].
//!
//! For porting: every noun of the original is here, in snake case and without `Async`, with its rules and its
//! numbers. New programs are better off with [`wsduo`] itself, whose types leave less to get wrong.
//!
//! `docs/porting-from-uwp.md` in the repository is the guide: the samples of the original, told in both crates, and a table of every
//! member with its name here and there.
//!
//! # A client for messages
//! ```no_run
//! use wsduo_winrt::{DataWriter, MessageWebSocket, SocketMessageType};
//!
//! # async fn example() -> Result<(), wsduo_winrt::Error> {
//! let socket = MessageWebSocket::new();
//! socket.control().set_message_type(SocketMessageType::Utf8);
//! socket.message_received(|socket, args| async move {
//!     // An error of the connection shows itself here.
//!     match args.get_data_reader().and_then(|reader| reader.read_string(reader.unconsumed_buffer_length())) {
//!         Ok(text) => println!("received {text}"),
//!         Err(error) => println!("{:?}", error.status()),
//!     }
//!     let _ = socket.close_with_status(1000, "done");
//! })?;
//! socket.closed(|_, args| async move { println!("closed: {} {}", args.code(), args.reason()) })?;
//! socket.connect("wss://example.org/echo").await?;
//!
//! let writer = DataWriter::with_stream(socket.output_stream());
//! writer.write_string("Hello, World!")?;
//! writer.store().await?; // one message
//! writer.detach_stream()?; // or the writer would close the stream
//! # Ok(())
//! # }
//! ```
//! [`StreamWebSocket`] is the client for streams of bytes; [`ServerMessageWebSocket`] and
//! [`ServerStreamWebSocket`] are made of the request of a client.
//!
//! # What is as in the original, and what is not
//!
//! * Handlers are added before connecting; settings are fixed by it, but for the message type. Later calls
//!   fail with [`Error::ILLEGAL_METHOD_CALL`], or have no effect where the original's have none.
//! * One write, or one [`store`](DataWriter::store), is one message. A writer or reader that is dropped
//!   undetached closes its stream.
//! * The progress of a write is told once, when all of it has been taken: a message is queued as a whole.
//! * Handlers are closures that return a future: `|socket, args| async move { … }`. They are called one at a
//!   time, and the next message is not received before. In the original a handler that fails kills the
//!   process; here a panic is told by the hook of the process and nothing else happens.
//! * A connection is received by a task of tokio, begun by `connect`, which has to be awaited within a
//!   runtime.
//! * `Closed` is raised in every ending, once, after everything else: for a lost connection too, with 1006,
//!   where the original raises nothing.
//! * A property that is null in the original is `None` here, and what throws is an `Err` with the same
//!   `HRESULT`, as far as it is known.
//! * What Windows itself decides, such as the trust store, the proxy and the timeouts, is the [`Platform`]'s.
//!
//! # What means nothing off Windows
//!
//! | In the original | Here | Why |
//! |---|---|---|
//! | `ControlChannelTrigger`, `WebSocketKeepAlive` | not there | A broker of the system keeps the socket of a suspended app; no other system has one, and Windows supports it no more |
//! | `TransferOwnership`, the socket broker, socket activity tasks | not there | They never were for WebSockets |
//! | App capabilities (`internetClient` and others), background tasks | not there | There is no app container |
//! | Marshalling to the thread of a user interface | not there | The runtime decides where tasks run |
//! | Certificate stores | [`Certificate`] is made of an [`Identity`], from PEM or PKCS#12 | Other systems keep keys in files |
//! | `BandwidthStatistics` | [what Linux tells](BandwidthStatistics), elsewhere all zero | As on Windows where extended TCP statistics are off |
//! | `PasswordCredential.RetrievePassword` | does nothing | There is no vault; the password is at hand |
//! | `HostName.IPInformation` | not there | It tells of network adapters, and is null for the address of a connection |
//! | `Closed` as a member of `IWebSocket` | not there | Its handlers are told the socket itself, and not the interface: add them to the socket |
//! | `HostNameType.Bluetooth` | never returned | Its number is kept |
//! | The proxy of the system | the environment's, then the system's | The original offers nothing else; the [`Platform`] does |
//! | The object of an operation (`Id`, `Completed`, `GetResults`) | a future | Awaiting it is all of that |

mod bandwidth;
mod buffer;
mod certificate;
mod client;
mod control;
mod core;
mod data_reader;
mod data_writer;
mod date_time;
mod encoding;
mod enums;
mod error;
mod events;
mod guid;
mod handlers;
mod information;
mod input;
mod memory_stream;
mod message_web_socket;
mod names;
mod operation;
mod output;
mod owner;
mod platform;
mod receiving;
mod server;
mod settings;
mod stream_web_socket;
mod streams;
mod tokio_streams;
mod validation;
mod vector;
mod web_socket;

pub use bandwidth::BandwidthStatistics;
pub use buffer::{Buffer, IBuffer};
pub use certificate::Certificate;
pub use control::{MessageWebSocketControl, StreamWebSocketControl};
pub use data_reader::{DataReader, DataReaderLoadOperation};
pub use data_writer::{DataWriter, DataWriterStoreOperation};
pub use date_time::{DateTime, TimeSpan};
pub use encoding::{ByteOrder, UnicodeEncoding};
pub use enums::{
    ChainValidationResult, HostNameType, MessageWebSocketReceiveMode, SocketMessageType,
    SocketSslErrorSeverity,
};
pub use error::Error;
pub use events::{MessageWebSocketMessageReceivedEventArgs, WebSocketClosedEventArgs};
pub use guid::Guid;
pub use handlers::EventToken;
pub use information::{
    MessageWebSocketInformation, ServerMessageWebSocketInformation, ServerStreamWebSocketInformation,
    StreamWebSocketInformation,
};
pub use memory_stream::InMemoryRandomAccessStream;
pub use message_web_socket::MessageWebSocket;
pub use names::{HostName, PasswordCredential};
pub use operation::{AsyncOperation, AsyncStatus};
pub use platform::Platform;
pub use server::{
    ServerMessageWebSocket, ServerMessageWebSocketControl, ServerMessageWebSocketOptions,
    ServerStreamWebSocket, ServerStreamWebSocketOptions,
};
pub use stream_web_socket::StreamWebSocket;
pub use streams::{IInputStream, IOutputStream, InputStreamOptions};
pub use tokio_streams::{input_stream, output_stream};
pub use validation::{Deferral, WebSocketServerCustomValidationRequestedEventArgs};
pub use vector::Vector;
pub use web_socket::{
    IWebSocket, IWebSocketControl, IWebSocketInformation, IWebSocketInformation2, WebSocketError,
};
pub use wsduo::{HResult, Identity, WebErrorStatus};

/// Compiles what the guide shows.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/porting-from-uwp.md")]
struct PortingGuide;
