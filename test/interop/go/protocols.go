// What the peer answers on streams that others open, and the bytes that all peers send.
package main

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"io"

	"github.com/libp2p/go-libp2p/core/network"
)

const (
	echoProtocol   = "/echo/1.0.0"
	helloProtocol  = "/hello/1.0.0"
	digestProtocol = "/digest/1.0.0"
	sourceProtocol = "/source/1.0.0"
	perfProtocol   = "/perf/1.0.0"
	watchProtocol  = "/watch/1.0.0"
	abortProtocol  = "/abort/1.0.0"

	identifyProtocol = "/ipfs/id/1.0.0"
	pushProtocol     = "/ipfs/id/push/1.0.0"
	oversizeBytes    = 20_000

	// A prime, so that a chunk that is lost or told twice is seen whatever sizes frames and windows have.
	patternBytes = 65_521
)

var pattern = func() []byte {
	made := make([]byte, patternBytes)
	for at := range made {
		made[at] = byte(at ^ at>>8)
	}
	return made
}()

// writePattern writes `count` bytes of the pattern.
func writePattern(to io.Writer, count int64) error {
	for count > 0 {
		chunk := pattern[:min(count, patternBytes)]
		if _, err := to.Write(chunk); err != nil {
			return err
		}
		count -= int64(len(chunk))
	}
	return nil
}

// oversizeMessage is a message of identify that says it has 20,000 bytes, and has them: one long agent version.
func oversizeMessage(count int64) []byte {
	field := binary.AppendUvarint([]byte{6<<3 | 2}, uint64(count))
	made := append(binary.AppendUvarint(nil, uint64(count)+uint64(len(field))), field...)
	for range count {
		made = append(made, 'a')
	}
	return made
}

// hashed reads to the end.
func hashed(from io.Reader) (int64, hash.Hash, error) {
	sum := sha256.New()
	count, err := io.CopyBuffer(sum, struct{ io.Reader }{from}, make([]byte, patternBytes))
	return count, sum, err
}

func readCount(from io.Reader) (int64, error) {
	var head [8]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return 0, err
	}
	return int64(binary.BigEndian.Uint64(head[:])), nil
}

func countBytes(count int64) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(count))
}

// handler ends the stream as `work` ended.
func handler(work func(network.Stream) error) network.StreamHandler {
	return func(stream network.Stream) {
		if err := work(stream); err != nil {
			_ = stream.Reset()
			return
		}
		_ = stream.Close()
	}
}

func (self *node) serve() {
	for protocol, work := range map[string]func(network.Stream) error{
		echoProtocol:   echo,
		helloProtocol:  hello,
		digestProtocol: digest,
		sourceProtocol: source,
		perfProtocol:   perf,
		abortProtocol:  abort,
		watchProtocol:  self.watch,
	} {
		self.host.SetStreamHandler(protocolID(protocol), handler(work))
	}
}

func (self *node) serveOversizeIdentify() {
	self.host.SetStreamHandler(identifyProtocol, handler(func(stream network.Stream) error {
		_, err := stream.Write(oversizeMessage(oversizeBytes))
		return err
	}))
}

func echo(stream network.Stream) error {
	_, err := io.CopyBuffer(struct{ io.Writer }{stream}, struct{ io.Reader }{stream}, make([]byte, patternBytes))
	return err
}

func hello(stream network.Stream) error {
	var said [5]byte
	if _, err := io.ReadFull(stream, said[:]); err != nil {
		return err
	}
	if string(said[:]) != "hello" {
		return errors.New("not hello")
	}
	_, err := stream.Write([]byte("world"))
	return err
}

func digest(stream network.Stream) error {
	count, sum, err := hashed(stream)
	if err != nil {
		return err
	}
	_, err = stream.Write(sum.Sum(countBytes(count)))
	return err
}

func source(stream network.Stream) error {
	count, err := readCount(stream)
	if err != nil {
		return err
	}
	return writePattern(stream, count)
}

func perf(stream network.Stream) error {
	count, err := readCount(stream)
	if err != nil {
		return err
	}
	if _, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{stream}, make([]byte, patternBytes)); err != nil {
		return err
	}
	return writePattern(stream, count)
}

func abort(stream network.Stream) error {
	count, err := readCount(stream)
	if err != nil {
		return err
	}
	if _, err := io.CopyN(io.Discard, stream, count); err != nil {
		return err
	}
	return errors.New("as asked")
}

// watch tells that it is there before it reads: a stream that is reset while its protocol is agreed upon reaches no handler.
func (self *node) watch(stream network.Stream) error {
	if _, err := stream.Write([]byte{1}); err != nil {
		return err
	}
	count, err := io.Copy(io.Discard, stream)
	how := "end"
	if errors.Is(err, network.ErrReset) {
		how = "reset"
	} else if err != nil {
		how = err.Error()
	}
	select {
	case self.endings <- ending{Bytes: count, How: how}:
	default:
	}
	return nil
}
