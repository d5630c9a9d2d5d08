//! Clients that mean harm, and many at once: what they get, and that the others do not notice.

use super::*;
use crate::serve::Stage;
use crate::serve::connection;
use crate::serve::pace::Pace;
use crate::serve::pressure::Pressure;
use crate::serve::refusal::REFUSALS_MAX;

/// One connection to a street of which this part of the requests is let in.
async fn pressed(part: f64) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let client = TcpStream::connect(listener.local_addr().expect("it is bound")).await.expect("it listens");
    let (stream, _) = listener.accept().await.expect("a client has come");
    let (limits, pressure) = (Arc::new(limits()), Arc::new(Pressure::default()));
    pressure.let_in(part);
    let pace = Pace::new(&limits, pressure);
    let (stage, stages) = tokio::sync::watch::channel(Stage::Open);
    tokio::spawn(async move {
        connection::serve(stream, pace, Arc::new(Echo::default()), limits, stages).await;
        drop(stage);
    });
    Client(client)
}

#[tokio::test]
async fn a_request_too_many_is_503_and_its_connection_serves_the_next() {
    let mut client = pressed(0.0).await;
    for _ in 0..2 {
        client.say("PUT /x HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\nbody").await;
        let heard = client.hear_until("}}").await;
        assert!(heard.starts_with("HTTP/1.1 503 ") && heard.contains("\r\nretry-after: 1\r\n"), "{heard}");
        assert!(heard.contains("\r\nx-openstack-request-id: req-00000000-0000-4000-8000-000000000000\r\n"), "{heard}");
        assert!(heard.contains("\r\n\r\n{\"serviceUnavailable\": {\"code\": 503, "), "{heard}");
    }
}

#[tokio::test]
async fn while_a_part_is_refused_the_others_are_answered() {
    let mut client = pressed(0.5).await;
    let mut statuses = Vec::new();
    for _ in 0..20 {
        client.say("GET /x HTTP/1.1\r\nhost: h\r\n\r\n").await;
        let head = client.hear_until("\r\n\r\n").await;
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()).expect("a length");
        let mut body = vec![0; length.parse().expect("a number")];
        client.0.read_exact(&mut body).await.expect("the body");
        statuses.push(head[9..12].to_owned());
    }
    let answered = statuses.iter().filter(|status| *status == "200").count();
    assert!((8..=12).contains(&answered), "{statuses:?}");
}

#[tokio::test]
async fn a_flood_of_connections_is_told_and_the_one_that_is_served_does_not_notice() {
    let running = start(Limits { connections_max: 1, ..limits() }).await;
    let mut first = running.connect().await;
    first.say("GET /x HTTP/1.1\r\nhost: h\r\n\r\n").await;
    first.hear_until("0 bytes").await;
    let mut flood = Vec::new();
    // so many that those who do not go away when they are told fill every place there is for telling
    for _ in 0..REFUSALS_MAX + 50 {
        flood.push(running.connect().await);
    }
    for client in &mut flood {
        let heard = client.hear().await;
        assert!(heard.starts_with("HTTP/1.1 503 ") && heard.contains("\r\nretry-after: 1\r\n"), "{heard}");
        assert!(heard.contains("{\"serviceUnavailable\": {\"code\": 503, "), "{heard}");
    }
    first.say("GET /y HTTP/1.1\r\nhost: h\r\n\r\n").await;
    assert!(first.hear_until("0 bytes").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_panic_reaches_nobody_else() {
    let running = start(limits()).await;
    let mut held = running.connect().await;
    held.say("GET /hold HTTP/1.1\r\nhost: h\r\n\r\n").await;
    running.echo.entered.notified().await;
    for path in ["/panic", "/panic", "/panic-in-body", "/panic"] {
        running.connect().await.ask(&format!("GET {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")).await;
    }
    running.echo.release.notify_one();
    assert!(held.hear_until("released").await.starts_with("HTTP/1.1 200 "));
    // every place is free again: who panics while the body is sent leaves its own, too
    held.0.shutdown().await.expect("the connection is open");
    running.stop().await;
    assert_eq!(running.ended().await, Ended::Drained);
}

#[tokio::test]
async fn requests_sent_without_waiting_are_answered_in_their_order() {
    let running = start(limits()).await;
    let mut client = running.connect().await;
    let all: String = (0..200).map(|number| format!("GET /n{number} HTTP/1.1\r\nhost: h\r\n\r\n")).collect();
    client.say(&all).await;
    for number in 0..200 {
        let heard = client.hear_until("0 bytes").await;
        assert!(heard.contains(&format!("GET /n{number} None")), "{heard}");
    }
}

#[tokio::test]
async fn who_asks_without_end_and_never_reads_is_cut() {
    let running = start(Limits { body_timeout: SHORT, ..limits() }).await;
    let mut client = running.connect().await;
    let request = b"GET /x HTTP/1.1\r\nhost: h\r\n\r\n".repeat(1000);
    // the server stops reading when nobody takes its answers, so this ends only because it gives the client up
    let asking = async { while client.0.write_all(&request).await.is_ok() {} };
    timeout(LONG, asking).await.expect("it is given up");
}

/// A client that takes an endless answer drop by drop, from a street with the smallest buffers there are, which would otherwise hide that;
/// comes back when it is cut.
async fn drip(limits: Limits, pause: Duration) {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.set_send_buffer_size(1).expect("the system has a smallest size of its own");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let listener = socket.listen(1).expect("it can listen");
    let client = tokio::net::TcpSocket::new_v4().expect("a socket");
    client.set_recv_buffer_size(1).expect("the system has a smallest size of its own");
    let mut client = client.connect(listener.local_addr().expect("it is bound")).await.expect("it listens");
    let (stop, stopped) = mpsc::channel(1);
    let serving = tokio::spawn(serve(listener, None, limits, Echo::default(), stopped));
    client.write_all(b"GET /endless HTTP/1.1\r\nhost: h\r\n\r\n").await.expect("it is connected");
    let mut drop = [0; 512];
    let cut = async {
        while client.read(&mut drop).await.is_ok_and(|count| count > 0) {
            tokio::time::sleep(pause).await;
        }
    };
    timeout(LONG, cut).await.expect("it is cut");
    drop_serving(stop, serving).await;
}

async fn drop_serving(stop: mpsc::Sender<()>, serving: JoinHandle<Ended>) {
    stop.send(()).await.expect("it is still serving");
    assert_eq!(timeout(LONG, serving).await.expect("it ends").expect("it does not panic"), Ended::Drained);
}

#[tokio::test]
async fn an_answer_that_is_taken_drop_by_drop_for_ever_is_cut() {
    // no pause is as long as the time for a body: only the rate can be the reason
    let limits = Limits { body_timeout: 20 * SHORT, body_bytes_per_second_min: 1 << 30, ..limits() };
    drip(limits, SHORT / 10).await;
}

#[tokio::test]
async fn a_body_that_comes_byte_by_byte_is_cut_by_its_rate() {
    let running = start(Limits { body_timeout: 4 * SHORT, body_bytes_per_second_min: 1 << 30, ..limits() }).await;
    let mut client = running.connect().await;
    client.say("POST /body HTTP/1.1\r\nhost: h\r\ncontent-length: 1000000\r\n\r\n").await;
    let (mut reader, mut writer) = client.0.split();
    let drip = async {
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(SHORT / 10).await;
        }
        std::future::pending::<()>().await
    };
    let mut heard = [0; 12];
    let cut = async {
        tokio::select! { () = drip => (), heard = reader.read_exact(&mut heard) => { heard.expect("an answer"); } }
    };
    timeout(LONG, cut).await.expect("it is cut");
    assert_eq!(&heard, b"HTTP/1.1 408");
}

#[tokio::test]
async fn a_request_line_that_is_too_long_is_refused_without_reading_all_of_it() {
    let running = start(limits()).await;
    let mut client = running.connect().await;
    client.say(&format!("GET /{}", "x".repeat(9000))).await;
    let heard = client.hear().await;
    assert!(heard.starts_with("HTTP/1.1 431 ") || heard.starts_with("HTTP/1.1 414 "), "{heard}");
}

#[tokio::test]
async fn what_is_no_http_is_400_or_closed() {
    let running = start(limits()).await;
    for words in [
        "\0\0\0\0\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "\x16\x03\x01\x02\0\x01\0\r\n\r\n",
    ] {
        let heard = running.connect().await.ask(words).await;
        assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 400 "), "{words:?}: {heard}");
    }
}

#[tokio::test]
async fn two_lengths_or_a_length_beside_chunks_smuggle_nothing() {
    let running = start(limits()).await;
    for lengths in ["content-length: 4\r\ncontent-length: 5", "transfer-encoding: chunked\r\ntransfer-encoding: gzip"] {
        let words = format!("POST /body HTTP/1.1\r\nhost: h\r\n{lengths}\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n");
        let heard = running.connect().await.ask(&words).await;
        assert!(heard.starts_with("HTTP/1.1 400 ") && !heard.contains("HTTP/1.1 200"), "{lengths}: {heard}");
    }
}

#[tokio::test]
async fn a_slow_body_of_a_later_request_is_cut() {
    let running = start(Limits { body_timeout: SHORT, ..limits() }).await;
    let mut client = running.connect().await;
    client.say("GET /empty HTTP/1.1\r\nhost: h\r\n\r\n").await;
    client.hear_until("\r\n\r\n").await;
    let heard = client.ask("POST /body HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab").await;
    assert!(heard.starts_with("HTTP/1.1 408 "), "{heard}");
}

#[tokio::test]
async fn a_body_that_comes_byte_by_byte_for_ever_is_cut_by_the_time_for_the_answer() {
    let running = start(Limits { request_timeout: 4 * SHORT, body_timeout: LONG, ..limits() }).await;
    let mut client = running.connect().await;
    client.say("POST /body HTTP/1.1\r\nhost: h\r\ncontent-length: 1000000\r\n\r\n").await;
    let (mut reader, mut writer) = client.0.split();
    let drip = async {
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(SHORT / 10).await;
        }
        std::future::pending::<()>().await
    };
    let mut heard = Vec::new();
    let hear = async {
        let _ = reader.read_to_end(&mut heard).await;
    };
    let cut = async {
        tokio::select! { () = drip => (), () = hear => () }
    };
    timeout(LONG, cut).await.expect("it is cut");
    assert!(heard.starts_with(b"HTTP/1.1 503 "), "{}", String::from_utf8_lossy(&heard));
}
