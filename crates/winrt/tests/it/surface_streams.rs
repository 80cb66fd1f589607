//! Every member of the original's streams (spec §1, §17) by its name here, with its default: one line each,
//! counted.
//!
//! A member that is missing does not compile, as each line names it with its type; one that is left out of a
//! table is missed in the count.

use std::sync::Arc;

use wsduo_winrt::{
    AsyncOperation, AsyncStatus, Buffer, ByteOrder, DataReader, DataReaderLoadOperation, DataWriter,
    DataWriterStoreOperation, DateTime, Error, Guid, HResult, IBuffer, IInputStream, IOutputStream,
    InputStreamOptions, TimeSpan, UnicodeEncoding,
};

use crate::streams_support::{Sink, Source, done};

/// Members by the names of the original, and how many of them there are. `as` fixes the type of each, and one
/// name is one member.
macro_rules! members {
    ($count:literal: $($name:literal => $member:expr),* $(,)?) => {{
        $(let _ = $member;)*
        let names = std::collections::BTreeSet::from([$($name),*]);
        assert_eq!((names.len(), [$($name),*].len()), ($count, $count));
    }};
}

type Fails<T> = Result<T, Error>;
type Read<T> = fn(&DataReader) -> Fails<T>;
type Write<T> = fn(&DataWriter, T) -> Fails<()>;

#[test]
fn a_data_reader_has_26_members() {
    members! { 26:
        "DataReader(stream)" => DataReader::new as fn(Arc<dyn IInputStream>) -> DataReader,
        "FromBuffer" => DataReader::from_buffer as fn(Buffer) -> DataReader,
        "ByteOrder" => (
            DataReader::byte_order as fn(&DataReader) -> ByteOrder,
            DataReader::set_byte_order as fn(&DataReader, ByteOrder),
        ),
        "UnicodeEncoding" => (
            DataReader::unicode_encoding as fn(&DataReader) -> UnicodeEncoding,
            DataReader::set_unicode_encoding as fn(&DataReader, UnicodeEncoding),
        ),
        "InputStreamOptions" => (
            DataReader::input_stream_options as fn(&DataReader) -> InputStreamOptions,
            DataReader::set_input_stream_options as fn(&DataReader, InputStreamOptions),
        ),
        "UnconsumedBufferLength" => DataReader::unconsumed_buffer_length as fn(&DataReader) -> u32,
        "LoadAsync" => DataReader::load as fn(&DataReader, u32) -> DataReaderLoadOperation,
        "ReadBoolean" => DataReader::read_boolean as Read<bool>,
        "ReadByte" => DataReader::read_byte as Read<u8>,
        "ReadBytes" => DataReader::read_bytes as fn(&DataReader, &mut [u8]) -> Fails<()>,
        "ReadBuffer" => DataReader::read_buffer as fn(&DataReader, u32) -> Fails<IBuffer>,
        "ReadDateTime" => DataReader::read_date_time as Read<DateTime>,
        "ReadDouble" => DataReader::read_double as Read<f64>,
        "ReadGuid" => DataReader::read_guid as Read<Guid>,
        "ReadInt16" => DataReader::read_int16 as Read<i16>,
        "ReadInt32" => DataReader::read_int32 as Read<i32>,
        "ReadInt64" => DataReader::read_int64 as Read<i64>,
        "ReadSingle" => DataReader::read_single as Read<f32>,
        "ReadString" => DataReader::read_string as fn(&DataReader, u32) -> Fails<String>,
        "ReadTimeSpan" => DataReader::read_time_span as Read<TimeSpan>,
        "ReadUInt16" => DataReader::read_uint16 as Read<u16>,
        "ReadUInt32" => DataReader::read_uint32 as Read<u32>,
        "ReadUInt64" => DataReader::read_uint64 as Read<u64>,
        "DetachBuffer" => DataReader::detach_buffer as Read<IBuffer>,
        "DetachStream" => DataReader::detach_stream as Read<Arc<dyn IInputStream>>,
        "Close" => DataReader::close as fn(&DataReader),
    }
    for reader in [DataReader::new(Source::of(&[])), DataReader::from_buffer("")] {
        assert_eq!(reader.byte_order(), ByteOrder::BigEndian);
        assert_eq!(reader.unicode_encoding(), UnicodeEncoding::Utf8);
        assert_eq!(reader.input_stream_options(), InputStreamOptions::NONE);
        assert_eq!(reader.unconsumed_buffer_length(), 0);
    }
}

#[test]
fn a_data_writer_has_28_members() {
    members! { 28:
        "DataWriter()" => DataWriter::new as fn() -> DataWriter,
        "DataWriter(stream)" => DataWriter::with_stream as fn(Arc<dyn IOutputStream>) -> DataWriter,
        "ByteOrder" => (
            DataWriter::byte_order as fn(&DataWriter) -> ByteOrder,
            DataWriter::set_byte_order as fn(&DataWriter, ByteOrder),
        ),
        "UnicodeEncoding" => (
            DataWriter::unicode_encoding as fn(&DataWriter) -> UnicodeEncoding,
            DataWriter::set_unicode_encoding as fn(&DataWriter, UnicodeEncoding),
        ),
        "UnstoredBufferLength" => DataWriter::unstored_buffer_length as fn(&DataWriter) -> u32,
        "WriteBoolean" => DataWriter::write_boolean as Write<bool>,
        "WriteByte" => DataWriter::write_byte as Write<u8>,
        "WriteBytes" => DataWriter::write_bytes as fn(&DataWriter, &[u8]) -> Fails<()>,
        "WriteBuffer(buffer)" => DataWriter::write_buffer as fn(&DataWriter, &IBuffer) -> Fails<()>,
        "WriteBuffer(buffer, start, count)" =>
            DataWriter::write_buffer_range as fn(&DataWriter, &IBuffer, u32, u32) -> Fails<()>,
        "WriteDateTime" => DataWriter::write_date_time as Write<DateTime>,
        "WriteDouble" => DataWriter::write_double as Write<f64>,
        "WriteGuid" => DataWriter::write_guid as Write<Guid>,
        "WriteInt16" => DataWriter::write_int16 as Write<i16>,
        "WriteInt32" => DataWriter::write_int32 as Write<i32>,
        "WriteInt64" => DataWriter::write_int64 as Write<i64>,
        "WriteSingle" => DataWriter::write_single as Write<f32>,
        "WriteString" => DataWriter::write_string as fn(&DataWriter, &str) -> Fails<u32>,
        "WriteTimeSpan" => DataWriter::write_time_span as Write<TimeSpan>,
        "WriteUInt16" => DataWriter::write_uint16 as Write<u16>,
        "WriteUInt32" => DataWriter::write_uint32 as Write<u32>,
        "WriteUInt64" => DataWriter::write_uint64 as Write<u64>,
        "MeasureString" => DataWriter::measure_string as fn(&DataWriter, &str) -> Fails<u32>,
        "StoreAsync" => DataWriter::store as fn(&DataWriter) -> DataWriterStoreOperation,
        "FlushAsync" => DataWriter::flush as fn(&DataWriter) -> AsyncOperation<bool>,
        "DetachBuffer" => DataWriter::detach_buffer as fn(&DataWriter) -> Fails<IBuffer>,
        "DetachStream" => DataWriter::detach_stream as fn(&DataWriter) -> Fails<Arc<dyn IOutputStream>>,
        "Close" => DataWriter::close as fn(&DataWriter),
    }
    for writer in [DataWriter::new(), DataWriter::with_stream(Sink::new())] {
        assert_eq!(writer.byte_order(), ByteOrder::BigEndian);
        assert_eq!(writer.unicode_encoding(), UnicodeEncoding::Utf8);
        assert_eq!(writer.unstored_buffer_length(), 0);
    }
}

/// Awaiting gives what `GetResults` gives, and goes on where a `Completed` handler would.
async fn results(operation: AsyncOperation<u32>) -> Fails<u32> {
    operation.await
}

#[test]
fn operations_of_readers_and_writers_have_7_members() {
    // Both are the same type, so that one table serves for both.
    let _: fn(DataReaderLoadOperation) -> DataWriterStoreOperation = |operation| operation;
    members! { 7:
        // Where an operation is kept tells it from others.
        "Id" => std::ptr::from_ref as fn(&AsyncOperation<u32>) -> *const AsyncOperation<u32>,
        "Status" => AsyncOperation::status as fn(&AsyncOperation<u32>) -> AsyncStatus,
        "ErrorCode" => AsyncOperation::error_code as fn(&AsyncOperation<u32>) -> Option<HResult>,
        "Completed" => results,
        "GetResults" => results,
        "Cancel" => AsyncOperation::cancel as fn(&mut AsyncOperation<u32>),
        "Close" => drop as fn(AsyncOperation<u32>),
    }
}

#[test]
fn a_buffer_has_5_members_of_which_an_ibuffer_has_2() {
    members! { 5:
        "Buffer(capacity)" => Buffer::new as fn(u32) -> Buffer,
        "Capacity" => Buffer::capacity as fn(&Buffer) -> u32,
        "Length" => (Buffer::length as fn(&Buffer) -> u32, Buffer::set_length as fn(&mut Buffer, u32) -> Fails<()>),
        "CreateCopyFromMemoryBuffer" => Buffer::create_copy_from_memory_buffer as fn(&[u8]) -> Buffer,
        "CreateMemoryBufferOverIBuffer" =>
            Buffer::create_memory_buffer_over_ibuffer as for<'a> fn(&'a IBuffer) -> &'a [u8],
    }
    members! { 2:
        "Capacity" => IBuffer::capacity as fn(&IBuffer) -> u32,
        "Length" => (IBuffer::length as fn(&IBuffer) -> u32, IBuffer::set_length as fn(&mut IBuffer, u32) -> Fails<()>),
    }
    assert_eq!((Buffer::new(9).capacity(), Buffer::new(9).length()), (9, 0));
}

#[test]
fn streams_have_1_and_2_members_and_close() {
    members! { 2:
        "ReadAsync" => <dyn IInputStream>::read
            as fn(&(dyn IInputStream + 'static), u32, InputStreamOptions) -> AsyncOperation<Buffer>,
        "Close" => <dyn IInputStream>::close as fn(&(dyn IInputStream + 'static)),
    }
    members! { 3:
        "WriteAsync" => <dyn IOutputStream>::write as fn(&(dyn IOutputStream + 'static), Buffer) -> AsyncOperation<u32>,
        "FlushAsync" => <dyn IOutputStream>::flush as fn(&(dyn IOutputStream + 'static)) -> AsyncOperation<bool>,
        "Close" => <dyn IOutputStream>::close as fn(&(dyn IOutputStream + 'static)),
    }
}

#[test]
fn every_enum_has_the_numbers_of_the_original() {
    assert_eq!([ByteOrder::LittleEndian, ByteOrder::BigEndian].map(|value| value as i32), [0, 1]);
    let encodings = [UnicodeEncoding::Utf8, UnicodeEncoding::Utf16LE, UnicodeEncoding::Utf16BE];
    assert_eq!(encodings.map(|value| value as i32), [0, 1, 2]);
    let options = [InputStreamOptions::NONE, InputStreamOptions::PARTIAL, InputStreamOptions::READ_AHEAD];
    assert_eq!(options.map(|value| value.0), [0, 1, 2]);
    let statuses = [AsyncStatus::Started, AsyncStatus::Completed, AsyncStatus::Canceled, AsyncStatus::Error];
    assert_eq!(statuses.map(|value| value as i32), [0, 1, 2, 3]);
}

#[test]
fn everything_may_be_used_from_any_thread() {
    fn agile<T: Send + Sync>() {}
    agile::<(DataReader, DataWriter, Buffer, Arc<dyn IInputStream>, Arc<dyn IOutputStream>)>();
    fn sendable<T: Send>(_: &T) {}
    sendable(&DataReader::from_buffer("").load(0));
    assert!(done(DataWriter::with_stream(Sink::new()).flush()).unwrap());
}
