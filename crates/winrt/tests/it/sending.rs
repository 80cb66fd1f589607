//! What is written and sent in frames (spec §3.1, §10.1, §11).

use std::sync::{Arc, Mutex};

use wsduo::{Message, MessageType};
use wsduo_winrt::{Error, SocketMessageType};

use crate::support::{code, connected, soon};

#[tokio::test(start_paused = true)]
async fn one_write_is_one_message_of_the_type_then_set() {
    let (socket, _seen, mut server) = connected().await;
    let output = socket.output_stream();
    assert_eq!(soon(output.write(vec![1, 2].into())).await.unwrap(), 2);
    // The type is that of the moment of the call.
    let binary = output.write("as bytes".into());
    socket.control().set_message_type(SocketMessageType::Utf8);
    soon(binary).await.unwrap();
    soon(output.write("жук".into())).await.unwrap();
    soon(output.write("".into())).await.unwrap();
    assert!(soon(output.flush()).await.unwrap());
    for expected in [
        Message::from(vec![1, 2]),
        Message::from(b"as bytes".to_vec()),
        Message::from("жук"),
        Message::from(""),
    ] {
        assert_eq!(soon(server.receive()).await.unwrap(), Some(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn text_that_is_not_utf8_is_an_invalid_argument_and_nothing_is_sent() {
    let (socket, _seen, mut server) = connected().await;
    socket.control().set_message_type(SocketMessageType::Utf8);
    let output = socket.output_stream();
    assert_eq!(code(soon(output.write(vec![0xff].into())).await), Error::INVALID_ARGUMENT);
    assert_eq!(code(soon(socket.send_final_frame(vec![0xff].into())).await), Error::INVALID_ARGUMENT);
    soon(output.write("good".into())).await.unwrap();
    assert_eq!(soon(server.receive()).await.unwrap(), Some(Message::from("good")));
}

#[tokio::test(start_paused = true)]
async fn nonfinal_frames_and_a_final_one_are_one_message() {
    let (socket, _seen, mut server) = connected().await;
    socket.control().set_message_type(SocketMessageType::Utf8);
    let told = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&told);
    // A character is cut between the frames.
    let first = socket.send_nonfinal_frame(vec![b'h', 0xc3].into());
    assert_eq!(soon(first.progress(move |n| noted.lock().unwrap().push(n))).await.unwrap(), 2);
    // The type of a message is that of its first frame.
    socket.control().set_message_type(SocketMessageType::Binary);
    assert_eq!(soon(socket.send_nonfinal_frame(vec![0xa9].into())).await.unwrap(), 1);
    assert_eq!(soon(socket.send_nonfinal_frame(vec![].into())).await.unwrap(), 0);
    assert_eq!(soon(socket.send_final_frame(vec![b'!'].into())).await.unwrap(), 1);
    soon(socket.send_final_frame(vec![1].into())).await.unwrap();
    assert_eq!(*told.lock().unwrap(), [2]);
    for (payload, message_type) in [("hé!", MessageType::Text), ("\u{1}", MessageType::Binary)] {
        let message = soon(server.receive()).await.unwrap().unwrap();
        assert_eq!((message.as_bytes(), message.message_type()), (payload.as_bytes(), message_type));
    }
}

#[tokio::test(start_paused = true)]
async fn writing_between_the_frames_of_a_message_is_an_illegal_call() {
    let (socket, _seen, mut server) = connected().await;
    soon(socket.send_nonfinal_frame(vec![1].into())).await.unwrap();
    assert_eq!(code(soon(socket.output_stream().write("x".into())).await), Error::ILLEGAL_METHOD_CALL);
    soon(socket.send_final_frame(vec![2].into())).await.unwrap();
    soon(socket.output_stream().write("x".into())).await.unwrap();
    assert_eq!(soon(server.receive()).await.unwrap().unwrap().as_bytes(), [1, 2]);
    assert_eq!(soon(server.receive()).await.unwrap().unwrap().as_bytes(), b"x");
}

#[tokio::test(start_paused = true)]
async fn frames_are_refused_before_connect_and_after_close() {
    let socket = wsduo_winrt::MessageWebSocket::new();
    assert_eq!(code(soon(socket.send_final_frame("x".into())).await), Error::ILLEGAL_METHOD_CALL);
    let (socket, _seen, _server) = connected().await;
    socket.close();
    assert_eq!(code(soon(socket.send_final_frame("x".into())).await), Error::CLOSED);
    assert_eq!(code(soon(socket.output_stream().flush()).await), Error::CLOSED);
}

#[tokio::test(start_paused = true)]
async fn after_the_output_stream_was_closed_every_use_of_it_fails() {
    let (socket, _seen, mut server) = connected().await;
    let (output, same) = (socket.output_stream(), socket.output_stream());
    output.close();
    for output in [output, same, socket.output_stream()] {
        assert_eq!(code(soon(output.flush()).await), Error::CLOSED);
        assert_eq!(code(soon(output.write("x".into())).await), Error::CLOSED);
    }
    // The socket itself is open.
    soon(socket.send_final_frame("frame".into())).await.unwrap();
    assert_eq!(soon(server.receive()).await.unwrap().unwrap().as_bytes(), b"frame");
}

#[tokio::test(start_paused = true)]
async fn writes_of_many_tasks_are_whole_messages_in_the_order_of_each() {
    let (socket, _seen, mut server) = connected().await;
    for task in 0..8_u8 {
        let output = socket.output_stream();
        tokio::spawn(async move {
            for number in 0..50_u8 {
                let mut message = vec![task; 2000];
                message[0] = number;
                output.write(message.into()).await.unwrap();
            }
        });
    }
    let mut next = [0_u8; 8];
    for _ in 0..400 {
        let message = soon(server.receive()).await.unwrap().unwrap();
        let (number, rest) = message.as_bytes().split_first().unwrap();
        let task = rest[0];
        assert!(rest.len() == 1999 && rest.iter().all(|byte| *byte == task));
        assert_eq!(*number, next[usize::from(task)]);
        next[usize::from(task)] += 1;
    }
    assert!(socket.information().details().is_some());
}
