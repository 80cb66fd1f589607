//! What `docs/porting-from-uwp.md` says of names: each is there, and none of the original's members is left out.

use std::collections::BTreeSet;

const GUIDE: &str = include_str!("../../../../docs/porting-from-uwp.md");

/// Whose names the guide speaks of beside ours.
const OF_OTHERS: &[&str] =
    &["AsyncReadExt", "AsyncWriteExt", "Buf", "BufMut", "Bytes", "BytesMut", "String", "Vec", "str"];

/// Names as the guide writes them. One that is not there does not compile: a function is named, or called with these arguments, which
/// have only types; a field is looked at.
macro_rules! names {
    ($($type:ident $(::$member:ident)? $(.$field:ident)? $(($($argument:expr),*))?,)*) => {
        &[$({
            names!(@use $type $(::$member)? $(.$field)? $(($($argument),*))?);
            concat!(stringify!($type) $(, "::", stringify!($member))? $(, ".", stringify!($field))?)
        }),*]
    };
    (@use $type:ident::$member:ident) => { let _ = $type::$member; };
    (@use $type:ident.$field:ident) => { let _ = |it: $type| it.$field; };
    (@use $type:ident::$member:ident($($argument:expr),*)) => { let _ = || $type::$member($($argument),*); };
}

/// In place of an argument, in what is never called.
fn any<T>() -> T {
    unreachable!("nothing here is called")
}

mod here {
    use wsduo::Request;
    use wsduo_winrt::{
        BandwidthStatistics, Buffer, Certificate, DataReader, DataWriter, DateTime, Deferral, Error, Guid,
        HostName, IInputStream, IOutputStream, IWebSocket, IWebSocketControl, IWebSocketInformation,
        InputStreamOptions, MessageWebSocket, MessageWebSocketControl, MessageWebSocketInformation,
        MessageWebSocketMessageReceivedEventArgs, PasswordCredential, Platform, ServerMessageWebSocket,
        ServerMessageWebSocketControl, ServerMessageWebSocketInformation, ServerStreamWebSocket,
        ServerStreamWebSocketInformation, StreamWebSocket, StreamWebSocketControl,
        StreamWebSocketInformation, TimeSpan, WebSocketClosedEventArgs, WebSocketError,
        WebSocketServerCustomValidationRequestedEventArgs,
    };

    use super::any;

    type AsyncOperation = wsduo_winrt::AsyncOperation<u32>;

    pub(super) const NAMES: &[&str] = names! {
        AsyncOperation::cancel, AsyncOperation::error_code, AsyncOperation::progress(any(), |_| ()),
        AsyncOperation::status,
        BandwidthStatistics.inbound_bandwidth_peaked, BandwidthStatistics.inbound_bits_per_second,
        BandwidthStatistics.inbound_bits_per_second_instability,
        BandwidthStatistics.outbound_bandwidth_peaked, BandwidthStatistics.outbound_bits_per_second,
        BandwidthStatistics.outbound_bits_per_second_instability,
        Buffer::capacity, Buffer::create_copy_from_memory_buffer, Buffer::create_memory_buffer_over_ibuffer,
        Buffer::from(""), Buffer::length, Buffer::new, Buffer::set_length,
        Certificate::get_certificate_blob, Certificate::get_hash_value, Certificate::get_hash_value_by,
        Certificate::issuer, Certificate::serial_number, Certificate::subject, Certificate::valid_from,
        Certificate::valid_to,
        DataReader::byte_order, DataReader::close, DataReader::detach_buffer, DataReader::detach_stream,
        DataReader::from_buffer(""), DataReader::input_stream_options, DataReader::load, DataReader::new,
        DataReader::read_boolean, DataReader::read_buffer, DataReader::read_byte, DataReader::read_bytes,
        DataReader::read_date_time, DataReader::read_double, DataReader::read_guid, DataReader::read_int16,
        DataReader::read_int32, DataReader::read_int64, DataReader::read_single, DataReader::read_string,
        DataReader::read_time_span, DataReader::read_uint16, DataReader::read_uint32,
        DataReader::read_uint64, DataReader::set_byte_order, DataReader::set_input_stream_options,
        DataReader::set_unicode_encoding, DataReader::unconsumed_buffer_length,
        DataReader::unicode_encoding,
        DataWriter::byte_order, DataWriter::close, DataWriter::detach_buffer, DataWriter::detach_stream,
        DataWriter::flush, DataWriter::measure_code_units, DataWriter::measure_string, DataWriter::new,
        DataWriter::set_byte_order, DataWriter::set_unicode_encoding, DataWriter::store,
        DataWriter::unicode_encoding, DataWriter::unstored_buffer_length, DataWriter::with_stream,
        DataWriter::write_boolean, DataWriter::write_buffer, DataWriter::write_buffer_range,
        DataWriter::write_byte, DataWriter::write_bytes, DataWriter::write_date_time,
        DataWriter::write_double, DataWriter::write_guid, DataWriter::write_int16, DataWriter::write_int32,
        DataWriter::write_int64, DataWriter::write_single, DataWriter::write_string,
        DataWriter::write_time_span, DataWriter::write_uint16, DataWriter::write_uint32,
        DataWriter::write_uint64,
        DateTime.universal_time,
        Deferral::complete,
        Error::ABORT, Error::BOUNDS, Error::CLOSED, Error::ILLEGAL_METHOD_CALL, Error::INVALID_ARGUMENT,
        Error::INVALID_OPERATION, Error::NO_UNICODE_TRANSLATION, Error::code, Error::status,
        Guid::from_u128, Guid::to_u128,
        HostName::canonical_name, HostName::display_name, HostName::host_name_type, HostName::is_equal,
        HostName::new, HostName::raw_name,
        IInputStream::close(any::<&dyn IInputStream>()),
        IInputStream::read(any::<&dyn IInputStream>(), any(), any()),
        IOutputStream::close(any::<&dyn IOutputStream>()),
        IOutputStream::flush(any::<&dyn IOutputStream>()),
        IOutputStream::write(any::<&dyn IOutputStream>(), any()),
        IWebSocket::connect(any::<&dyn IWebSocket>(), ""),
        IWebSocketControl::supported_protocols(any::<&dyn IWebSocketControl>()),
        IWebSocketInformation::protocol(any::<&dyn IWebSocketInformation>()),
        InputStreamOptions::NONE, InputStreamOptions::PARTIAL, InputStreamOptions::READ_AHEAD,
        MessageWebSocket::close, MessageWebSocket::close_with_status,
        MessageWebSocket::closed(any(), |_, _| async {}), MessageWebSocket::connect,
        MessageWebSocket::control, MessageWebSocket::information,
        MessageWebSocket::message_received(any(), |_, _| async {}), MessageWebSocket::new,
        MessageWebSocket::output_stream, MessageWebSocket::remove_closed,
        MessageWebSocket::remove_message_received,
        MessageWebSocket::remove_server_custom_validation_requested, MessageWebSocket::send_final_frame,
        MessageWebSocket::send_nonfinal_frame,
        MessageWebSocket::server_custom_validation_requested(any(), |_, _| async {}),
        MessageWebSocket::set_request_header, MessageWebSocket::with_platform,
        MessageWebSocketControl::actual_unsolicited_pong_interval,
        MessageWebSocketControl::client_certificate,
        MessageWebSocketControl::desired_unsolicited_pong_interval,
        MessageWebSocketControl::ignorable_server_certificate_errors,
        MessageWebSocketControl::max_message_size, MessageWebSocketControl::message_type,
        MessageWebSocketControl::outbound_buffer_size_in_bytes, MessageWebSocketControl::proxy_credential,
        MessageWebSocketControl::receive_mode, MessageWebSocketControl::server_credential,
        MessageWebSocketControl::set_client_certificate(any(), None),
        MessageWebSocketControl::set_desired_unsolicited_pong_interval(any(), None),
        MessageWebSocketControl::set_max_message_size, MessageWebSocketControl::set_message_type,
        MessageWebSocketControl::set_outbound_buffer_size_in_bytes,
        MessageWebSocketControl::set_proxy_credential(any(), None),
        MessageWebSocketControl::set_receive_mode,
        MessageWebSocketControl::set_server_credential(any(), None),
        MessageWebSocketControl::supported_protocols,
        MessageWebSocketInformation::bandwidth_statistics, MessageWebSocketInformation::details,
        MessageWebSocketInformation::local_address, MessageWebSocketInformation::protocol,
        MessageWebSocketInformation::server_certificate,
        MessageWebSocketInformation::server_certificate_error_severity,
        MessageWebSocketInformation::server_certificate_errors,
        MessageWebSocketInformation::server_intermediate_certificates,
        MessageWebSocketMessageReceivedEventArgs::get_data,
        MessageWebSocketMessageReceivedEventArgs::get_data_reader,
        MessageWebSocketMessageReceivedEventArgs::get_data_stream,
        MessageWebSocketMessageReceivedEventArgs::is_message_complete,
        MessageWebSocketMessageReceivedEventArgs::message_type,
        PasswordCredential::new, PasswordCredential::password, PasswordCredential::user_name,
        Platform::control, Platform::proxy, Platform::tls,
        ServerMessageWebSocket::accept, ServerMessageWebSocket::close,
        ServerMessageWebSocket::close_with_status, ServerMessageWebSocket::closed(any(), |_, _| async {}),
        ServerMessageWebSocket::control, ServerMessageWebSocket::for_request(any::<Request>(), any()),
        ServerMessageWebSocket::information,
        ServerMessageWebSocket::message_received(any(), |_, _| async {}),
        ServerMessageWebSocket::output_stream, ServerMessageWebSocket::remove_closed,
        ServerMessageWebSocket::remove_message_received,
        ServerMessageWebSocketControl::message_type, ServerMessageWebSocketControl::set_message_type,
        ServerMessageWebSocketInformation::bandwidth_statistics,
        ServerMessageWebSocketInformation::local_address, ServerMessageWebSocketInformation::protocol,
        ServerStreamWebSocket::accept, ServerStreamWebSocket::close,
        ServerStreamWebSocket::close_with_status, ServerStreamWebSocket::closed(any(), |_, _| async {}),
        ServerStreamWebSocket::for_request(any::<Request>(), any()), ServerStreamWebSocket::information,
        ServerStreamWebSocket::input_stream, ServerStreamWebSocket::output_stream,
        ServerStreamWebSocket::remove_closed,
        ServerStreamWebSocketInformation::bandwidth_statistics,
        ServerStreamWebSocketInformation::local_address, ServerStreamWebSocketInformation::protocol,
        StreamWebSocket::close, StreamWebSocket::close_with_status,
        StreamWebSocket::closed(any(), |_, _| async {}), StreamWebSocket::connect, StreamWebSocket::control,
        StreamWebSocket::information, StreamWebSocket::input_stream, StreamWebSocket::new,
        StreamWebSocket::output_stream, StreamWebSocket::remove_closed,
        StreamWebSocket::remove_server_custom_validation_requested,
        StreamWebSocket::server_custom_validation_requested(any(), |_, _| async {}),
        StreamWebSocket::set_request_header, StreamWebSocket::with_platform,
        StreamWebSocketControl::actual_unsolicited_pong_interval,
        StreamWebSocketControl::client_certificate,
        StreamWebSocketControl::desired_unsolicited_pong_interval,
        StreamWebSocketControl::ignorable_server_certificate_errors, StreamWebSocketControl::no_delay,
        StreamWebSocketControl::outbound_buffer_size_in_bytes, StreamWebSocketControl::proxy_credential,
        StreamWebSocketControl::server_credential,
        StreamWebSocketControl::set_client_certificate(any(), None),
        StreamWebSocketControl::set_desired_unsolicited_pong_interval(any(), None),
        StreamWebSocketControl::set_no_delay, StreamWebSocketControl::set_outbound_buffer_size_in_bytes,
        StreamWebSocketControl::set_proxy_credential(any(), None),
        StreamWebSocketControl::set_server_credential(any(), None),
        StreamWebSocketControl::supported_protocols,
        StreamWebSocketInformation::bandwidth_statistics, StreamWebSocketInformation::local_address,
        StreamWebSocketInformation::protocol, StreamWebSocketInformation::server_certificate,
        StreamWebSocketInformation::server_certificate_error_severity,
        StreamWebSocketInformation::server_certificate_errors,
        StreamWebSocketInformation::server_intermediate_certificates,
        TimeSpan.duration,
        WebSocketClosedEventArgs::code, WebSocketClosedEventArgs::reason,
        WebSocketError::get_status,
        WebSocketServerCustomValidationRequestedEventArgs::get_deferral,
        WebSocketServerCustomValidationRequestedEventArgs::reject,
        WebSocketServerCustomValidationRequestedEventArgs::server_certificate,
        WebSocketServerCustomValidationRequestedEventArgs::server_certificate_error_severity,
        WebSocketServerCustomValidationRequestedEventArgs::server_certificate_errors,
        WebSocketServerCustomValidationRequestedEventArgs::server_intermediate_certificates,
    };
}

mod idiomatic {
    use wsduo::{
        ClientTls, CloseCode, Closed, Credential, Error, ErrorKind, Identity, Message, MessagePart,
        MessageWebSocketControl, MessageWebSocketInformation, Proxy, ServerCertificate, Statistics,
        StreamWebSocketControl, StreamWebSocketInformation, TlsInformation, Transport,
    };

    use super::any;

    type MessageSender = wsduo::MessageSender<Transport>;
    type MessageWebSocket = wsduo::MessageWebSocket<Transport>;
    type MessageWriter<'a> = wsduo::MessageWriter<'a, Transport>;
    type Request = wsduo::Request<tokio::io::DuplexStream>;
    type StreamWebSocket = wsduo::StreamWebSocket<Transport>;

    pub(super) const NAMES: &[&str] = names! {
        ClientTls::identity, ClientTls::ignore(any(), []),
        ClientTls::validate(any(), |_| async { Ok::<(), String>(()) }),
        CloseCode::NO_STATUS,
        Closed.clean, Closed.code, Closed.initiator, Closed.reason,
        Credential::new("", ""),
        Error::hresult, Error::kind, Error::web_error_status,
        ErrorKind::CertificateRejected, ErrorKind::Closed, ErrorKind::InvalidInput, ErrorKind::Misuse,
        Identity::from_pem("", ""), Identity::from_pkcs12("", ""),
        Message::Binary, Message::Text, Message::into_bytes, Message::message_type,
        MessagePart.is_complete,
        MessageSender::send_part(any(), any(), &[], true),
        MessageWebSocket::close, MessageWebSocket::closed, MessageWebSocket::connect,
        MessageWebSocket::flush, MessageWebSocket::information, MessageWebSocket::message_writer,
        MessageWebSocket::next_reader, MessageWebSocket::receive, MessageWebSocket::receive_part,
        MessageWebSocket::run(any(), |_, _| Ok(())), MessageWebSocket::send(any(), ""),
        MessageWebSocketControl::connect, MessageWebSocketControl::connect_timeout,
        MessageWebSocketControl::credential, MessageWebSocketControl::header(any(), "", ""),
        MessageWebSocketControl::keepalive(any(), None), MessageWebSocketControl::max_message_size,
        MessageWebSocketControl::new, MessageWebSocketControl::proxy,
        MessageWebSocketControl::send_buffer_size(any(), None),
        MessageWebSocketControl::subprotocols(any(), [""]), MessageWebSocketControl::tls,
        MessageWebSocketControl::unsolicited_pong_interval(any(), None),
        MessageWebSocketInformation::local_address, MessageWebSocketInformation::remote_address,
        MessageWebSocketInformation::statistics, MessageWebSocketInformation::subprotocol,
        MessageWebSocketInformation::tls,
        MessageWriter::finish,
        Proxy::credential,
        Request::accept_message(any(), any()),
        ServerCertificate::errors, ServerCertificate::intermediates(any::<&ServerCertificate>()),
        ServerCertificate::leaf, ServerCertificate::severity,
        Statistics.bytes_received, Statistics.bytes_sent,
        StreamWebSocket::close, StreamWebSocket::closed, StreamWebSocket::connect,
        StreamWebSocket::information, StreamWebSocket::split,
        StreamWebSocketControl::connect, StreamWebSocketControl::credential,
        StreamWebSocketControl::header(any(), "", ""), StreamWebSocketControl::new,
        StreamWebSocketControl::no_delay, StreamWebSocketControl::send_buffer_size(any(), None),
        StreamWebSocketControl::subprotocols(any(), [""]),
        StreamWebSocketControl::unsolicited_pong_interval(any(), None),
        StreamWebSocketInformation::local_address, StreamWebSocketInformation::remote_address,
        StreamWebSocketInformation::statistics, StreamWebSocketInformation::subprotocol,
        StreamWebSocketInformation::tls,
        TlsInformation.certificate_errors, TlsInformation.certificates,
        TlsInformation::certificate_error_severity,
    };
}

/// The lines of a section and of those below it.
fn section(heading: &str) -> impl Iterator<Item = &'static str> {
    let level = heading.find(' ').unwrap();
    let ends =
        move |line: &&str| !(line.starts_with('#') && line.find(' ').is_some_and(|other| other <= level));
    let mut lines = GUIDE.lines().skip_while(move |line| *line != heading);
    assert!(lines.next().is_some(), "the guide has no {heading:?}");
    lines.take_while(ends)
}

/// What a row of a table has in each column; `None` for what is none.
fn columns(line: &str) -> Option<Vec<&str>> {
    let row = line.strip_prefix("| ")?.strip_suffix(" |")?;
    Some(row.split(" | ").collect())
}

/// The names in a text: what stands in backticks and looks like `Type::member` or `Type.field`.
fn names_in(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.split('`').skip(1).step_by(2).filter(|code| {
        let parts = code.split_once("::").or_else(|| code.split_once('.'));
        let is_name = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_');
        parts.is_some_and(|(of, member)| is_name(of) && is_name(member) && !OF_OTHERS.contains(&of))
    })
}

#[track_caller]
fn check(guide: &BTreeSet<&str>, names: &[&'static str]) {
    let compiled: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(compiled.len(), names.len(), "a name stands here twice");
    let unknown: Vec<_> = guide.difference(&compiled).collect();
    assert!(unknown.is_empty(), "the guide has names that are not in the list of this test: {unknown:?}");
    let unused: Vec<_> = compiled.difference(guide).collect();
    assert!(unused.is_empty(), "the list of this test has names that the guide does not: {unused:?}");
}

#[test]
fn every_name_in_the_tables_of_the_guide_is_there() {
    let (mut here, mut idiomatic) = (BTreeSet::new(), BTreeSet::new());
    for line in section("## Every member") {
        match columns(line).as_deref() {
            Some([_, ours, theirs]) => {
                here.extend(names_in(ours));
                idiomatic.extend(names_in(theirs));
            }
            Some(other) => panic!("a row of {} columns: {line}", other.len()),
            None => here.extend(names_in(line)),
        }
    }
    check(&here, here::NAMES);
    check(&idiomatic, idiomatic::NAMES);
}

#[test]
fn every_class_has_as_many_rows_as_the_original_has_members() {
    let mut members = Vec::new();
    for heading in section("## Every member").filter(|line| line.starts_with("### ")) {
        let Some((name, count)) = heading.rsplit_once(": ") else { continue };
        let count: usize = count.split(' ').next().unwrap().parse().unwrap();
        let rows: Vec<_> = section(heading).filter_map(columns).skip(1).map(|row| row[0]).collect();
        assert_eq!(rows.len(), count, "{heading}: {rows:?}");
        assert_eq!(rows.iter().collect::<BTreeSet<_>>().len(), count, "{heading} has a member twice");
        members.push((name, count));
    }
    // Specification §1: 16 classes with 93 members, a struct, and the streams.
    let of_classes: Vec<_> = members.iter().filter(|(name, _)| name.contains("WebSocket")).collect();
    assert_eq!((of_classes.len(), of_classes.iter().map(|(_, count)| count).sum::<usize>()), (16, 93));
    assert_eq!(members.iter().map(|(_, count)| count).sum::<usize>(), 93 + 6 + 26 + 28 + 7 + 5 + 5);
}
