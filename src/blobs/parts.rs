//! A stream of chunks of any size made into parts of one size, counting what passes. No store here.

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};

use super::WriteError;

/// A stream that is read in parts.
pub(super) struct Parts<S> {
    data: S,
    /// What is left of a chunk that was larger than the part it began in.
    rest: Bytes,
    part_bytes: usize,
    bytes_left: u64,
    bytes_max: u64,
}

impl<S, E> Parts<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    pub(super) fn new(data: S, part_bytes: usize, bytes_max: u64) -> Parts<S> {
        Parts { data, rest: Bytes::new(), part_bytes, bytes_left: bytes_max, bytes_max }
    }

    /// The next part: of `part_bytes` bytes, fewer at the end, none after it.
    // Chunks are copied together, not listed: a list of tiny chunks can hold a multiple of its bytes in memory.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, WriteError<E>> {
        let mut part = BytesMut::new();
        while part.len() < self.part_bytes {
            if self.rest.is_empty() {
                match self.data.next().await {
                    Some(chunk) => self.rest = self.counted(chunk.map_err(WriteError::Source)?)?,
                    None => break,
                }
            }
            part.reserve(if part.is_empty() { self.rest.len().min(self.part_bytes) } else { 0 });
            let fits = self.rest.len().min(self.part_bytes - part.len());
            part.extend_from_slice(&self.rest[..fits]);
            self.rest.advance(fits);
        }
        Ok((!part.is_empty()).then(|| part.freeze()))
    }

    fn counted(&mut self, chunk: Bytes) -> Result<Bytes, WriteError<E>> {
        self.bytes_left = self.bytes_left.checked_sub(chunk.len() as u64).ok_or(WriteError::TooLong(self.bytes_max))?;
        Ok(chunk)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;

    use super::*;

    async fn parts(chunks: &[usize], part_bytes: usize) -> Vec<usize> {
        let chunks: Vec<_> = chunks.iter().map(|length| Ok::<_, Infallible>(Bytes::from(vec![7; *length]))).collect();
        let mut parts = Parts::new(stream::iter(chunks), part_bytes, u64::MAX);
        let mut lengths = Vec::new();
        while let Some(part) = parts.next().await.expect("no error") {
            lengths.push(part.len());
        }
        lengths
    }

    #[tokio::test]
    async fn small_chunks_are_gathered() {
        assert_eq!(parts(&[3, 3, 3, 3], 5).await, [5, 5, 2]);
    }

    #[tokio::test]
    async fn a_large_chunk_is_divided() {
        assert_eq!(parts(&[12], 5).await, [5, 5, 2]);
    }

    #[tokio::test]
    async fn empty_chunks_are_not_the_end() {
        assert_eq!(parts(&[0, 5, 0, 0, 1], 5).await, [5, 1]);
    }

    #[tokio::test]
    async fn no_chunks_are_no_parts() {
        assert_eq!(parts(&[], 5).await, [0; 0]);
    }

    #[tokio::test]
    async fn a_part_is_what_has_come_in_its_order() {
        let chunks = ["ab", "cde", "f"].map(|text| Ok::<_, Infallible>(Bytes::from(text)));
        let mut parts = Parts::new(stream::iter(chunks), 4, 6);
        assert_eq!(parts.next().await.expect("no error").as_deref(), Some(&b"abcd"[..]));
        assert_eq!(parts.next().await.expect("no error").as_deref(), Some(&b"ef"[..]));
    }
}
