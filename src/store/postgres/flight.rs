//! What is sent without waiting for the answer of what was sent before: a flight of statements takes one round trip.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use bytes::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Error, Statement};

use crate::store::engine::Value;

/// Something to be sent, whose answer nobody is interested in as long as there is no error in it.
pub enum Later {
    /// A statement without parameters.
    Plain(String),
    /// A prepared one with its parameters.
    Prepared(Statement, Vec<Kept>),
}

/// A parameter that outlives its script.
#[derive(Debug)]
pub enum Kept {
    /// SQL NULL.
    Null,
    /// A whole number.
    Int(i64),
    /// Text.
    Text(String),
}

impl From<Value<'_>> for Kept {
    fn from(value: Value<'_>) -> Kept {
        match value {
            Value::Null => Kept::Null,
            Value::Int(number) => Kept::Int(number),
            Value::Text(text) => Kept::Text(text.to_owned()),
        }
    }
}

impl Later {
    async fn send(&self, client: &Client) -> Result<(), Error> {
        match self {
            Later::Plain(sql) => client.batch_execute(sql).await,
            Later::Prepared(statement, parameters) => {
                let parameters: Vec<_> = parameters.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
                client.execute(statement, &parameters).await.map(|_| ())
            }
        }
    }
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + 'a>>;

/// Sends all of them in order, and comes back when all are answered.
///
/// # Errors
/// The first: it is why the others failed, where they did.
pub async fn send_all(client: &Client, all: &[Later]) -> Result<(), Error> {
    let mut answers: Vec<Option<Answer<'_>>> = all.iter().map(|one| Some(Box::pin(one.send(client)) as _)).collect();
    let mut outcome = Ok(());
    // a client sends when an answer is first asked for, so asking in order sends in order
    poll_fn(|context| {
        for place in &mut answers {
            let Some(Poll::Ready(answer)) = place.as_mut().map(|answer| answer.as_mut().poll(context)) else {
                continue;
            };
            *place = None;
            if outcome.is_ok() {
                outcome = answer;
            }
        }
        if answers.iter().all(Option::is_none) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    outcome
}

impl ToSql for Kept {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let value = match self {
            Kept::Null => Value::Null,
            Kept::Int(number) => Value::Int(*number),
            Kept::Text(text) => Value::Text(text),
        };
        value.to_sql(kind, out)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl ToSql for Value<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match (self, kind) {
            (Value::Null, _) => Ok(IsNull::Yes),
            (Value::Int(number), &Type::INT4) => i32::try_from(*number)?.to_sql(kind, out),
            (Value::Int(number), _) => number.to_sql(kind, out),
            (Value::Text(text), _) => text.to_sql(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
