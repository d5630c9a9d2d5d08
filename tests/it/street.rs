//! The whole way of a request, from a real socket through the doors: what is too long, and answered before all of it has come.

use std::net::SocketAddr;

use kilonova::cli::Doors;
use kilonova::serve::{Limits, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::house::House;

/// A street before a house.
pub struct Street {
    address: SocketAddr,
    _stop: mpsc::Sender<()>,
}

impl Street {
    pub async fn before(house: &House) -> Street {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (stop, stopped) = mpsc::channel(1);
        tokio::spawn(serve(listener, None, Limits::of(&house.cloud.settings), Doors(house.cloud.clone()), stopped));
        Street { address, _stop: stop }
    }

    /// What is said to a request of this head, without its last line, and no body.
    pub async fn ask(&self, head: &str) -> String {
        self.send(format!("{head}connection: close\r\n\r\n").as_bytes()).await
    }

    /// Sends all of it, and gives everything that is said until the end.
    async fn send(&self, words: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.expect("the street listens");
        // who is refused may not be able to send all
        let _ = stream.write_all(words).await;
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.unwrap_or_else(|cause| {
            panic!("{cause} after {}", String::from_utf8_lossy(&heard));
        });
        String::from_utf8(heard).expect("text")
    }
}

async fn street() -> (House, String, Street) {
    let house = House::new().await;
    let token = house.person("member", "blue").await.token.expect("a token");
    let street = Street::before(&house).await;
    (house, token, street)
}

/// A request to make a server, whose head ends so.
fn post(token: &str, end: &str) -> String {
    format!("POST /v2.1/servers HTTP/1.1\r\nhost: h\r\nx-auth-token: {token}\r\ncontent-type: application/json\r\n{end}\r\n\r\n")
}

#[track_caller]
fn is_too_large(heard: &str) {
    assert!(heard.starts_with("HTTP/1.1 413 "), "{heard}");
    assert!(heard.contains("\r\n\r\n{\"overLimit\": {\"code\": 413, "), "{heard}");
}

#[tokio::test]
async fn a_body_that_is_said_to_be_too_long_is_413_before_it_comes() {
    let (_house, token, street) = street().await;
    is_too_large(&street.send(post(&token, "content-length: 114689\r\nconnection: close").as_bytes()).await);
}

#[tokio::test]
async fn a_body_that_turns_out_to_be_too_long_is_413() {
    let (_house, token, street) = street().await;
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    let words = post(&token, "transfer-encoding: chunked\r\nconnection: close") + &chunk.repeat(30);
    is_too_large(&street.send(words.as_bytes()).await);
}

#[tokio::test]
async fn who_sends_ten_megabytes_without_listening_hears_413_all_the_same() {
    let (_house, token, street) = street().await;
    let mut words = post(&token, "content-length: 10000000").into_bytes();
    words.resize(words.len() + 10_000_000, b'x');
    is_too_large(&street.send(&words).await);
}

#[tokio::test]
async fn a_body_of_the_longest_length_is_read() {
    let (_house, token, street) = street().await;
    let body = "x".repeat(114_688);
    let heard = street.send((post(&token, "content-length: 114688\r\nconnection: close") + &body).as_bytes()).await;
    assert!(heard.starts_with("HTTP/1.1 400 "), "{heard}");
}

#[tokio::test]
async fn headers_beyond_the_setting_are_431_and_within_it_are_read() {
    let (_house, _token, street) = street().await;
    let head = |bytes: usize| format!("GET /v2.1/ HTTP/1.1\r\nhost: h\r\nx: {}\r\n", "y".repeat(bytes));
    assert!(street.ask(&head(66_000)).await.starts_with("HTTP/1.1 431 "));
    assert!(street.ask(&head(60_000)).await.starts_with("HTTP/1.1 200 "));
}
