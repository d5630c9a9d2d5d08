//! A defect in the middle of one request, one transaction or one task; and the others, who do not notice.

use kilonova::hypervisor::{Op, PowerOp};
use kilonova::store::{Store, StoreError, Tx};

use crate::engine;
use crate::house::House;
use crate::servers::{furnished, up};
use crate::street::Street;

/// Puts a row, and panics afterwards if the test wants it.
async fn put(store: &Store, name: String, panics: bool) -> Result<(), StoreError> {
    let script = move |tx: &mut dyn Tx| {
        tx.execute("INSERT INTO names (name) VALUES ($1)", &[name.as_str().into()])?;
        assert!(!panics, "a test wants it to panic");
        Ok(())
    };
    store.write(script).await
}

#[tokio::test]
async fn a_script_that_panics_is_undone_and_those_it_shared_a_batch_with_are_kept() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = engine::store(directory.path()).await;
    let made = store.write(|tx| tx.execute("CREATE TABLE names (name TEXT PRIMARY KEY)", &[])).await;
    made.expect("a table can be made");
    // all of them wait before the first is looked at, so they come in batches
    let puts = (0..60).map(|number| put(&store, format!("n{number:02}"), number % 3 == 0));
    let outcomes = futures_util::future::join_all(puts).await;
    for (number, outcome) in outcomes.iter().enumerate() {
        let is_right = match outcome {
            Ok(()) => number % 3 != 0,
            Err(StoreError::Defect(_)) => number % 3 == 0,
            Err(_) => false,
        };
        assert!(is_right, "{number}: {outcome:?}");
    }
    let read = store.read(|tx| tx.all("SELECT name FROM names ORDER BY name", &[], |row| Ok(row.text(0)?.to_owned())));
    let kept: Vec<String> = (0..60).filter(|number| number % 3 != 0).map(|number| format!("n{number:02}")).collect();
    assert_eq!(read.await.expect("the table can be read"), kept);
}

#[tokio::test]
async fn a_script_that_panics_while_it_reads_leaves_its_connection_usable() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = engine::store(directory.path()).await;
    // more often than there are readers
    for _ in 0..20 {
        let read = store.read(|tx| {
            tx.query("SELECT count(*) FROM domains", &[], &mut |_| panic!("a test wants it to panic"))?;
            Ok::<_, StoreError>(())
        });
        assert!(matches!(read.await, Err(StoreError::Defect(_))));
    }
    let read = store.read(|tx| tx.number("SELECT count(*) FROM domains", &[]));
    read.await.expect("the next one is read");
}

#[tokio::test]
async fn a_driver_that_panics_spoils_one_server_and_the_worker_goes_on() {
    let house = furnished().await;
    let member = house.person("member", "blue").await;
    let (one, other) = (up(&house, &member, "one", "").await, up(&house, &member, "other", "").await);
    house.driver.panic(Op::Power(PowerOp::Suspend));
    member.post(&format!("/v2.1/servers/{one}/action"), r#"{"suspend": null}"#).await.is(202);
    member.post(&format!("/v2.1/servers/{other}/action"), r#"{"os-stop": null}"#).await.is(202);
    house.settle().await;
    let status = async |id: &str| member.get(&format!("/v2.1/servers/{id}")).await.is(200).text_at("server.status");
    assert_eq!((status(&one).await.as_str(), status(&other).await.as_str()), ("ERROR", "SHUTOFF"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_panics_is_500_in_the_words_of_its_api_and_the_next_is_served() {
    let (house, store, _) = House::unsteady().await;
    let token = house.person("reader", "blue").await.token.expect("a token");
    let street = Street::before(&house).await;
    let ask = async |path: &str| street.ask(&format!("GET {path} HTTP/1.1\r\nhost: h\r\nx-auth-token: {token}\r\n")).await;
    for (path, form) in [
        ("/v2.1/servers", "{\"computeFault\": {\"code\": 500, "),
        ("/v2/servers", "{\"computeFault\": {\"code\": 500, "),
        ("/identity/v3/users", "{\"error\": {\"code\": 500, "),
        ("/image/v2/images", "<html>\n <head>\n  <title>500 Internal Server Error</title>"),
        ("/network/v2.0/networks", "{\"NeutronError\": {"),
    ] {
        store.panic(true);
        let heard = ask(path).await;
        assert!(heard.starts_with("HTTP/1.1 500 "), "{heard}");
        assert!(heard.contains("\r\nx-openstack-request-id: req-"), "{heard}");
        assert!(heard.split("\r\n\r\n").nth(1).expect("a body").starts_with(form), "{heard}");
        store.panic(false);
        assert!(ask("/v2.1/servers").await.starts_with("HTTP/1.1 200 "));
    }
}
