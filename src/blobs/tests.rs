//! What the store of blobs does.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::{FutureExt, stream};
use tempfile::TempDir;

use super::*;

const KEY: &str = "0f5c2a3e-1111-4222-8333-444455556666";

fn key(text: &str) -> BlobKey {
    text.parse().expect("a key")
}

fn fresh() -> (TempDir, Blobs) {
    let dir = TempDir::new().expect("a directory");
    let blobs = Blobs::local(dir.path()).expect("blobs");
    (dir, blobs)
}

/// A stream of chunks, the last of which may be a failure.
fn data<'a>(
    chunks: &'a [Result<&'static [u8], &'static str>],
) -> impl Stream<Item = Result<Bytes, &'static str>> + Unpin + 'a {
    stream::iter(chunks.iter().map(|chunk| chunk.map(Bytes::from_static)))
}

async fn put(blobs: &Blobs, name: &str, bytes: &'static [u8]) -> Written {
    blobs.write(&key(name), data(&[Ok(bytes)]), u64::MAX).await.expect("written")
}

async fn collect(reading: Reading) -> Vec<u8> {
    reading.stream.map_ok(|chunk| chunk.to_vec()).try_concat().await.expect("read")
}

fn names(dir: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(dir.path()).expect("the directory");
    let mut names: Vec<_> = entries.map(|e| e.expect("an entry").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

#[test]
fn a_key_is_lower_case_hexadecimal_and_dashes() {
    for good in ["0", "a-f", KEY, &"f".repeat(64)] {
        assert!(good.parse::<BlobKey>().is_ok(), "{good}");
    }
    for bad in ["", ".", "..", "../a", "a/b", "A", "g", "a#1", "é", "a\0", " ", &"f".repeat(65)] {
        assert!(bad.parse::<BlobKey>().is_err(), "{bad}");
    }
}

#[test]
fn the_directory_is_made_for_us_alone() {
    let dir = TempDir::new().expect("a directory");
    let inner = dir.path().join("a/blobs");
    Blobs::local(&inner).expect("blobs");
    assert_eq!(fs::metadata(inner).expect("made").permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn what_was_written_is_read() {
    let (_dir, blobs) = fresh();
    blobs.write(&key(KEY), data(&[Ok(b"hello "), Ok(b"world")]), 11).await.expect("written");
    let reading = blobs.read(&key(KEY)).await.expect("found");
    assert_eq!((reading.length, reading.blob_bytes), (11, 11));
    assert_eq!(collect(reading).await, b"hello world");
}

#[tokio::test]
async fn length_and_hashes_are_told() {
    let (_dir, blobs) = fresh();
    let written = put(&blobs, KEY, b"abc").await;
    assert_eq!(written.bytes, 3);
    assert_eq!(written.md5, "900150983cd24fb0d6963f7d28e17f72");
    assert_eq!(
        written.sha512,
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
    );
}

#[tokio::test]
async fn an_empty_blob_is_a_blob() {
    let (_dir, blobs) = fresh();
    let written = put(&blobs, KEY, b"").await;
    assert_eq!((written.bytes, written.md5.as_str()), (0, "d41d8cd98f00b204e9800998ecf8427e"));
    assert_eq!(collect(blobs.read(&key(KEY)).await.expect("found")).await, b"");
}

/// `count` chunks of `size` bytes; tells, before each, how much has been given already.
fn counted_chunks(
    size: usize,
    count: u64,
    at: impl Fn(u64),
) -> impl Stream<Item = Result<Bytes, &'static str>> + Unpin {
    stream::iter((0..count).map(move |n| {
        at(n * size as u64);
        Ok(Bytes::from(vec![n as u8; size]))
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_is_never_more_than_three_parts_ahead_of_the_disk() {
    let (dir, blobs) = fresh();
    let unfinished = dir.path().join(format!("{KEY}#1"));
    let furthest = AtomicU64::new(0);
    let source = counted_chunks(100_000, 672, |given| {
        let on_disk = fs::metadata(&unfinished).expect("the upload has begun").len();
        furthest.fetch_max(given.saturating_sub(on_disk), Ordering::Relaxed);
    });
    let written = blobs.write(&key(KEY), source, u64::MAX).await.expect("written");
    assert!(written.bytes > 64 << 20);
    // One part being written, one being gathered, and what is left of the last chunk.
    assert!(furthest.into_inner() <= 3 * PART_BYTES as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_of_many_parts_comes_back_and_has_the_hashes_of_the_whole() {
    let (_dir, blobs) = fresh();
    let written = blobs.write(&key(KEY), counted_chunks(99_991, 33, |_| ()), u64::MAX).await.expect("written");
    let whole: Vec<u8> = (0..33).flat_map(|n| vec![n; 99_991]).collect();
    assert_eq!(collect(blobs.read(&key(KEY)).await.expect("found")).await, whole);
    let (_other_dir, others) = fresh();
    let at_once = others.write(&key(KEY), stream::iter([Ok::<_, ()>(Bytes::from(whole))]), u64::MAX).await;
    assert_eq!(at_once.expect("written"), written);
}

#[tokio::test]
async fn writing_and_reading_may_move_between_threads() {
    let (_dir, blobs) = fresh();
    let copy = blobs.clone();
    let written = tokio::spawn(async move { copy.write(&key(KEY), counted_chunks(9, 1, |_| ()), 9).await });
    assert!(written.await.expect("no panic").is_ok());
    let read = tokio::spawn(async move { collect(blobs.read(&key(KEY)).await.expect("found")).await });
    assert_eq!(read.await.expect("no panic").len(), 9);
}

#[tokio::test]
async fn nobody_sees_a_blob_before_it_is_complete() {
    let (dir, blobs) = fresh();
    let path = dir.path().join(KEY);
    let source = counted_chunks(PART_BYTES, 4, |_| assert!(!path.exists()));
    blobs.write(&key(KEY), source, u64::MAX).await.expect("written");
    assert!(path.exists());
}

#[tokio::test]
async fn a_source_that_fails_leaves_nothing() {
    let (dir, blobs) = fresh();
    let chunks = counted_chunks(PART_BYTES, 3, |_| ()).chain(stream::iter([Err("cable cut")]));
    let failed = blobs.write(&key(KEY), chunks, u64::MAX).await;
    assert!(matches!(failed, Err(WriteError::Source("cable cut"))));
    assert_eq!(names(&dir), [""; 0]);
}

#[tokio::test]
async fn data_that_is_too_long_is_refused_and_leaves_nothing() {
    let (dir, blobs) = fresh();
    let failed = blobs.write(&key(KEY), counted_chunks(PART_BYTES, 3, |_| ()), 2 * PART_BYTES as u64).await;
    assert!(matches!(failed, Err(WriteError::TooLong(2_097_152))));
    assert_eq!(names(&dir), [""; 0]);
}

#[tokio::test]
async fn data_of_just_the_allowed_length_is_taken() {
    let (_dir, blobs) = fresh();
    assert!(blobs.write(&key(KEY), data(&[Ok(b"1234")]), 4).await.is_ok());
    assert!(blobs.write(&key("ab"), data(&[Ok(b"12345")]), 4).await.is_err());
}

#[test]
fn a_write_that_is_dropped_leaves_nothing() {
    let (dir, blobs) = fresh();
    // One blocking thread, so that what is asked of it last is done last.
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().expect("a runtime");
    runtime.block_on(async {
        let key = key(KEY);
        let endless = counted_chunks(PART_BYTES, 2, |_| ()).chain(stream::pending());
        let mut write = Box::pin(blobs.write(&key, endless, u64::MAX));
        while !names(&dir).contains(&format!("{KEY}#1")) {
            assert!((&mut write).now_or_never().is_none());
            tokio::task::yield_now().await;
        }
        drop(write);
        tokio::task::spawn_blocking(|| ()).await.expect("the thread has cleared up before");
    });
    assert_eq!(names(&dir), [""; 0]);
}

#[tokio::test]
async fn a_completion_that_fails_leaves_nothing() {
    let (dir, blobs) = fresh();
    fs::create_dir(dir.path().join(KEY)).expect("something in the way");
    assert!(blobs.write(&key(KEY), data(&[Ok(b"x")]), 9).await.is_err());
    assert_eq!(names(&dir), [KEY]);
}

#[tokio::test]
async fn a_blob_is_not_written_twice() {
    let (_dir, blobs) = fresh();
    put(&blobs, KEY, b"first").await;
    let again = blobs.write(&key(KEY), data(&[Ok(b"second")]), 9).await;
    assert!(matches!(again, Err(WriteError::Blob(BlobError::Exists))));
    assert_eq!(collect(blobs.read(&key(KEY)).await.expect("found")).await, b"first");
}

async fn range(range: Range<u64>) -> Result<(u64, u64, Vec<u8>), BlobError> {
    let (_dir, blobs) = fresh();
    put(&blobs, KEY, b"0123456789").await;
    let reading = blobs.read_range(&key(KEY), range).await?;
    Ok((reading.length, reading.blob_bytes, collect(reading).await))
}

#[tokio::test]
async fn a_range_is_read() {
    assert_eq!(range(2..5).await.expect("within"), (3, 10, b"234".to_vec()));
}

#[tokio::test]
async fn a_range_ends_where_the_blob_ends() {
    assert_eq!(range(8..u64::MAX).await.expect("within"), (2, 10, b"89".to_vec()));
}

#[tokio::test]
async fn a_range_without_bytes_is_refused() {
    #[allow(clippy::reversed_empty_ranges, reason = "that is the point")]
    for empty in [10..11, 3..3, 5..4, u64::MAX..u64::MAX] {
        assert!(matches!(range(empty.clone()).await, Err(BlobError::BadRange)), "{empty:?}");
    }
}

#[tokio::test]
async fn a_range_across_many_reads_is_whole() {
    let (_dir, blobs) = fresh();
    blobs.write(&key(KEY), counted_chunks(READ_BYTES as usize, 4, |_| ()), u64::MAX).await.expect("written");
    let reading = blobs.read_range(&key(KEY), READ_BYTES - 1..3 * READ_BYTES + 1).await.expect("within");
    let read = collect(reading).await;
    assert_eq!(read.len() as u64, 2 * READ_BYTES + 2);
    assert_eq!((read[0], read[1], read[read.len() - 1]), (0, 1, 3));
}

#[tokio::test]
async fn a_file_that_shrinks_while_it_is_read_is_an_error() {
    let (dir, blobs) = fresh();
    put(&blobs, KEY, b"0123456789").await;
    let reading = blobs.read(&key(KEY)).await.expect("found");
    let file = fs::OpenOptions::new().write(true).open(dir.path().join(KEY)).expect("the file");
    file.set_len(4).expect("shorter");
    assert!(reading.stream.try_collect::<Vec<_>>().await.is_err());
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let (_dir, blobs) = fresh();
    assert!(matches!(blobs.read(&key(KEY)).await, Err(BlobError::NotFound)));
    assert!(matches!(blobs.read_range(&key(KEY), 0..1).await, Err(BlobError::NotFound)));
    assert!(matches!(blobs.len(&key(KEY)).await, Err(BlobError::NotFound)));
    assert!(!blobs.exists(&key(KEY)).await.expect("an answer"));
}

#[tokio::test]
async fn a_blob_can_be_deleted_twice() {
    let (dir, blobs) = fresh();
    put(&blobs, KEY, b"x").await;
    blobs.delete(&key(KEY)).await.expect("deleted");
    blobs.delete(&key(KEY)).await.expect("nothing to delete");
    assert_eq!(names(&dir), [""; 0]);
}

#[tokio::test]
async fn what_is_being_read_can_be_deleted() {
    let (_dir, blobs) = fresh();
    put(&blobs, KEY, b"still here").await;
    let reading = blobs.read(&key(KEY)).await.expect("found");
    blobs.delete(&key(KEY)).await.expect("deleted");
    assert_eq!(collect(reading).await, b"still here");
}

fn later() -> SystemTime {
    SystemTime::now() + Duration::from_secs(60)
}

/// Removes what `known` does not know, page by page; what came of it, and how many pages there were.
async fn swept(blobs: &Blobs, before: SystemTime, known: &[&str]) -> (Swept, usize) {
    let mut sweep = blobs.sweep(before).await.expect("the directory is there");
    let mut pages = 0;
    while let Some(page) = sweep.page().await.expect("a page") {
        pages += 1;
        for key in page.iter().filter(|key| !known.contains(&key.as_str())) {
            sweep.remove(key).await.expect("removed");
        }
    }
    (sweep.swept(), pages)
}

#[tokio::test]
async fn a_sweep_holds_a_page_at_a_time_and_misses_nothing() {
    let (dir, blobs) = fresh();
    let known: Vec<String> = (0..250).map(|number| format!("{number:04x}")).collect();
    for name in &known {
        fs::write(dir.path().join(name), "known").expect("written");
    }
    for number in 0..250 {
        fs::write(dir.path().join(format!("{number:04x}-dead")), "orphan").expect("written");
    }
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let (swept, pages) = swept(&blobs, later(), &known).await;
    assert_eq!((swept, names(&dir).len()), (Swept { orphans: 250, unfinished: 0 }, 250));
    assert!(pages >= 5, "{pages} pages");
}

#[tokio::test]
async fn a_sweep_removes_what_nobody_knows_and_what_was_never_finished() {
    let (dir, blobs) = fresh();
    put(&blobs, "a1", b"known").await;
    put(&blobs, "b2", b"orphan").await;
    fs::write(dir.path().join("c3#1"), "half").expect("written");
    let (swept, _) = swept(&blobs, later(), &["a1"]).await;
    assert_eq!(swept, Swept { orphans: 1, unfinished: 1 });
    assert_eq!(names(&dir), ["a1"]);
}

#[tokio::test]
async fn a_sweep_leaves_what_is_young() {
    let (dir, blobs) = fresh();
    put(&blobs, "b2", b"orphan").await;
    fs::write(dir.path().join("c3#1"), "half").expect("written");
    let (swept, _) = swept(&blobs, SystemTime::UNIX_EPOCH, &[]).await;
    assert_eq!((swept, names(&dir)), (Swept::default(), vec!["b2".to_owned(), "c3#1".to_owned()]));
}

#[tokio::test]
async fn a_sweep_leaves_what_is_not_ours() {
    let (dir, blobs) = fresh();
    fs::create_dir(dir.path().join("lost+found")).expect("a directory");
    for name in ["README", "X#1", "a1#b", "a1.bak"] {
        fs::write(dir.path().join(name), "keep").expect("written");
    }
    assert_eq!(swept(&blobs, later(), &[]).await.0, Swept::default());
    assert_eq!(names(&dir), ["README", "X#1", "a1#b", "a1.bak", "lost+found"]);
}

#[test]
fn a_full_disk_is_told_apart() {
    let full = BlobError::from(io::Error::from(io::ErrorKind::StorageFull));
    let other = BlobError::from(io::Error::from(io::ErrorKind::PermissionDenied));
    assert!(matches!((full, other), (BlobError::Full(_), BlobError::Store(_))));
}

#[test]
fn no_path_is_in_the_words_of_an_error() {
    let (dir, _) = fresh();
    let file = dir.path().join("file");
    fs::write(&file, "").expect("written");
    let error = Blobs::local(&file).expect_err("no directory");
    assert_eq!(error.to_string(), "the store of blobs failed");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: cargo test --release -- --ignored --nocapture"]
async fn measure_a_blob_of_512_mib() {
    let (_dir, blobs) = fresh();
    let began = std::time::Instant::now();
    blobs.write(&key(KEY), counted_chunks(64 << 10, 8192, |_| ()), u64::MAX).await.expect("written");
    println!("write: {:.0} MiB/s", 512.0 / began.elapsed().as_secs_f64());
    let began = std::time::Instant::now();
    let read = blobs.read(&key(KEY)).await.expect("found").stream.try_fold(0, async |sum, chunk| Ok(sum + chunk.len()));
    assert_eq!(read.await.expect("read"), 512 << 20);
    println!("read: {:.0} MiB/s", 512.0 / began.elapsed().as_secs_f64());
}
