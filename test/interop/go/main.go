// A peer of go-libp2p that does what the lines on its standard input say. The commands: test/interop/README.md.
package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
)

// No command takes longer: the driver's own bound is above this.
const commandTimeout = 30 * time.Second

// request is one line of standard input. What a command does not need is absent.
type request struct {
	N        int    `json:"n"`
	Do       string `json:"do"`
	To       string `json:"to"`
	Peer     string `json:"peer"`
	Protocol string `json:"protocol"`
	Count    int    `json:"count"`
	Bytes    int64  `json:"bytes"`
	Up       int64  `json:"up"`
	Down     int64  `json:"down"`
}

// answer is one line of standard output: the fields of `ok` or `error`, and what it took.
type answer struct {
	N     int     `json:"n"`
	Ok    any     `json:"ok,omitempty"`
	Error string  `json:"error,omitempty"`
	Ms    float64 `json:"ms"`
	Cpu   float64 `json:"cpu"`
	Rss   int64   `json:"rss"`
}

type facts = map[string]any

// ending is how a stream of /watch/1.0.0 came to its end.
type ending struct {
	Bytes int64  `json:"bytes"`
	How   string `json:"how"`
}

type node struct {
	host    host.Host
	endings chan ending
	lock    sync.Mutex
	told    map[peer.ID]event.EvtPeerIdentificationCompleted
}

func privateKey(kind string) (crypto.PrivKey, error) {
	types := map[string]int{"ed25519": crypto.Ed25519, "rsa": crypto.RSA, "ecdsa": crypto.ECDSA, "secp256k1": crypto.Secp256k1}
	number, known := types[kind]
	if !known {
		return nil, fmt.Errorf("no key type %q", kind)
	}
	key, _, err := crypto.GenerateKeyPairWithReader(number, 2048, rand.Reader)
	return key, err
}

func security(name string) (libp2p.Option, error) {
	switch name {
	case "noise":
		return libp2p.Security(noise.ID, noise.New), nil
	case "tls":
		return libp2p.Security(libp2ptls.ID, libp2ptls.New), nil
	}
	return nil, fmt.Errorf("no security %q", name)
}

func newNode(listen, sec, key string) (*node, error) {
	identity, err := privateKey(key)
	if err != nil {
		return nil, err
	}
	secure, err := security(sec)
	if err != nil {
		return nil, err
	}
	made, err := libp2p.New(
		libp2p.Identity(identity), secure,
		libp2p.ListenAddrStrings(strings.Split(listen, ",")...),
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Muxer(yamux.ID, yamux.DefaultTransport),
		libp2p.ResourceManager(&network.NullResourceManager{}),
		libp2p.UserAgent("go-libp2p/0.49.0"),
		libp2p.DisableRelay(), libp2p.DisableMetrics(),
	)
	if err != nil {
		return nil, err
	}
	self := &node{host: made, endings: make(chan ending, 1024), told: map[peer.ID]event.EvtPeerIdentificationCompleted{}}
	events, err := made.EventBus().Subscribe(new(event.EvtPeerIdentificationCompleted))
	if err != nil {
		return nil, err
	}
	go func() {
		for told := range events.Out() {
			self.lock.Lock()
			identified := told.(event.EvtPeerIdentificationCompleted)
			self.told[identified.Peer] = identified
			self.lock.Unlock()
		}
	}()
	self.serve()
	return self, nil
}

// until asks every few milliseconds whether something is so.
func until(ctx context.Context, what string, so func() bool) error {
	for !so() {
		select {
		case <-ctx.Done():
			return errors.New("not in time: " + what)
		case <-time.After(2 * time.Millisecond):
		}
	}
	return nil
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	seconds := func(of syscall.Timeval) float64 { return float64(of.Sec) + float64(of.Usec)/1e6 }
	return seconds(usage.Utime) + seconds(usage.Stime)
}

func residentBytes() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	pages, _ := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

func (self *node) answerTo(asked request) answer {
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	said := answer{N: asked.N}
	if command, known := commands[asked.Do]; !known {
		said.Error = "no command " + asked.Do
	} else if found, err := command(self, ctx, asked); err != nil {
		said.Error = err.Error()
	} else {
		said.Ok = found
	}
	said.Ms = float64(time.Since(began).Microseconds()) / 1e3
	said.Cpu = cpuSeconds()
	said.Rss = residentBytes()
	return said
}

func main() {
	listen := flag.String("listen", "/ip4/127.0.0.1/tcp/0", "multiaddrs to listen at, with commas between")
	sec := flag.String("sec", "noise", "noise or tls")
	key := flag.String("key", "ed25519", "ed25519, rsa, ecdsa or secp256k1")
	identify := flag.String("identify", "honest", "honest, or oversize: the answer is 20,000 bytes long")
	flag.Parse()
	self, err := newNode(*listen, *sec, *key)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if *identify == "oversize" {
		self.serveOversizeIdentify()
	}
	out := json.NewEncoder(os.Stdout)
	at := []string{}
	for _, address := range self.host.Addrs() {
		at = append(at, fmt.Sprintf("%s/p2p/%s", address, self.host.ID()))
	}
	_ = out.Encode(facts{"listening": at, "id": self.host.ID().String(), "agent": "go-libp2p/0.49.0"})
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var asked request
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			_ = out.Encode(answer{Error: err.Error()})
			continue
		}
		_ = out.Encode(self.answerTo(asked))
	}
	_ = self.host.Close()
}
