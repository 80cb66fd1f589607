//! The WebSockets that Microsoft documents for UWP (`Windows.Networking.Sockets`), by their own names and with their own
//! rules, on every platform: a thin face over [`wsduo`].

mod buffer;
mod data_reader;
mod data_writer;
mod date_time;
mod encoding;
mod error;
mod guid;
mod memory_stream;
mod operation;
mod owner;
mod streams;
mod tokio_streams;

pub use buffer::{Buffer, IBuffer};
pub use data_reader::{DataReader, DataReaderLoadOperation};
pub use data_writer::{DataWriter, DataWriterStoreOperation};
pub use date_time::{DateTime, TimeSpan};
pub use encoding::{ByteOrder, UnicodeEncoding};
pub use error::Error;
pub use guid::Guid;
pub use memory_stream::InMemoryRandomAccessStream;
pub use operation::{AsyncOperation, AsyncStatus};
pub use streams::{IInputStream, IOutputStream, InputStreamOptions};
pub use tokio_streams::{input_stream, output_stream};
pub use wsduo::{HResult, WebErrorStatus};
