//! The rules of writers (spec §17.4, §10.1).

use std::sync::Arc;
use std::time::Duration;

use wsduo_winrt::{
    Buffer, DataWriter, Error, IOutputStream, InMemoryRandomAccessStream, UnicodeEncoding, output_stream,
};

use crate::streams_support::{Sink, begin, code, done};

#[test]
fn a_store_hands_the_buffer_over_and_starts_an_empty_one() {
    let sink = Sink::new();
    let writer = DataWriter::with_stream(sink.clone());
    writer.write_string("ab").unwrap();
    writer.write_byte(b'c').unwrap();
    assert_eq!(writer.unstored_buffer_length(), 3);
    assert!(sink.written().is_empty());
    assert_eq!(done(writer.store()).unwrap(), 3);
    assert_eq!(writer.unstored_buffer_length(), 0);
    writer.write_string("d").unwrap();
    assert_eq!(done(writer.store()).unwrap(), 1);
    assert_eq!(sink.written(), [&b"abc"[..], b"d"]);
}

#[test]
fn a_store_of_nothing_is_an_empty_write() {
    let sink = Sink::new();
    assert_eq!(done(DataWriter::with_stream(sink.clone()).store()).unwrap(), 0);
    assert_eq!(sink.written(), [b""]);
}

#[test]
fn a_store_without_a_stream_fails() {
    let writer = DataWriter::new();
    writer.write_byte(1).unwrap();
    assert_eq!(code(done(writer.store())), Error::INVALID_OPERATION);
    assert_eq!(code(done(writer.flush())), Error::INVALID_OPERATION);
    assert_eq!(writer.detach_stream().err().unwrap().code(), Error::INVALID_OPERATION);
    assert_eq!(writer.detach_buffer().unwrap().as_ref(), [1]);
    assert_eq!(writer.detach_buffer().unwrap().length(), 0);
}

#[test]
fn operations_on_one_writer_must_not_overlap() {
    let sink = Sink::new();
    sink.set_full(true);
    let writer = DataWriter::with_stream(sink);
    writer.write_byte(1).unwrap();
    let store = begin(writer.store());
    assert_eq!(code(done(writer.store())), Error::INVALID_OPERATION);
    assert_eq!(code(done(writer.flush())), Error::INVALID_OPERATION);
    assert_eq!(code(writer.clone().write_byte(2)), Error::INVALID_OPERATION);
    assert_eq!(code(writer.detach_buffer()), Error::INVALID_OPERATION);
    assert_eq!(writer.detach_stream().err().unwrap().code(), Error::INVALID_OPERATION);
    // Dropped, it is over.
    drop(store);
    writer.write_byte(2).unwrap();
    writer.detach_stream().unwrap();
}

#[test]
fn a_store_dropped_before_it_began_leaves_the_bytes_in_the_writer() {
    let sink = Sink::new();
    let writer = DataWriter::with_stream(sink.clone());
    writer.write_string("ab").unwrap();
    drop(writer.store());
    assert_eq!(writer.unstored_buffer_length(), 2);
    assert_eq!(done(writer.store()).unwrap(), 2);
    assert_eq!(sink.written(), [b"ab"]);
}

#[test]
fn a_store_dropped_under_way_goes_on_in_the_next_store() {
    let sink = Sink::new();
    sink.set_full(true);
    let writer = DataWriter::with_stream(sink.clone());
    writer.write_string("ab").unwrap();
    drop(begin(writer.store()));
    drop(begin(writer.store()));
    writer.write_string("c").unwrap();
    sink.set_full(false);
    assert_eq!(done(writer.store()).unwrap(), 3);
    assert_eq!(sink.written(), [&b"ab"[..], b"c"]);
}

#[test]
fn a_store_dropped_and_tried_again_is_one_message() {
    let sink = Sink::new();
    sink.set_full(true);
    let writer = DataWriter::with_stream(sink.clone());
    writer.write_string("ab").unwrap();
    drop(begin(writer.store()));
    sink.set_full(false);
    assert_eq!(done(writer.store()).unwrap(), 2);
    assert_eq!(sink.written(), [b"ab"]);
}

#[test]
fn a_store_dropped_under_way_goes_on_in_the_next_flush() {
    let sink = Sink::new();
    sink.set_full(true);
    let writer = DataWriter::with_stream(sink.clone());
    writer.write_string("ab").unwrap();
    drop(begin(writer.store()));
    sink.set_full(false);
    writer.write_string("unstored").unwrap();
    assert!(done(writer.flush()).unwrap());
    assert_eq!(sink.written(), [b"ab"]);
    assert_eq!(writer.unstored_buffer_length(), 8);
}

#[test]
fn a_flush_is_false_if_the_data_could_not_leave() {
    let sink = Sink::new();
    let writer = DataWriter::with_stream(sink.clone());
    assert!(done(writer.flush()).unwrap());
    sink.set_broken();
    assert!(!done(writer.flush()).unwrap());
}

#[test]
fn a_writer_dropped_undetached_closes_the_stream() {
    let stream = Arc::new(InMemoryRandomAccessStream::new());
    let writer = DataWriter::with_stream(stream.clone());
    writer.write_byte(1).unwrap();
    drop(writer);
    assert_eq!(code(done(stream.write(Buffer::from("a")))), Error::CLOSED);
    assert_eq!(code(done(IOutputStream::flush(&*stream))), Error::CLOSED);
    assert_eq!(stream.size(), 0);
}

#[test]
fn a_writer_dropped_during_a_store_closes_the_stream_when_the_store_is_over() {
    let sink = Sink::new();
    sink.set_full(true);
    let writer = DataWriter::with_stream(sink.clone());
    writer.write_byte(1).unwrap();
    let store = begin(writer.store());
    drop(writer);
    assert!(!sink.is_closed());
    sink.set_full(false);
    assert_eq!(done(store).unwrap(), 1);
    assert!(sink.is_closed());
}

#[test]
fn after_close_a_writer_and_its_stream_fail() {
    let sink = Sink::new();
    let writer = DataWriter::with_stream(sink.clone());
    writer.close();
    writer.close();
    assert!(sink.is_closed());
    assert_eq!(code(writer.write_byte(1)), Error::CLOSED);
    assert_eq!(code(writer.write_bytes(&[])), Error::CLOSED);
    assert_eq!(code(writer.write_string("")), Error::CLOSED);
    assert_eq!(code(writer.measure_string("")), Error::CLOSED);
    assert_eq!(code(done(writer.store())), Error::CLOSED);
    assert_eq!(code(done(writer.flush())), Error::CLOSED);
    assert_eq!(code(writer.detach_buffer()), Error::CLOSED);
    assert_eq!(writer.detach_stream().err().unwrap().code(), Error::CLOSED);
}

#[tokio::test]
async fn a_close_ends_the_store_under_way() {
    let sink = Sink::new();
    sink.set_full(true);
    let writer = DataWriter::with_stream(sink);
    let store = tokio::spawn(writer.store());
    tokio::task::yield_now().await;
    writer.close();
    assert_eq!(code(store.await.unwrap()), Error::ABORT);
}

#[test]
fn a_detached_stream_survives_and_another_writer_can_be_made() {
    let sink = Sink::new();
    let first = DataWriter::with_stream(sink.clone());
    first.write_string("ab").unwrap();
    let second = DataWriter::with_stream(first.detach_stream().unwrap());
    assert_eq!(code(done(first.store())), Error::INVALID_OPERATION);
    assert_eq!(first.detach_buffer().unwrap().as_ref(), b"ab");
    drop(first);
    assert!(!sink.is_closed());
    second.write_string("c").unwrap();
    assert_eq!(done(second.store()).unwrap(), 1);
    assert_eq!(sink.written(), [b"c"]);
}

#[test]
fn a_piece_of_a_buffer_must_be_in_it() {
    let writer = DataWriter::new();
    let buffer = Buffer::from("abc");
    writer.write_buffer(&buffer).unwrap();
    writer.write_buffer_range(&buffer, 1, 2).unwrap();
    writer.write_buffer_range(&buffer, 3, 0).unwrap();
    for (start, count) in [(4, 0), (0, 4), (2, 2), (u32::MAX, u32::MAX)] {
        assert_eq!(code(writer.write_buffer_range(&buffer, start, count)), Error::BOUNDS);
    }
    assert_eq!(writer.detach_buffer().unwrap().as_ref(), b"abcbc");
}

#[test]
fn lengths_of_text_are_bytes_and_code_units_have_a_name_of_their_own() {
    let writer = DataWriter::new();
    for (encoding, bytes, units) in
        [(UnicodeEncoding::Utf8, 7, 7), (UnicodeEncoding::Utf16LE, 8, 4), (UnicodeEncoding::Utf16BE, 8, 4)]
    {
        writer.set_unicode_encoding(encoding);
        assert_eq!(writer.measure_string("aé😀").unwrap(), bytes);
        assert_eq!(writer.measure_code_units("aé😀").unwrap(), units);
        assert_eq!(writer.write_string("aé😀").unwrap(), bytes);
    }
}

#[tokio::test(start_paused = true)]
async fn a_tokio_writer_is_a_stream() {
    let (ours, mut theirs) = tokio::io::duplex(2);
    let stream = output_stream(ours);
    // The pipe has room for two of the three: the next write finishes what the dropped one left.
    drop(begin(stream.write(Buffer::from("abc"))));
    let mut read = vec![0; 4];
    let exchange = async {
        tokio::join!(
            stream.write(Buffer::from("d")),
            tokio::io::AsyncReadExt::read_exact(&mut theirs, &mut read)
        )
    };
    // The clock is paused: an exchange that waits for ever fails at once.
    let (written, taken) = tokio::time::timeout(Duration::from_secs(1), exchange).await.unwrap();
    assert_eq!((written.unwrap(), taken.unwrap(), &read[..]), (1, 4, &b"abcd"[..]));
    assert!(stream.flush().await.unwrap());
    stream.close();
    assert_eq!(code(stream.write(Buffer::from("e")).await), Error::CLOSED);
    assert_eq!(tokio::io::AsyncReadExt::read(&mut theirs, &mut read).await.unwrap(), 0);
}

#[tokio::test]
async fn a_flush_of_a_tokio_writer_whose_reader_is_gone_is_false() {
    let (ours, theirs) = tokio::io::duplex(1);
    let stream = output_stream(ours);
    drop(begin(stream.write(Buffer::from("abc"))));
    drop(theirs);
    assert!(!stream.flush().await.unwrap());
}
