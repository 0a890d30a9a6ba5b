//! What the peer answers on streams that others open, and the bytes that all peers send.
use std::{
    io::{Error, Result},
    sync::{Arc, LazyLock},
};

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::{StreamProtocol, swarm::Stream};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::Node;

pub const ECHO: &str = "/echo/1.0.0";
pub const HELLO: &str = "/hello/1.0.0";
pub const DIGEST: &str = "/digest/1.0.0";
pub const SOURCE: &str = "/source/1.0.0";
pub const PERF: &str = "/perf/1.0.0";
pub const WATCH: &str = "/watch/1.0.0";
pub const ABORT: &str = "/abort/1.0.0";
pub const IDENTIFY: &str = "/ipfs/id/1.0.0";
pub const PUSH: &str = "/ipfs/id/push/1.0.0";
const OVERSIZE: usize = 20_000;

/// A prime, so that a chunk that is lost or told twice is seen whatever sizes frames and windows have.
const PATTERN_BYTES: usize = 65_521;
pub static PATTERN: LazyLock<Vec<u8>> = LazyLock::new(|| (0..PATTERN_BYTES).map(|at| (at ^ (at >> 8)) as u8).collect());

pub fn names(identify: &str) -> Vec<StreamProtocol> {
    let oversize = (identify == "oversize").then_some(IDENTIFY);
    let own = [ECHO, HELLO, DIGEST, SOURCE, PERF, WATCH, ABORT].into_iter();
    own.chain(oversize).map(StreamProtocol::new).collect()
}

pub async fn write_pattern(stream: &mut (impl futures::AsyncWrite + Unpin), count: u64) -> Result<()> {
    let mut left = count as usize;
    while left > 0 {
        let chunk = left.min(PATTERN_BYTES);
        stream.write_all(&PATTERN[..chunk]).await?;
        left -= chunk;
    }
    stream.flush().await
}

/// Reads to the end. Gives how many bytes they were.
pub async fn read_all(stream: &mut (impl futures::AsyncRead + Unpin), mut take: impl FnMut(&[u8])) -> Result<u64> {
    let mut buffer = vec![0; PATTERN_BYTES];
    let mut count = 0;
    loop {
        let got = stream.read(&mut buffer).await?;
        if got == 0 {
            return Ok(count);
        }
        take(&buffer[..got]);
        count += got as u64;
    }
}

pub async fn hashed(stream: &mut (impl futures::AsyncRead + Unpin)) -> Result<(u64, Vec<u8>)> {
    let mut sum = Sha256::new();
    let count = read_all(stream, |bytes| sum.update(bytes)).await?;
    Ok((count, sum.finalize().to_vec()))
}

async fn read_count(stream: &mut Stream) -> Result<u64> {
    let mut head = [0; 8];
    stream.read_exact(&mut head).await?;
    Ok(u64::from_be_bytes(head))
}

fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = vec![];
    while value >= 128 {
        bytes.push((value & 127) as u8 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A message of identify that is one agent version of `count` bytes.
pub fn oversize_message(count: usize) -> Vec<u8> {
    let mut field = vec![6 << 3 | 2];
    field.extend(varint(count));
    let mut bytes = varint(field.len() + count);
    bytes.extend(field);
    bytes.resize(bytes.len() + count, b'a');
    bytes
}

/// How a stream that gives no more bytes ended. The library tells a reset as an end, but then it can no longer be written to.
pub async fn end_of(stream: &mut Stream, read: Result<u64>) -> String {
    if let Err(error) = read {
        return error.to_string();
    }
    match stream.write(&[0]).await {
        Ok(_) => "end".into(),
        Err(_) => "reset".into(),
    }
}

async fn echo(stream: &mut Stream) -> Result<()> {
    let mut buffer = vec![0; PATTERN_BYTES];
    loop {
        let got = stream.read(&mut buffer).await?;
        if got == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..got]).await?;
        stream.flush().await?;
    }
}

async fn hello(stream: &mut Stream) -> Result<()> {
    let mut said = [0; 5];
    stream.read_exact(&mut said).await?;
    if &said != b"hello" {
        return Err(Error::other("not hello"));
    }
    stream.write_all(b"world").await
}

async fn digest(stream: &mut Stream) -> Result<()> {
    let (count, sum) = hashed(stream).await?;
    stream.write_all(&count.to_be_bytes()).await?;
    stream.write_all(&sum).await
}

async fn perf(stream: &mut Stream) -> Result<()> {
    let count = read_count(stream).await?;
    read_all(stream, |_| {}).await?;
    write_pattern(stream, count).await
}

async fn abort(stream: &mut Stream) -> Result<()> {
    let count = read_count(stream).await?;
    let mut bytes = vec![0; count as usize];
    stream.read_exact(&mut bytes).await?;
    Err(Error::other("as asked"))
}

/// Tells that it is there before it reads: a stream that is reset while its protocol is agreed upon reaches no handler.
async fn watch(stream: &mut Stream, node: &Node) -> Result<()> {
    stream.write_all(&[1]).await?;
    stream.flush().await?;
    let mut bytes = 0;
    let read = read_all(stream, |piece| bytes += piece.len()).await;
    let how = end_of(stream, read).await;
    let _ = node.endings_in.send(json!({"bytes": bytes, "how": how}));
    Ok(())
}

async fn handle(node: Arc<Node>, name: StreamProtocol, mut stream: Stream) {
    let ended = match name.as_ref() {
        HELLO => hello(&mut stream).await,
        DIGEST => digest(&mut stream).await,
        SOURCE => match read_count(&mut stream).await {
            Ok(count) => write_pattern(&mut stream, count).await,
            Err(error) => Err(error),
        },
        PERF => perf(&mut stream).await,
        ABORT => abort(&mut stream).await,
        WATCH => watch(&mut stream, &node).await,
        IDENTIFY => stream.write_all(&oversize_message(OVERSIZE)).await,
        // And whatever was announced.
        _ => echo(&mut stream).await,
    };
    // A stream that is dropped open is reset.
    if ended.is_ok() {
        let _ = stream.close().await;
    }
}

pub async fn serve(node: Arc<Node>, mut taken: mpsc::UnboundedReceiver<(StreamProtocol, Stream)>) {
    while let Some((name, stream)) = taken.recv().await {
        tokio::spawn(handle(node.clone(), name, stream));
    }
}
