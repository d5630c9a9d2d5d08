//! One connection: hyper reads and writes it, [`Paced`] keeps its times, each request is an [`Exchange`].

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::exchange::Exchange;
use super::pace::{Pace, Paced};
use super::{Answer, Limits, Stage, Tls};

/// Serves a connection until either side has had enough. Its errors are the client's affair: half a request, a reset, a
/// timeout. Whoever looks for them finds them at level debug.
pub(super) async fn serve<A: Answer>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send,
    pace: Pace,
    answer: Arc<A>,
    limits: Arc<Limits>,
    mut stage: watch::Receiver<Stage>,
) {
    let pace = Arc::new(pace);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let exchange = Exchange::begin(&request, Arc::clone(&pace));
        async { Ok::<_, Infallible>(exchange.run(&*answer, &limits, request).await) }
    });
    let connection = http1::Builder::new()
        // hyper's own header timeout would also end idle connections: see `pace`.
        .header_read_timeout(None)
        .max_header_size(limits.header_bytes_max)
        .serve_connection(TokioIo::new(Paced::new(stream, Arc::clone(&pace))), service);
    let mut connection = std::pin::pin!(connection);
    if let Some(ended) = until_told_to_leave(connection.as_mut(), &mut stage).await {
        if let Err(cause) = ended {
            tracing::debug!(%cause, "a connection ended early");
        }
        return;
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        _ = connection => (),
        _ = stage.wait_for(|stage| *stage == Stage::Cut) => (),
    }
}

/// What a future gives, or `None` when it is time to leave. A `select!` would take the stage's lock at every step of the connection;
/// here its waker is left there once, which is enough since it is the task's and so always the same.
async fn until_told_to_leave<F: Future>(
    mut future: Pin<&mut F>,
    stage: &mut watch::Receiver<Stage>,
) -> Option<F::Output> {
    let seen = stage.clone();
    // unconstrained: it is polled once, and where a budget kept that from happening nobody would be told
    let leaving = tokio::task::coop::unconstrained(stage.wait_for(|stage| *stage != Stage::Open));
    let mut leaving = std::pin::pin!(leaving);
    let mut is_waiting = false;
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        // nobody who could still tell us is a reason to look, too
        if is_waiting && matches!(seen.has_changed(), Ok(false)) {
            return Poll::Pending;
        }
        is_waiting = true;
        leaving.as_mut().poll(cx).map(|_| None)
    })
    .await
}

/// As `serve`, over TLS, which has the time that headers have. A client that speaks no TLS is not answered.
pub(super) async fn serve_over<A: Answer>(
    tls: &Tls,
    stream: TcpStream,
    pace: Pace,
    answer: Arc<A>,
    limits: Arc<Limits>,
    mut stage: watch::Receiver<Stage>,
) {
    let handshake = tokio::time::timeout(limits.header_timeout, tls.acceptor().accept(stream));
    let stream = tokio::select! {
        // who has said nothing yet is in the middle of nothing
        _ = stage.wait_for(|stage| *stage != Stage::Open) => return,
        shaken = handshake => match shaken {
            Ok(Ok(stream)) => stream,
            Ok(Err(cause)) => return tracing::debug!(%cause, "a connection spoke no TLS"),
            Err(_) => return tracing::debug!("a connection took too long for TLS"),
        },
    };
    pace.begin();
    serve(stream, pace, answer, limits, stage).await;
}
