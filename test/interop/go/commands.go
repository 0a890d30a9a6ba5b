// What the peer can be asked to do to another.
package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
)

func protocolID(text string) protocol.ID { return protocol.ID(text) }

type command func(*node, context.Context, request) (any, error)

var commands = map[string]command{
	"dial": dial, "hangup": hangup, "connections": connections, "usage": usage, "collect": collect,
	"ping": pings, "identify": identified, "announce": announce, "knows": knows,
	"hello": sayHello, "echo": echoOnce, "streams": echoes, "bulk": bulk, "perf": perfTimes,
	"abort": abortOurs, "ending": nextEnding, "aborted": abortTheirs, "oversize": oversize, "unknown": unknown,
	"rtt": roundTrips, "calls": calls, "handshakes": handshakes,
}

func microseconds(since time.Time) float64 { return float64(time.Since(since).Nanoseconds()) / 1e3 }

// spread says where the middle and the ends of some durations lie.
func spread(of []float64) facts {
	slices.Sort(of)
	return facts{"count": len(of), "p50": of[len(of)/2], "p99": of[len(of)*99/100], "least": of[0]}
}

func (self *node) connect(ctx context.Context, to string) (peer.ID, error) {
	whom, err := peer.AddrInfoFromString(to)
	if err != nil {
		return "", err
	}
	return whom.ID, self.host.Connect(network.WithForceDirectDial(ctx, "asked"), *whom)
}

func dial(self *node, ctx context.Context, asked request) (any, error) {
	whom, err := self.connect(ctx, asked.To)
	if err != nil {
		return nil, err
	}
	for _, connection := range self.host.Network().ConnsToPeer(whom) {
		state := connection.ConnState()
		return facts{"peer": whom.String(), "encryption": state.Security, "multiplexer": state.StreamMultiplexer,
			"early": state.UsedEarlyMuxerNegotiation, "key": strings.ToLower(connection.RemotePublicKey().Type().String())}, nil
	}
	return nil, errors.New("the connection is gone already")
}

func hangup(self *node, ctx context.Context, asked request) (any, error) {
	whom, err := peer.Decode(asked.Peer)
	if err != nil {
		return nil, err
	}
	return facts{}, self.host.Network().ClosePeer(whom)
}

func connections(self *node, ctx context.Context, asked request) (any, error) {
	if err := until(ctx, "connections", func() bool { return len(self.host.Network().Conns()) == asked.Count }); err != nil {
		return nil, err
	}
	return facts{"count": asked.Count}, nil
}

func usage(self *node, ctx context.Context, asked request) (any, error) { return facts{}, nil }

// collect gives back memory that nobody uses.
func collect(self *node, ctx context.Context, asked request) (any, error) {
	debug.FreeOSMemory()
	return facts{}, nil
}

func pings(self *node, ctx context.Context, asked request) (any, error) {
	whom, err := peer.Decode(asked.Peer)
	if err != nil {
		return nil, err
	}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	results := ping.Ping(inner, self.host, whom)
	times := []float64{}
	for len(times) < asked.Count {
		got, open := <-results
		if !open {
			return nil, errors.New("no more pings")
		}
		if got.Error != nil {
			return nil, got.Error
		}
		times = append(times, float64(got.RTT.Nanoseconds())/1e3)
	}
	return spread(times), nil
}

func identified(self *node, ctx context.Context, asked request) (any, error) {
	whom, err := peer.Decode(asked.Peer)
	if err != nil {
		return nil, err
	}
	var found facts
	err = until(ctx, "identify", func() bool {
		self.lock.Lock()
		defer self.lock.Unlock()
		told, known := self.told[whom]
		if !known {
			return false
		}
		listening := []string{}
		for _, address := range told.ListenAddrs {
			listening = append(listening, address.String())
		}
		found = facts{"agent": told.AgentVersion, "version": told.ProtocolVersion, "protocols": told.Protocols,
			"listening": listening, "observed": fmt.Sprint(told.ObservedAddr), "signed": told.SignedPeerRecord != nil}
		return true
	})
	return found, err
}

func announce(self *node, ctx context.Context, asked request) (any, error) {
	self.host.SetStreamHandler(protocolID(asked.Protocol), handler(echo))
	return facts{}, nil
}

func knows(self *node, ctx context.Context, asked request) (any, error) {
	whom, err := peer.Decode(asked.Peer)
	if err != nil {
		return nil, err
	}
	return facts{}, until(ctx, "knows", func() bool {
		found, err := self.host.Peerstore().SupportsProtocols(whom, protocolID(asked.Protocol))
		return err == nil && len(found) == 1
	})
}

// open opens a stream that ends with its context.
func (self *node) open(ctx context.Context, asked request, name string) (network.Stream, error) {
	whom, err := peer.Decode(asked.Peer)
	if err != nil {
		return nil, err
	}
	stream, err := self.host.NewStream(ctx, whom, protocolID(name))
	if err != nil {
		return nil, err
	}
	end, _ := ctx.Deadline()
	_ = stream.SetDeadline(end)
	return stream, nil
}

func sayHello(self *node, ctx context.Context, asked request) (any, error) {
	stream, err := self.open(ctx, asked, helloProtocol)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	if _, err := stream.Write([]byte("hello")); err != nil {
		return nil, err
	}
	said, err := io.ReadAll(stream)
	return facts{"text": string(said)}, err
}

func (self *node) echoed(ctx context.Context, asked request) (facts, error) {
	stream, err := self.open(ctx, asked, echoProtocol)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	wrote := make(chan error, 1)
	go func() {
		err := writePattern(stream, asked.Bytes)
		if err == nil {
			err = stream.CloseWrite()
		}
		wrote <- err
	}()
	count, sum, err := hashed(stream)
	if err != nil {
		return nil, err
	}
	return facts{"bytes": count, "digest": hex.EncodeToString(sum.Sum(nil))}, <-wrote
}

func echoOnce(self *node, ctx context.Context, asked request) (any, error) {
	return self.echoed(ctx, asked)
}

func echoes(self *node, ctx context.Context, asked request) (any, error) {
	type result struct {
		found facts
		err   error
	}
	results := make(chan result, asked.Count)
	for range asked.Count {
		go func() {
			found, err := self.echoed(ctx, asked)
			results <- result{found, err}
		}()
	}
	all := []facts{}
	for range asked.Count {
		got := <-results
		if got.err != nil {
			return nil, got.err
		}
		all = append(all, got.found)
	}
	return facts{"echoes": all}, nil
}

func bulk(self *node, ctx context.Context, asked request) (any, error) {
	up, err := self.open(ctx, asked, digestProtocol)
	if err != nil {
		return nil, err
	}
	defer up.Close()
	began := time.Now()
	if err := writePattern(up, asked.Up); err != nil {
		return nil, err
	}
	if err := up.CloseWrite(); err != nil {
		return nil, err
	}
	told, err := io.ReadAll(up)
	if err != nil {
		return nil, err
	}
	if len(told) != 40 {
		return nil, fmt.Errorf("%d bytes are no digest", len(told))
	}
	upMicroseconds := microseconds(began)
	upBytes, _ := readCount(bytes.NewReader(told))
	down, err := self.open(ctx, asked, sourceProtocol)
	if err != nil {
		return nil, err
	}
	defer down.Close()
	began = time.Now()
	if _, err := down.Write(countBytes(asked.Down)); err != nil {
		return nil, err
	}
	if err := down.CloseWrite(); err != nil {
		return nil, err
	}
	count, sum, err := hashed(down)
	return facts{"up": facts{"bytes": upBytes, "digest": hex.EncodeToString(told[8:]), "us": upMicroseconds},
		"down": facts{"bytes": count, "digest": hex.EncodeToString(sum.Sum(nil)), "us": microseconds(began)}}, err
}

// perfTimes is the client of /perf/1.0.0.
func perfTimes(self *node, ctx context.Context, asked request) (any, error) {
	stream, err := self.open(ctx, asked, perfProtocol)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	began := time.Now()
	if _, err := stream.Write(countBytes(asked.Down)); err != nil {
		return nil, err
	}
	if err := writePattern(stream, asked.Up); err != nil {
		return nil, err
	}
	if err := stream.CloseWrite(); err != nil {
		return nil, err
	}
	up := microseconds(began)
	began = time.Now()
	count, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{stream}, make([]byte, patternBytes))
	return facts{"up": asked.Up, "down": count, "upUs": up, "downUs": microseconds(began)}, err
}

func abortOurs(self *node, ctx context.Context, asked request) (any, error) {
	stream, err := self.open(ctx, asked, watchProtocol)
	if err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(stream, make([]byte, 1)); err != nil {
		return nil, err
	}
	if err := writePattern(stream, asked.Bytes); err != nil {
		return nil, err
	}
	return facts{}, stream.Reset()
}

func nextEnding(self *node, ctx context.Context, asked request) (any, error) {
	select {
	case found := <-self.endings:
		return found, nil
	case <-ctx.Done():
		return nil, errors.New("no stream of " + watchProtocol + " ended")
	}
}

// saw reads to the end and says which end it was.
func saw(stream network.Stream) string {
	_, err := io.Copy(io.Discard, stream)
	switch {
	case err == nil:
		return "end"
	case errors.Is(err, network.ErrReset):
		return "reset"
	}
	return err.Error()
}

func abortTheirs(self *node, ctx context.Context, asked request) (any, error) {
	stream, err := self.open(ctx, asked, abortProtocol)
	if err != nil {
		return nil, err
	}
	defer stream.Reset()
	if _, err := stream.Write(countBytes(asked.Bytes)); err != nil {
		return nil, err
	}
	// The other side resets as soon as it has read them: the last write may see that.
	_ = writePattern(stream, asked.Bytes)
	return facts{"saw": saw(stream)}, nil
}

// oversize pushes an identify message that is too long.
func oversize(self *node, ctx context.Context, asked request) (any, error) {
	stream, err := self.open(ctx, asked, pushProtocol)
	if err != nil {
		return nil, err
	}
	defer stream.Reset()
	_, _ = stream.Write(oversizeMessage(asked.Bytes))
	_ = stream.CloseWrite()
	return facts{"saw": saw(stream)}, nil
}

func unknown(self *node, ctx context.Context, asked request) (any, error) {
	stream, err := self.open(ctx, asked, asked.Protocol)
	if err == nil {
		_ = stream.Reset()
		return nil, errors.New("it was taken")
	}
	if !strings.Contains(err.Error(), "protocols not supported") {
		return nil, err
	}
	return facts{"refused": asked.Protocol}, nil
}

// roundTrip sends `payload` and reads as much back.
func roundTrip(stream network.Stream, payload, back []byte) error {
	if _, err := stream.Write(payload); err != nil {
		return err
	}
	_, err := io.ReadFull(stream, back)
	return err
}

func roundTrips(self *node, ctx context.Context, asked request) (any, error) {
	stream, err := self.open(ctx, asked, echoProtocol)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	back := make([]byte, asked.Bytes)
	times := []float64{}
	for range asked.Count {
		began := time.Now()
		if err := roundTrip(stream, pattern[:asked.Bytes], back); err != nil {
			return nil, err
		}
		times = append(times, microseconds(began))
	}
	return spread(times), nil
}

// calls opens a stream for each exchange.
func calls(self *node, ctx context.Context, asked request) (any, error) {
	back := make([]byte, asked.Bytes)
	times := []float64{}
	for range asked.Count {
		began := time.Now()
		stream, err := self.open(ctx, asked, echoProtocol)
		if err != nil {
			return nil, err
		}
		if err := roundTrip(stream, pattern[:asked.Bytes], back); err != nil {
			return nil, err
		}
		times = append(times, microseconds(began))
		_ = stream.Close()
	}
	return spread(times), nil
}

func handshakes(self *node, ctx context.Context, asked request) (any, error) {
	times := []float64{}
	for range asked.Count {
		began := time.Now()
		whom, err := self.connect(ctx, asked.To)
		if err != nil {
			return nil, err
		}
		times = append(times, microseconds(began))
		if err := self.host.Network().ClosePeer(whom); err != nil {
			return nil, err
		}
	}
	return spread(times), nil
}
