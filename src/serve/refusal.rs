//! What the street says itself, where nobody else can: that there is no room for a connection.

use std::io::{Read, Write};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Tls;

/// How many connections are told at once that there is no room.
pub(super) const REFUSALS_MAX: usize = 256;
/// How long that may take. Whoever does not listen that long is not told.
const REFUSAL_TIME: Duration = Duration::from_secs(1);
/// How much of a request is read, and thrown away, in that time.
const REFUSED_BYTES_MAX: u64 = 64 * 1024;

/// WebOb's explanation of 503, in Nova's form.
const BODY: &str = r#"{"serviceUnavailable": {"code": 503, "message": "The server is currently unavailable. Please try again at a later time.", "retryAfter": "1"}}"#;

/// 503 to a connection there is no room for, without reading its request as one.
pub(super) async fn no_room(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let response = response();
    let told = async {
        stream.write_all(response.as_bytes()).await?;
        stream.shutdown().await?;
        // Closing with bytes unread is a reset, which may overtake what we have said.
        tokio::io::copy(&mut stream.take(REFUSED_BYTES_MAX), &mut tokio::io::sink()).await
    };
    let _ = tokio::time::timeout(REFUSAL_TIME, told).await;
}

/// As `no_room`, over TLS.
pub(super) async fn no_room_over(tls: &Tls, stream: TcpStream) {
    if let Ok(Ok(stream)) = tokio::time::timeout(REFUSAL_TIME, tls.acceptor().accept(stream)).await {
        no_room(stream).await;
    }
}

/// Says it in the moment in which the connection is accepted, to those for whom there is not even room to be told properly. A few hundred
/// bytes always fit into the buffer of a new connection. What has been sent is read, since closing with bytes unread is a reset; a
/// client that sends its request only now may not hear us.
pub(super) fn no_room_at_once(stream: TcpStream) {
    let Ok(mut stream) = stream.into_std() else { return };
    let _ = stream.write_all(response().as_bytes()).and_then(|()| stream.shutdown(std::net::Shutdown::Write));
    let _ = stream.read(&mut [0; 4096]);
}

fn response() -> String {
    format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json; charset=UTF-8\r\nretry-after: 1\r\n\
         connection: close\r\ncontent-length: {}\r\ndate: {}\r\n\r\n{BODY}",
        BODY.len(),
        jiff::fmt::rfc2822::DateTimePrinter::new()
            .timestamp_to_rfc9110_string(&jiff::Timestamp::now())
            .unwrap_or_default(),
    )
}
