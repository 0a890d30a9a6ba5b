//! Streams for whoever asks: opened by name, and taken by name however many come at once.
use std::{
    collections::VecDeque,
    convert::Infallible,
    future::{Ready, ready},
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId, StreamProtocol,
    core::{Endpoint, UpgradeInfo, transport::PortUse, upgrade},
    swarm::{
        ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
        NotifyHandler, Stream, StreamUpgradeError, SubstreamProtocol, THandlerInEvent, ToSwarm,
        handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound},
    },
};
use tokio::sync::{mpsc, oneshot};

/// Why no stream came: `Refused` says that the other side does not speak the protocol.
#[derive(Debug)]
pub enum NotOpened {
    Refused,
    Failed(String),
}

pub type Reply = oneshot::Sender<Result<Stream, NotOpened>>;
type Taken = mpsc::UnboundedSender<(StreamProtocol, Stream)>;
type Names = Arc<Mutex<Vec<StreamProtocol>>>;

/// What a connection is told.
#[derive(Debug)]
pub enum Order {
    Open(StreamProtocol, Reply),
    /// The names have changed: look again.
    Look,
}

pub struct Behaviour {
    names: Names,
    taken: Taken,
    orders: VecDeque<(PeerId, Order)>,
}

impl Behaviour {
    pub fn new(names: Vec<StreamProtocol>, taken: Taken) -> Self {
        Self { names: Arc::new(Mutex::new(names)), taken, orders: VecDeque::new() }
    }

    pub fn open(&mut self, peer: PeerId, protocol: StreamProtocol, reply: Reply) {
        self.orders.push_back((peer, Order::Open(protocol, reply)));
    }

    /// Takes streams of one more name; `peers` are those that are connected.
    pub fn announce(&mut self, protocol: StreamProtocol, peers: Vec<PeerId>) {
        self.names.lock().unwrap().push(protocol);
        self.orders.extend(peers.into_iter().map(|peer| (peer, Order::Look)));
    }

    fn handler(&self) -> Handler {
        Handler { names: self.names.clone(), taken: self.taken.clone(), waiting: VecDeque::new() }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(self.handler())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(self.handler())
    }

    fn on_swarm_event(&mut self, _: FromSwarm) {}

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: Infallible) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        match self.orders.pop_front() {
            Some((peer_id, event)) => {
                Poll::Ready(ToSwarm::NotifyHandler { peer_id, handler: NotifyHandler::Any, event })
            }
            None => Poll::Pending,
        }
    }
}

/// Any of some names; the stream comes with the one that was chosen.
pub struct AnyOf(Vec<StreamProtocol>);

impl UpgradeInfo for AnyOf {
    type Info = StreamProtocol;
    type InfoIter = std::vec::IntoIter<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.clone().into_iter()
    }
}

impl upgrade::InboundUpgrade<Stream> for AnyOf {
    type Output = (StreamProtocol, Stream);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, name: StreamProtocol) -> Self::Future {
        ready(Ok((name, stream)))
    }
}

impl upgrade::OutboundUpgrade<Stream> for AnyOf {
    type Output = (StreamProtocol, Stream);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, name: StreamProtocol) -> Self::Future {
        ready(Ok((name, stream)))
    }
}

pub struct Handler {
    names: Names,
    taken: Taken,
    waiting: VecDeque<(StreamProtocol, Reply)>,
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Order;
    type ToBehaviour = Infallible;
    type InboundProtocol = AnyOf;
    type OutboundProtocol = AnyOf;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Reply;

    fn listen_protocol(&self) -> SubstreamProtocol<AnyOf> {
        SubstreamProtocol::new(AnyOf(self.names.lock().unwrap().clone()), ())
    }

    fn on_behaviour_event(&mut self, order: Order) {
        if let Order::Open(name, reply) = order {
            self.waiting.push_back((name, reply));
        }
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<AnyOf, Reply, Infallible>> {
        match self.waiting.pop_front() {
            Some((name, reply)) => Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest {
                protocol: SubstreamProtocol::new(AnyOf(vec![name]), reply),
            }),
            None => Poll::Pending,
        }
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<AnyOf, AnyOf, (), Reply>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, .. }) => {
                let _ = self.taken.send(protocol);
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol: (_, stream), info }) => {
                let _ = info.send(Ok(stream));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error }) => {
                let _ = info.send(Err(match error {
                    StreamUpgradeError::NegotiationFailed => NotOpened::Refused,
                    StreamUpgradeError::Timeout => NotOpened::Failed("not in time".into()),
                    StreamUpgradeError::Io(error) => NotOpened::Failed(error.to_string()),
                    StreamUpgradeError::Apply(never) => match never {},
                }));
            }
            _ => {}
        }
    }
}
