//! A peer of rust-libp2p that does what the lines on its standard input say. The commands: test/interop/README.md.
mod commands;
mod protocols;
mod streams;

use std::{
    collections::HashMap,
    error::Error,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm, SwarmBuilder, identify, identity, noise, ping,
    swarm::{ConnectionId, NetworkBehaviour, SwarmEvent},
    tcp, tls, yamux,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    sync::{mpsc, oneshot},
};

pub const AGENT: &str = "rust-libp2p/0.57.1";
/// No command takes longer: the driver's own bound is above this.
const COMMAND: Duration = Duration::from_secs(30);

#[derive(NetworkBehaviour)]
pub struct Behaviour {
    identify: libp2p::swarm::behaviour::toggle::Toggle<identify::Behaviour>,
    ping: ping::Behaviour,
    pub streams: streams::Behaviour,
}

/// What is done to the swarm by the one task that has it.
pub type Work = Box<dyn FnOnce(&mut Swarm<Behaviour>) + Send>;

/// What the swarm's task tells the commands.
#[derive(Default)]
pub struct Told {
    pub identified: HashMap<PeerId, Value>,
    /// Microseconds, oldest first.
    pub pings: HashMap<PeerId, Vec<f64>>,
    pub dials: HashMap<ConnectionId, oneshot::Sender<Result<PeerId, String>>>,
}

pub struct Node {
    pub work: mpsc::UnboundedSender<Work>,
    pub told: Arc<Mutex<Told>>,
    pub endings: tokio::sync::Mutex<mpsc::UnboundedReceiver<Value>>,
    pub endings_in: mpsc::UnboundedSender<Value>,
}

struct Flags(HashMap<String, String>);

impl Flags {
    fn read() -> Self {
        let words: Vec<String> = std::env::args().skip(1).collect();
        Self(words.chunks_exact(2).map(|pair| (pair[0].trim_start_matches('-').into(), pair[1].clone())).collect())
    }

    fn get(&self, name: &str, otherwise: &str) -> String {
        self.0.get(name).cloned().unwrap_or_else(|| otherwise.into())
    }
}

/// The library makes no RSA keys: `-rsa` brings one, PKCS #8 as hex.
fn key_pair(flags: &Flags) -> Result<identity::Keypair, Box<dyn Error>> {
    Ok(match flags.get("key", "ed25519").as_str() {
        "ed25519" => identity::Keypair::generate_ed25519(),
        "ecdsa" => identity::Keypair::generate_ecdsa(),
        "secp256k1" => identity::Keypair::generate_secp256k1(),
        "rsa" => identity::Keypair::rsa_from_pkcs8(&mut unhex(&flags.get("rsa", ""))?)?,
        other => return Err(format!("no key type {other}").into()),
    })
}

fn unhex(text: &str) -> Result<Vec<u8>, std::num::ParseIntError> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16)).collect()
}

fn behaviour(key: &identity::Keypair, streams: streams::Behaviour, honest: bool, signed: bool) -> Behaviour {
    let version = "ipfs/0.1.0".to_string();
    let config = if signed {
        identify::Config::new_with_signed_peer_record(version, key)
    } else {
        identify::Config::new(version, key.public())
    }
    .with_agent_version(AGENT.into());
    Behaviour {
        identify: honest.then(|| identify::Behaviour::new(config)).into(),
        ping: ping::Behaviour::new(ping::Config::new().with_interval(Duration::from_millis(200))),
        streams,
    }
}

fn swarm_of(flags: &Flags, streams: streams::Behaviour) -> Result<Swarm<Behaviour>, Box<dyn Error>> {
    let key = key_pair(flags)?;
    let honest = flags.get("identify", "honest") == "honest";
    let signed = flags.get("record", "signed") == "signed";
    let made = SwarmBuilder::with_existing_identity(key).with_tokio();
    let tcp = tcp::Config::default().nodelay(true);
    // The two builders are of different types, so each goes its way to the end.
    macro_rules! finish {
        ($security:expr) => {
            made.with_tcp(tcp, $security, yamux::Config::default)?
                .with_behaviour(|key| behaviour(key, streams, honest, signed))?
                .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(3600)))
                .build()
        };
    }
    Ok(match flags.get("sec", "noise").as_str() {
        "noise" => finish!(noise::Config::new),
        "tls" => finish!(tls::Config::new),
        other => return Err(format!("no security {other}").into()),
    })
}

fn identified(info: &identify::Info) -> Value {
    json!({
        "agent": info.agent_version,
        "version": info.protocol_version,
        "protocols": info.protocols.iter().map(|name| name.to_string()).collect::<Vec<_>>(),
        "listening": info.listen_addrs.iter().map(|at| at.to_string()).collect::<Vec<_>>(),
        "observed": info.observed_addr.to_string(),
        "signed": info.signed_peer_record.is_some(),
    })
}

fn heed(event: SwarmEvent<BehaviourEvent>, told: &Mutex<Told>) {
    let mut told = told.lock().unwrap();
    match event {
        SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. })) => {
            told.identified.insert(peer_id, identified(&info));
        }
        SwarmEvent::Behaviour(BehaviourEvent::Ping(ping::Event { peer, result: Ok(rtt), .. })) => {
            told.pings.entry(peer).or_default().push(rtt.as_secs_f64() * 1e6);
        }
        SwarmEvent::ConnectionEstablished { connection_id, peer_id, .. } => {
            told.dials.remove(&connection_id).map(|reply| reply.send(Ok(peer_id)));
        }
        SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
            told.dials.remove(&connection_id).map(|reply| reply.send(Err(format!("{error:?}"))));
        }
        _ => {}
    }
}

/// Listens at all places and gives back where that is.
async fn listen(swarm: &mut Swarm<Behaviour>, places: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let mut waiting = 0;
    for place in places.split(',') {
        swarm.listen_on(place.parse::<Multiaddr>()?)?;
        waiting += 1;
    }
    let id = *swarm.local_peer_id();
    let mut at = vec![];
    while at.len() < waiting {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            at.push(format!("{address}/p2p/{id}"));
        }
    }
    Ok(at)
}

fn cost() -> (f64, i64) {
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
    let seconds = |of: libc::timeval| of.tv_sec as f64 + of.tv_usec as f64 / 1e6;
    let pages: i64 = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split(' ').nth(1).and_then(|pages| pages.parse().ok()))
        .unwrap_or(0);
    (seconds(usage.ru_utime) + seconds(usage.ru_stime), pages * 4096)
}

async fn answer(node: &Arc<Node>, line: &str) -> Value {
    let began = Instant::now();
    let asked: Value = serde_json::from_str(line).unwrap_or_default();
    let found = tokio::time::timeout(COMMAND, commands::run(node.clone(), asked.clone())).await;
    let ms = began.elapsed().as_secs_f64() * 1e3;
    let (cpu, rss) = cost();
    match found.unwrap_or_else(|_| Err("not in time".into())) {
        Ok(ok) => json!({"n": asked["n"], "ok": ok, "ms": ms, "cpu": cpu, "rss": rss}),
        Err(error) => json!({"n": asked["n"], "error": error.to_string(), "ms": ms, "cpu": cpu, "rss": rss}),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let flags = Flags::read();
    let (inbound, taken) = mpsc::unbounded_channel();
    let mut swarm =
        swarm_of(&flags, streams::Behaviour::new(protocols::names(&flags.get("identify", "honest")), inbound))?;
    let at = listen(&mut swarm, &flags.get("listen", "/ip4/127.0.0.1/tcp/0")).await?;
    println!("{}", json!({"listening": at, "id": swarm.local_peer_id().to_string(), "agent": AGENT}));
    let (work, mut works) = mpsc::unbounded_channel::<Work>();
    let (endings_in, endings) = mpsc::unbounded_channel();
    let told = Arc::new(Mutex::new(Told::default()));
    let node = Arc::new(Node { work, told: told.clone(), endings: endings.into(), endings_in });
    tokio::spawn(protocols::serve(node.clone(), taken));
    tokio::spawn(async move {
        loop {
            tokio::select! {
                event = swarm.select_next_some() => heed(event, &told),
                Some(work) = works.recv() => work(&mut swarm),
            }
        }
    });
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        println!("{}", answer(&node, &line).await);
    }
    Ok(())
}
