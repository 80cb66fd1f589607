//! A reader of values over a stream, as the face of the original has it. The input is what the stream brings, then a list of
//! operations: what is loaded and read, in which order of bytes and which encoding.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};
use std::time::{Duration, SystemTime};

use arbitrary::{Arbitrary, Unstructured};
use wsduo_winrt::{
    AsyncOperation, Buffer, ByteOrder, DataReader, DataWriter, DateTime, Error, Guid, HResult, IInputStream,
    InputStreamOptions, TimeSpan, UnicodeEncoding,
};

use crate::scripted::block_on;

/// More operations than this find nothing that fewer do not.
const MOST_OPERATIONS: usize = 100;

/// Most that a reader may ask its stream for at once.
const LARGEST_READ: u32 = 64 << 10;

const FAILURE: HResult = HResult(0x8000_4005);

#[derive(Debug, Arbitrary)]
enum Operation {
    Load {
        count: u32,
        options: u8,
    },
    /// A load that is given up when it first has to wait.
    LoadAndDrop {
        count: u32,
    },
    ByteOrder {
        little: bool,
    },
    Encoding {
        number: u8,
    },
    Read(Kind),
    Bytes {
        count: u16,
    },
    Buffer {
        count: u32,
    },
    String {
        units: u32,
    },
    DetachBuffer,
    Close,
}

#[derive(Clone, Copy, Debug, Arbitrary)]
enum Kind {
    Boolean,
    Byte,
    DateTime,
    Double,
    Guid,
    Int16,
    Int32,
    Int64,
    Single,
    TimeSpan,
    Uint16,
    Uint32,
    Uint64,
}

/// What comes from the stream, by turns.
#[derive(Debug, Arbitrary)]
enum Piece {
    Bytes(Vec<u8>),
    Wait,
    Failure,
}

/// Checks that each value is what the naive reader makes of the bytes, and is written as the same bytes; that a read which
/// fails consumes nothing and says what was wrong; that no byte is lost or read twice, whatever is dropped or fails meanwhile;
/// and that no more is asked of the stream at once than memory is there for.
pub fn run(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok(pieces) = VecDeque::<Piece>::arbitrary(&mut input) else { return };
    let stream = Stream::default();
    lock(&stream.0).pieces = pieces;
    let reader = DataReader::new(Arc::new(stream.clone()));
    let mut model = Model { reader, stream, loaded: Vec::new(), closed: false };
    for _ in 0..MOST_OPERATIONS {
        if input.is_empty() {
            break;
        }
        let Ok(operation) = Operation::arbitrary(&mut input) else { break };
        model.perform(&operation);
        model.check_loaded();
    }
}

/// A stream that brings the pieces, and keeps a copy of what it brought.
#[derive(Clone, Default)]
struct Stream(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    pieces: VecDeque<Piece>,
    brought: Vec<u8>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn next(&mut self, count: u32, options: InputStreamOptions) -> Option<Result<Buffer, Error>> {
        match self.pieces.pop_front() {
            None => Some(Ok(Buffer::from(Vec::new()))),
            Some(Piece::Wait) => None,
            Some(Piece::Failure) => Some(Err(Error::new(FAILURE, "it fails"))),
            Some(Piece::Bytes(mut bytes)) => {
                let is_ahead = options.contains(InputStreamOptions::READ_AHEAD);
                let rest =
                    bytes.split_off(if is_ahead { bytes.len() } else { bytes.len().min(count as usize) });
                if !rest.is_empty() {
                    self.pieces.push_front(Piece::Bytes(rest));
                }
                self.brought.extend_from_slice(&bytes);
                Some(Ok(Buffer::from(bytes)))
            }
        }
    }
}

impl IInputStream for Stream {
    fn read(&self, count: u32, options: InputStreamOptions) -> AsyncOperation<Buffer> {
        assert!((1..=LARGEST_READ).contains(&count), "{count} bytes asked for at once");
        let stream = self.clone();
        AsyncOperation::new(std::future::poll_fn(move |_| match lock(&stream.0).next(count, options) {
            Some(result) => std::task::Poll::Ready(result),
            None => std::task::Poll::Pending,
        }))
    }

    fn close(&self) {}
}

struct Model {
    reader: DataReader,
    stream: Stream,
    /// What is to be read.
    loaded: Vec<u8>,
    closed: bool,
}

impl Model {
    fn perform(&mut self, operation: &Operation) {
        match *operation {
            Operation::Load { count, options } => self.load(count, InputStreamOptions((options & 3).into())),
            Operation::LoadAndDrop { count } => {
                let mut load = pin!(self.reader.load(count));
                let _ = load.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            }
            Operation::ByteOrder { little: true } => self.reader.set_byte_order(ByteOrder::LittleEndian),
            Operation::ByteOrder { little: false } => self.reader.set_byte_order(ByteOrder::BigEndian),
            Operation::Encoding { number } => self.reader.set_unicode_encoding(match number % 3 {
                0 => UnicodeEncoding::Utf8,
                1 => UnicodeEncoding::Utf16LE,
                _ => UnicodeEncoding::Utf16BE,
            }),
            Operation::Read(kind) => self.read(kind),
            Operation::Bytes { count } => {
                let mut bytes = vec![0; count.into()];
                let result = self.reader.read_bytes(&mut bytes).map(|()| bytes);
                self.check(count.into(), &result, |taken| Some(taken.to_vec()));
            }
            Operation::Buffer { count } => {
                let result = self.reader.read_buffer(count).map(|buffer| buffer.as_ref().to_vec());
                self.check(count as usize, &result, |taken| Some(taken.to_vec()));
            }
            Operation::String { units } => self.read_string(units),
            Operation::DetachBuffer => {
                let result = self.reader.detach_buffer().map(|buffer| buffer.as_ref().to_vec());
                self.check(self.loaded.len(), &result, |taken| Some(taken.to_vec()));
            }
            Operation::Close => {
                self.reader.close();
                self.closed = true;
                self.loaded.clear();
            }
        }
        let brought = std::mem::take(&mut lock(&self.stream.0).brought);
        self.loaded.extend(brought);
    }

    fn load(&mut self, count: u32, options: InputStreamOptions) {
        self.reader.set_input_stream_options(options);
        let before = self.loaded.len();
        let result = block_on(self.reader.load(count));
        let came = lock(&self.stream.0).brought.len();
        match result {
            Ok(loaded) => {
                assert_eq!(loaded as usize, came, "behind {before}");
                assert!(came <= count as usize || options.contains(InputStreamOptions::READ_AHEAD));
            }
            Err(error) if self.closed => assert_eq!(error.code(), Error::CLOSED),
            Err(error) => assert_eq!(error.code(), FAILURE, "{error}"),
        }
    }

    /// All bytes that came are there, and nothing else.
    fn check_loaded(&self) {
        assert_eq!(self.reader.unconsumed_buffer_length() as usize, self.loaded.len());
    }

    /// What was read is what `naive` makes of so many bytes, or nothing was consumed.
    fn check<T: PartialEq + std::fmt::Debug>(
        &mut self,
        count: usize,
        result: &Result<T, Error>,
        naive: impl FnOnce(&[u8]) -> Option<T>,
    ) {
        let expected = if self.closed {
            Err(Error::CLOSED)
        } else if let Some(taken) = self.loaded.get(..count) {
            naive(taken).ok_or(Error::NO_UNICODE_TRANSLATION)
        } else {
            Err(Error::BOUNDS)
        };
        if let Err(error) = result {
            assert!(!error.to_string().chars().any(char::is_control), "{error}");
        }
        assert_eq!(result.as_ref().map_err(Error::code), expected.as_ref().map_err(|code| *code));
        if expected.is_ok() {
            self.loaded.drain(..count);
        }
    }

    fn read_string(&mut self, units: u32) {
        let encoding = self.reader.unicode_encoding();
        let width = if encoding == UnicodeEncoding::Utf8 { 1 } else { 2 };
        let result = self.reader.read_string(units);
        if let Ok(text) = &result {
            let writer = self.writer();
            assert_eq!(writer.measure_string(text).ok(), Some(units * width));
            writer.write_string(text).expect("room");
            assert_eq!(written(&writer), self.loaded[..(units * width) as usize]);
        }
        self.check(units as usize * width as usize, &result, |bytes| {
            let pairs = || bytes.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
            match encoding {
                UnicodeEncoding::Utf8 => String::from_utf8(bytes.to_vec()).ok(),
                UnicodeEncoding::Utf16LE => {
                    String::from_utf16(&pairs().map(u16::from_le_bytes).collect::<Vec<_>>()).ok()
                }
                UnicodeEncoding::Utf16BE => {
                    String::from_utf16(&pairs().map(u16::from_be_bytes).collect::<Vec<_>>()).ok()
                }
            }
        });
    }

    fn writer(&self) -> DataWriter {
        let writer = DataWriter::new();
        writer.set_byte_order(self.reader.byte_order());
        writer.set_unicode_encoding(self.reader.unicode_encoding());
        writer
    }

    /// Reads a value, and writes it: the bytes are the same, and so many.
    fn read(&mut self, kind: Kind) {
        let (reader, writer) = (&self.reader, self.writer());
        let (width, result) = match kind {
            Kind::Boolean => (1, reader.read_boolean().and_then(|it| writer.write_boolean(it))),
            Kind::Byte => (1, reader.read_byte().and_then(|it| writer.write_byte(it))),
            Kind::DateTime => {
                (8, reader.read_date_time().inspect(check_time).and_then(|it| writer.write_date_time(it)))
            }
            Kind::Double => (8, reader.read_double().and_then(|it| writer.write_double(it))),
            Kind::Guid => (16, reader.read_guid().inspect(check_guid).and_then(|it| writer.write_guid(it))),
            Kind::Int16 => (2, reader.read_int16().and_then(|it| writer.write_int16(it))),
            Kind::Int32 => (4, reader.read_int32().and_then(|it| writer.write_int32(it))),
            Kind::Int64 => (8, reader.read_int64().and_then(|it| writer.write_int64(it))),
            Kind::Single => (4, reader.read_single().and_then(|it| writer.write_single(it))),
            Kind::TimeSpan => {
                (8, reader.read_time_span().inspect(check_span).and_then(|it| writer.write_time_span(it)))
            }
            Kind::Uint16 => (2, reader.read_uint16().and_then(|it| writer.write_uint16(it))),
            Kind::Uint32 => (4, reader.read_uint32().and_then(|it| writer.write_uint32(it))),
            Kind::Uint64 => (8, reader.read_uint64().and_then(|it| writer.write_uint64(it))),
        };
        let is_boolean = matches!(kind, Kind::Boolean);
        self.check(width, &result.map(|()| written(&writer)), |bytes| {
            Some(if is_boolean { vec![u8::from(bytes[0] != 0)] } else { bytes.to_vec() })
        });
    }
}

fn written(writer: &DataWriter) -> Vec<u8> {
    writer.detach_buffer().expect("nothing is under way").as_ref().to_vec()
}

/// Every point in time can be told by the clock of the system, if that is not Windows, and back.
fn check_time(time: &DateTime) {
    if let Ok(system) = SystemTime::try_from(*time) {
        assert_eq!(DateTime::try_from(system).ok(), Some(*time));
    } else {
        // Its clock begins in 1601.
        assert!(cfg!(windows) && time.universal_time < 0);
    }
}

fn check_span(span: &TimeSpan) {
    let duration = Duration::try_from(*span).ok();
    assert_eq!(duration.is_some(), span.duration >= 0);
    assert_eq!(duration.and_then(|duration| TimeSpan::try_from(duration).ok()), duration.map(|_| *span));
}

fn check_guid(guid: &Guid) {
    assert_eq!(Guid::from_u128(guid.to_u128()), *guid);
    let digits = guid.to_string().replace('-', "");
    assert_eq!(u128::from_str_radix(&digits, 16).ok(), Some(guid.to_u128()));
}
