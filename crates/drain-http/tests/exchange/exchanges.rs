//! Exchanges without TLS.

use std::time::Duration;

use drain_http::{HttpClient, HttpError, Limits, Tls, Trust};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

use crate::servers::{LIMITS, answer, failure, get, server, told};

#[tokio::test]
async fn an_answer_is_read_whole() {
    let port =
        server(|stream| answer(stream, b"HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\ngone")).await;
    let client = HttpClient::new(&Tls::new(Trust::web())).unwrap();
    assert_eq!(get(&client, format!("http://127.0.0.1:{port}/"), LIMITS).await.unwrap(), "gone");
}

#[tokio::test]
async fn every_request_names_its_sender() {
    let port = server(|mut stream| async move {
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer).await.unwrap_or_default();
        let head = String::from_utf8_lossy(&buffer[..read]).to_lowercase();
        let status =
            if head.contains("user-agent: lambda-nomad-drain/") { "200 OK" } else { "400 Bad Request" };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 6\r\n\r\n{status:.6}");
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await;
    let client = HttpClient::new(&Tls::new(Trust::web())).unwrap();
    assert_eq!(get(&client, format!("http://127.0.0.1:{port}/"), LIMITS).await.unwrap(), "200 OK");
}

#[tokio::test]
async fn a_closed_port_is_refused_and_named() {
    // Bound and never listening: no server of another test can come to listen there.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    let error = failure(format!("http://127.0.0.1:{port}/"), LIMITS).await;
    assert_eq!(told(&error), format!("the connection to 127.0.0.1:{port} was refused"));
    assert!(error.is_transient() && error.found_nobody() && !error.may_have_arrived());
}

#[tokio::test]
async fn a_name_without_an_address_is_named() {
    let error = failure("https://nomad.test-aws-nowhere.invalid/".to_owned(), LIMITS).await;
    assert!(matches!(error, HttpError::Dns { .. }), "{error:?}");
    assert!(told(&error).contains("nomad.test-aws-nowhere.invalid:443"), "{}", told(&error));
}

#[tokio::test]
async fn a_server_that_hangs_is_a_time_out() {
    let port = server(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let limits = Limits { timeout: Duration::from_millis(50), ..LIMITS };
    let error = failure(format!("http://127.0.0.1:{port}/"), limits).await;
    assert_eq!(told(&error), format!("no answer from 127.0.0.1:{port} within 0.05 s"));
    assert!(error.is_transient() && error.may_have_arrived() && !error.found_nobody());
}

#[tokio::test]
async fn a_connection_that_is_closed_without_an_answer_is_transient() {
    let port = server(|stream| answer(stream, b"")).await;
    let error = failure(format!("http://127.0.0.1:{port}/"), LIMITS).await;
    assert!(matches!(error, HttpError::Disconnected { .. }), "{error:?}");
    assert!(error.is_transient() && error.may_have_arrived());
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_no_answer() {
    let port = server(|stream| answer(stream, b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf")).await;
    let error = failure(format!("http://127.0.0.1:{port}/"), LIMITS).await;
    assert!(matches!(error, HttpError::Disconnected { .. }), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_refused() {
    let port = server(|stream| answer(stream, b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfour")).await;
    let error = failure(format!("http://127.0.0.1:{port}/"), Limits { body: 3, ..LIMITS }).await;
    assert_eq!(told(&error), format!("the answer from 127.0.0.1:{port} is larger than 3 bytes"));
}
