//! What the peer can be asked to do to another.
use std::{future::Future, sync::Arc, time::Instant};

use futures::{AsyncReadExt, AsyncWriteExt, future::try_join_all};
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm,
    swarm::{Stream, dial_opts::DialOpts},
};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::{
    Behaviour, Node,
    protocols::{self, PATTERN},
    streams::NotOpened,
};

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Answer = Result<Value, Failure>;

/// One request: what a command does not need is absent.
struct Asked(Value);

impl Asked {
    fn count(&self, name: &str) -> u64 {
        self.0[name].as_u64().unwrap_or(0)
    }

    fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or("")
    }

    fn peer(&self) -> Result<PeerId, Failure> {
        Ok(self.text("peer").parse()?)
    }
}

pub async fn run(node: Arc<Node>, line: Value) -> Answer {
    let asked = Asked(line);
    match asked.text("do") {
        "dial" => dial(&node, &asked).await,
        "hangup" => hangup(&node, asked.peer()?).await,
        "connections" => connections(&node, asked.count("count")).await,
        "usage" => Ok(json!({})),
        "ping" => ping(&node, &asked).await,
        "identify" => identify(&node, asked.peer()?).await,
        "announce" => announce(&node, &asked).await,
        "knows" => knows(&node, &asked).await,
        "hello" => hello(&node, &asked).await,
        "echo" => echo(&node, &asked).await,
        "streams" => streams(&node, &asked).await,
        "bulk" => bulk(&node, &asked).await,
        "perf" => perf(&node, &asked).await,
        "abort" => abort(&node, &asked).await,
        "ending" => node.endings.lock().await.recv().await.ok_or("no more".into()),
        "aborted" => aborted(&node, &asked).await,
        "oversize" => oversize(&node, &asked).await,
        "unknown" => unknown(&node, &asked).await,
        "rtt" => rtt(&node, &asked).await,
        "calls" => calls(&node, &asked).await,
        "handshakes" => handshakes(&node, &asked).await,
        other => Err(format!("no command {other}").into()),
    }
}

/// Does `work` where the swarm is and gives back what came of it.
async fn on_swarm<T: Send + 'static>(
    node: &Node,
    work: impl FnOnce(&mut Swarm<Behaviour>) -> T + Send + 'static,
) -> Result<T, Failure> {
    let (reply, replied) = oneshot::channel();
    let run = move |swarm: &mut Swarm<Behaviour>| drop(reply.send(work(swarm)));
    node.work.send(Box::new(run)).map_err(|_| "the swarm is gone")?;
    Ok(replied.await?)
}

/// Asks every few milliseconds until there is an answer; the bound is that of the command.
async fn until<T, F: Future<Output = Result<Option<T>, Failure>>>(mut ask: impl FnMut() -> F) -> Result<T, Failure> {
    loop {
        if let Some(found) = ask().await? {
            return Ok(found);
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

fn microseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e6
}

fn spread(mut times: Vec<f64>) -> Value {
    times.sort_by(f64::total_cmp);
    let at = |part: f64| times.get((times.len() as f64 * part) as usize).copied().unwrap_or(0.0);
    json!({"count": times.len(), "p50": at(0.5), "p99": at(0.99), "least": at(0.0)})
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn connect(node: &Node, to: &str) -> Result<PeerId, Failure> {
    let to: Multiaddr = to.parse()?;
    let (reply, replied) = oneshot::channel();
    let told = node.told.clone();
    on_swarm(node, move |swarm| {
        let options = DialOpts::from(to);
        told.lock().unwrap().dials.insert(options.connection_id(), reply);
        swarm.dial(options)
    })
    .await??;
    Ok(replied.await??)
}

async fn dial(node: &Node, asked: &Asked) -> Answer {
    let peer = connect(node, asked.text("to")).await?;
    Ok(json!({"peer": peer.to_string()}))
}

async fn hangup(node: &Node, peer: PeerId) -> Answer {
    on_swarm(node, move |swarm| swarm.disconnect_peer_id(peer)).await?.ok();
    until(|| async move { Ok((!on_swarm(node, move |swarm| swarm.is_connected(&peer)).await?).then_some(())) }).await?;
    Ok(json!({}))
}

async fn connections(node: &Node, count: u64) -> Answer {
    until(|| async move {
        let now = on_swarm(node, |swarm| swarm.network_info().connection_counters().num_established()).await?;
        Ok((u64::from(now) == count).then_some(()))
    })
    .await?;
    Ok(json!({"count": count}))
}

/// The behaviour pings by itself, five times a second.
async fn ping(node: &Node, asked: &Asked) -> Answer {
    let (peer, count) = (asked.peer()?, asked.count("count") as usize);
    let times = until(|| async move {
        let told = node.told.lock().unwrap();
        Ok(told.pings.get(&peer).filter(|times| times.len() >= count).cloned())
    })
    .await?;
    Ok(spread(times))
}

async fn identify(node: &Node, peer: PeerId) -> Answer {
    until(|| async move { Ok(node.told.lock().unwrap().identified.get(&peer).cloned()) }).await
}

async fn announce(node: &Node, asked: &Asked) -> Answer {
    let protocol = StreamProtocol::try_from_owned(asked.text("protocol").into())?;
    on_swarm(node, move |swarm| {
        let peers = swarm.connected_peers().copied().collect();
        swarm.behaviour_mut().streams.announce(protocol, peers);
    })
    .await?;
    Ok(json!({}))
}

async fn knows(node: &Node, asked: &Asked) -> Answer {
    let (peer, protocol) = (asked.peer()?, json!(asked.text("protocol")));
    let protocol = &protocol;
    until(|| async move {
        let told = node.told.lock().unwrap();
        let known = told.identified.get(&peer).and_then(|found| found["protocols"].as_array());
        Ok(known.is_some_and(|names| names.contains(protocol)).then_some(()))
    })
    .await?;
    Ok(json!({}))
}

async fn try_open(node: &Node, peer: PeerId, name: &str) -> Result<Result<Stream, NotOpened>, Failure> {
    let name = StreamProtocol::try_from_owned(name.into())?;
    let (reply, replied) = oneshot::channel();
    on_swarm(node, move |swarm| swarm.behaviour_mut().streams.open(peer, name, reply)).await?;
    Ok(replied.await?)
}

async fn open(node: &Node, asked: &Asked, name: &str) -> Result<Stream, Failure> {
    try_open(node, asked.peer()?, name).await?.map_err(|error| format!("{error:?}").into())
}

async fn hello(node: &Node, asked: &Asked) -> Answer {
    let mut stream = open(node, asked, protocols::HELLO).await?;
    stream.write_all(b"hello").await?;
    stream.flush().await?;
    let mut said = String::new();
    stream.read_to_string(&mut said).await?;
    stream.close().await?;
    Ok(json!({"text": said}))
}

async fn echo(node: &Node, asked: &Asked) -> Answer {
    let stream = open(node, asked, protocols::ECHO).await?;
    let (mut reader, mut writer) = stream.split();
    let write = async {
        protocols::write_pattern(&mut writer, asked.count("bytes")).await?;
        writer.close().await
    };
    let ((), (bytes, digest)) = futures::try_join!(write, protocols::hashed(&mut reader))?;
    Ok(json!({"bytes": bytes, "digest": hex(&digest)}))
}

async fn streams(node: &Node, asked: &Asked) -> Answer {
    let all = try_join_all((0..asked.count("count")).map(|_| echo(node, asked))).await?;
    Ok(json!({"echoes": all}))
}

async fn bulk(node: &Node, asked: &Asked) -> Answer {
    let began = Instant::now();
    let mut up = open(node, asked, protocols::DIGEST).await?;
    protocols::write_pattern(&mut up, asked.count("up")).await?;
    up.close().await?;
    let mut told = vec![];
    up.read_to_end(&mut told).await?;
    let count = told.first_chunk().map(|head| u64::from_be_bytes(*head)).ok_or("no digest came")?;
    let up_microseconds = microseconds(began);
    let began = Instant::now();
    let mut down = open(node, asked, protocols::SOURCE).await?;
    down.write_all(&asked.count("down").to_be_bytes()).await?;
    down.close().await?;
    let (bytes, digest) = protocols::hashed(&mut down).await?;
    Ok(json!({
        "up": {"bytes": count, "digest": hex(&told[8..]), "us": up_microseconds},
        "down": {"bytes": bytes, "digest": hex(&digest), "us": microseconds(began)},
    }))
}

async fn perf(node: &Node, asked: &Asked) -> Answer {
    let mut stream = open(node, asked, protocols::PERF).await?;
    let began = Instant::now();
    stream.write_all(&asked.count("down").to_be_bytes()).await?;
    protocols::write_pattern(&mut stream, asked.count("up")).await?;
    stream.close().await?;
    let up = microseconds(began);
    let began = Instant::now();
    let down = protocols::read_all(&mut stream, |_| {}).await?;
    Ok(json!({"up": asked.count("up"), "down": down, "upUs": up, "downUs": microseconds(began)}))
}

async fn abort(node: &Node, asked: &Asked) -> Answer {
    let mut stream = open(node, asked, protocols::WATCH).await?;
    stream.read_exact(&mut [0]).await?;
    protocols::write_pattern(&mut stream, asked.count("bytes")).await?;
    // A stream that is dropped open is reset.
    drop(stream);
    Ok(json!({}))
}

async fn aborted(node: &Node, asked: &Asked) -> Answer {
    let mut stream = open(node, asked, protocols::ABORT).await?;
    let count = asked.count("bytes");
    stream.write_all(&count.to_be_bytes()).await?;
    // The other side resets as soon as it has read them: the last write may see that.
    let _ = protocols::write_pattern(&mut stream, count).await;
    let read = protocols::read_all(&mut stream, |_| {}).await;
    Ok(json!({"saw": protocols::end_of(&mut stream, read).await}))
}

/// Pushes an identify message that is too long.
async fn oversize(node: &Node, asked: &Asked) -> Answer {
    let mut stream = open(node, asked, protocols::PUSH).await?;
    let _ = stream.write_all(&protocols::oversize_message(asked.count("bytes") as usize)).await;
    let _ = stream.flush().await;
    let read = protocols::read_all(&mut stream, |_| {}).await;
    Ok(json!({"saw": protocols::end_of(&mut stream, read).await}))
}

async fn unknown(node: &Node, asked: &Asked) -> Answer {
    match try_open(node, asked.peer()?, asked.text("protocol")).await? {
        Err(NotOpened::Refused) => Ok(json!({"refused": asked.text("protocol")})),
        Err(NotOpened::Failed(error)) => Err(error.into()),
        Ok(_) => Err("it was taken".into()),
    }
}

async fn round_trip(stream: &mut Stream, bytes: usize) -> Result<(), Failure> {
    stream.write_all(&PATTERN[..bytes]).await?;
    stream.flush().await?;
    let mut back = vec![0; bytes];
    Ok(stream.read_exact(&mut back).await?)
}

async fn rtt(node: &Node, asked: &Asked) -> Answer {
    let mut stream = open(node, asked, protocols::ECHO).await?;
    let mut times = vec![];
    for _ in 0..asked.count("count") {
        let began = Instant::now();
        round_trip(&mut stream, asked.count("bytes") as usize).await?;
        times.push(microseconds(began));
    }
    stream.close().await?;
    Ok(spread(times))
}

async fn calls(node: &Node, asked: &Asked) -> Answer {
    let mut times = vec![];
    for _ in 0..asked.count("count") {
        let began = Instant::now();
        let mut stream = open(node, asked, protocols::ECHO).await?;
        round_trip(&mut stream, asked.count("bytes") as usize).await?;
        times.push(microseconds(began));
        stream.close().await?;
    }
    Ok(spread(times))
}

async fn handshakes(node: &Node, asked: &Asked) -> Answer {
    let mut times = vec![];
    for _ in 0..asked.count("count") {
        let began = Instant::now();
        let peer = connect(node, asked.text("to")).await?;
        times.push(microseconds(began));
        hangup(node, peer).await?;
    }
    Ok(spread(times))
}
