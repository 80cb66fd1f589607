//! The rules of readers (spec §17.4, §10.1).

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use wsduo_winrt::{
    DataReader, Error, IInputStream, InMemoryRandomAccessStream, InputStreamOptions, UnicodeEncoding,
    input_stream,
};

use crate::streams_support::{Source, begin, code, done, poll};

fn bytes_of(reader: &DataReader) -> Vec<u8> {
    reader.detach_buffer().unwrap().as_ref().to_vec()
}

#[test]
fn reads_without_load_fail() {
    let reader = DataReader::new(Source::of(&[b"abc"]));
    assert_eq!(code(reader.read_byte()), Error::BOUNDS);
    assert_eq!(reader.read_bytes(&mut []).ok(), Some(()));
    assert_eq!(done(reader.load(3)).unwrap(), 3);
    assert_eq!(reader.read_byte().unwrap(), b'a');
}

#[test]
fn a_read_that_fails_consumes_nothing() {
    let reader = DataReader::from_buffer("abc");
    assert_eq!(code(reader.read_bytes(&mut [0; 4])), Error::BOUNDS);
    assert_eq!(code(reader.read_buffer(4)), Error::BOUNDS);
    assert_eq!(code(reader.read_buffer(u32::MAX)), Error::BOUNDS);
    assert_eq!(code(reader.read_string(u32::MAX)), Error::BOUNDS);
    assert_eq!(code(reader.read_uint32()), Error::BOUNDS);
    assert_eq!(code(reader.read_guid()), Error::BOUNDS);
    reader.set_unicode_encoding(UnicodeEncoding::Utf16LE);
    assert_eq!(code(reader.read_string(2)), Error::BOUNDS);
    assert_eq!(bytes_of(&reader), b"abc");
}

#[test]
fn what_is_not_text_fails_and_consumes_nothing() {
    for (encoding, bytes, units) in [
        (UnicodeEncoding::Utf8, &b"a\xff"[..], 2),
        (UnicodeEncoding::Utf8, "é".as_bytes(), 1),
        (UnicodeEncoding::Utf16LE, b"\x3d\xd8\x00\xde", 1),
        (UnicodeEncoding::Utf16BE, b"\xdc\x00", 1),
    ] {
        let reader = DataReader::from_buffer(bytes.to_vec());
        reader.set_unicode_encoding(encoding);
        assert_eq!(code(reader.read_string(units)), Error::NO_UNICODE_TRANSLATION);
        assert_eq!(bytes_of(&reader), bytes);
    }
}

#[test]
fn a_load_appends_behind_unread_data() {
    let reader = DataReader::new(Source::of(&[b"abc", b"def"]));
    done(reader.load(3)).unwrap();
    assert_eq!(reader.read_byte().unwrap(), b'a');
    done(reader.load(3)).unwrap();
    assert_eq!(reader.unconsumed_buffer_length(), 5);
    assert_eq!(reader.read_string(5).unwrap(), "bcdef");
}

#[test]
fn a_short_load_at_the_end_of_the_stream_is_no_error() {
    let reader = DataReader::new(Source::of(&[b"ab", b"c"]));
    assert_eq!(done(reader.load(10)).unwrap(), 3);
    assert_eq!(done(reader.load(10)).unwrap(), 0);
    assert_eq!(reader.unconsumed_buffer_length(), 3);
}

#[test]
fn a_load_waits_for_all_bytes_unless_it_is_partial() {
    let source = Source::open(&[b"ab"]);
    let reader = DataReader::new(source.clone());
    let load = begin(reader.load(4));
    assert_eq!(reader.unconsumed_buffer_length(), 2);
    drop(load);

    source.push(b"c");
    reader.set_input_stream_options(InputStreamOptions::PARTIAL);
    assert_eq!(done(reader.load(4)).unwrap(), 1);
    drop(begin(reader.load(4)));
    assert_eq!(bytes_of(&reader), b"abc");
}

#[test]
fn a_load_that_reads_ahead_may_bring_more() {
    let source = Source::of(&[b"abcdef"]);
    let reader = DataReader::new(source.clone());
    reader.set_input_stream_options(InputStreamOptions::READ_AHEAD);
    assert_eq!(done(reader.load(2)).unwrap(), 6);
    let options = InputStreamOptions::READ_AHEAD | InputStreamOptions::PARTIAL;
    assert_eq!(source.asked(), [(2, options)]);
}

#[test]
fn a_load_of_nothing_does_not_touch_the_stream() {
    let source = Source::open(&[]);
    assert_eq!(done(DataReader::new(source.clone()).load(0)).unwrap(), 0);
    assert!(source.asked().is_empty());
}

#[test]
fn a_load_of_four_gibibytes_asks_for_little_at_a_time() {
    let source = Source::of(&[b"abc"]);
    let reader = DataReader::new(source.clone());
    assert_eq!(done(reader.load(u32::MAX)).unwrap(), 3);
    assert!(source.asked().iter().all(|(count, _)| *count <= 64 * 1024));
}

#[test]
fn a_load_that_is_dropped_loses_nothing() {
    let source = Source::open(&[b"ab"]);
    let reader = DataReader::new(source.clone());
    drop(begin(reader.load(4)));
    source.push(b"cd");
    assert_eq!(done(reader.load(2)).unwrap(), 2);
    assert_eq!(bytes_of(&reader), b"abcd");
}

#[test]
fn a_load_tells_its_progress() {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let reader = DataReader::new(Source::of(&[b"ab", b"cd"]));
    done(reader.load(4).progress(move |loaded| sink.lock().unwrap().push(loaded))).unwrap();
    assert_eq!(*seen.lock().unwrap(), [2, 4]);
}

#[test]
fn operations_on_one_reader_must_not_overlap() {
    let reader = DataReader::new(Source::open(&[b"ab"]));
    let load = begin(reader.load(3));
    assert_eq!(code(done(reader.load(1))), Error::INVALID_OPERATION);
    assert_eq!(code(reader.clone().read_byte()), Error::INVALID_OPERATION);
    assert_eq!(code(reader.detach_buffer()), Error::INVALID_OPERATION);
    assert_eq!(reader.detach_stream().err().unwrap().code(), Error::INVALID_OPERATION);
    // Dropped, it is over.
    drop(load);
    assert_eq!(reader.read_byte().unwrap(), b'a');
    reader.detach_stream().unwrap();
}

#[test]
fn an_operation_that_nobody_awaits_has_not_begun() {
    let reader = DataReader::new(Source::of(&[b"ab"]));
    let first = reader.load(1);
    assert_eq!(done(reader.load(2)).unwrap(), 2);
    assert_eq!(done(first).unwrap(), 0);
}

#[test]
fn a_reader_dropped_undetached_closes_the_stream() {
    let stream = Arc::new(InMemoryRandomAccessStream::new());
    let reader = DataReader::new(stream.clone());
    let clone = reader.clone();
    drop(reader);
    done(clone.load(1)).unwrap();
    drop(clone);
    assert_eq!(code(done(stream.read(1, InputStreamOptions::NONE))), Error::CLOSED);
}

#[test]
fn after_close_a_reader_and_its_stream_fail() {
    let source = Source::of(&[b"ab"]);
    let reader = DataReader::new(source.clone());
    done(reader.load(2)).unwrap();
    reader.close();
    reader.close();
    assert!(source.is_closed());
    assert_eq!(code(done(reader.load(1))), Error::CLOSED);
    assert_eq!(code(reader.read_byte()), Error::CLOSED);
    assert_eq!(code(reader.read_bytes(&mut [])), Error::CLOSED);
    assert_eq!(code(reader.read_buffer(0)), Error::CLOSED);
    assert_eq!(code(reader.read_string(0)), Error::CLOSED);
    assert_eq!(code(reader.detach_buffer()), Error::CLOSED);
    assert_eq!(reader.detach_stream().err().unwrap().code(), Error::CLOSED);
    assert_eq!(reader.unconsumed_buffer_length(), 0);
}

#[tokio::test]
async fn a_close_ends_the_load_under_way() {
    let reader = DataReader::new(Source::open(&[]));
    let load = tokio::spawn(reader.load(1));
    tokio::task::yield_now().await;
    reader.close();
    assert_eq!(code(load.await.unwrap()), Error::ABORT);
}

#[test]
fn a_detached_stream_survives_and_another_reader_can_be_made() {
    let source = Source::of(&[b"ab", b"cd"]);
    let first = DataReader::new(source.clone());
    done(first.load(2)).unwrap();
    let second = DataReader::new(first.detach_stream().unwrap());
    assert_eq!(first.read_string(2).unwrap(), "ab");
    assert_eq!(code(done(first.load(1))), Error::INVALID_OPERATION);
    drop(first);
    assert_eq!(done(second.load(2)).unwrap(), 2);
    assert!(!source.is_closed());
}

#[test]
fn a_detached_buffer_outlives_the_reader() {
    let reader = DataReader::from_buffer("abc");
    reader.read_byte().unwrap();
    let read = reader.read_buffer(1).unwrap();
    let rest = reader.detach_buffer().unwrap();
    assert_eq!(reader.unconsumed_buffer_length(), 0);
    drop(reader);
    assert_eq!((read.as_ref(), rest.as_ref()), (&b"b"[..], &b"c"[..]));
}

#[test]
fn a_reader_of_a_buffer_has_no_stream() {
    let reader = DataReader::from_buffer("abc");
    assert_eq!(code(done(reader.load(1))), Error::INVALID_OPERATION);
    assert_eq!(reader.detach_stream().err().unwrap().code(), Error::INVALID_OPERATION);
}

#[tokio::test]
async fn a_tokio_reader_is_a_stream() {
    let (ours, mut theirs) = tokio::io::duplex(64);
    let stream = input_stream(ours);
    let mut read = stream.read(4, InputStreamOptions::NONE);
    tokio::io::AsyncWriteExt::write_all(&mut theirs, b"abc").await.unwrap();
    assert!(poll(&mut read).is_pending());
    drop(read);
    // What the dropped read took is read next.
    let partial = stream.read(10, InputStreamOptions::PARTIAL).await.unwrap();
    assert_eq!(partial.as_ref(), b"abc");
    drop(theirs);
    assert_eq!(stream.read(u32::MAX, InputStreamOptions::NONE).await.unwrap().length(), 0);
    stream.close();
    assert_eq!(code(stream.read(1, InputStreamOptions::NONE).await), Error::CLOSED);
}

proptest! {
    #[test]
    fn loads_dropped_at_any_time_neither_lose_nor_repeat_a_byte(
        pieces in vec(vec(any::<u8>(), 1..20), 0..8),
        loads in vec((1..30_u32, 0..3_u32), 1..12),
    ) {
        let source = Source::open(&[]);
        let reader = DataReader::new(source.clone());
        let mut pieces = pieces.iter();
        let (mut given, mut read) = (Vec::new(), Vec::new());
        for (count, options) in loads {
            reader.set_input_stream_options(InputStreamOptions(options));
            if let Some(piece) = pieces.next() {
                source.push(piece);
                given.extend(piece);
            }
            // Polled once, then dropped: over or not.
            let _ = poll(&mut reader.load(count));
            if count % 2 == 0 {
                read.extend(bytes_of(&reader));
            }
        }
        let _ = poll(&mut reader.load(u32::MAX));
        read.extend(bytes_of(&reader));
        prop_assert_eq!(read, given);
    }
}
