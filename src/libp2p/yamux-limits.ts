/** The bounds of a yamux session: what each bounds, why this number, and what happens at it. */
import { assert } from "../assert.ts"

/** Bytes that a yamux stream may be sent before anything is said: what the protocol gives each stream. */
export const yamuxWindowBytes = 256 * 1024
/** Bytes to which a stream's window grows where its reader keeps up, as go and js have it: 1.6 GB a second over 10 ms. */
export const yamuxWindowBytesMax = 16 * 1024 * 1024
/** Bytes of one connection that came and that no reader has used yet. A stream that brings more is reset. */
export const yamuxReceiveBytesMax = 64 * 1024 * 1024
/** Bytes by which the windows of one connection may exceed what each has by right. Beyond: they grow no more. */
export const yamuxGrowthBytesMax = yamuxReceiveBytesMax / 2
/** Bytes of a frame that we send, header and all, as one frame of Noise carries: no stream waits longer for its turn. */
export const yamuxFrameBytesMax = 65_519
/** Bytes written to a stream that wait; above it `write` says so, and at half of it `drain` comes. */
export const yamuxWriteBytesMax = 256 * 1024
/** Streams that we opened and that the other side has not answered; as many that it opened and nobody here took. Beyond: refused. */
export const yamuxBacklogMax = 256
/** Streams that the other side has open at a time. Beyond: reset at once. */
export const yamuxInboundStreamsMax = 1_000
/** Milliseconds between two pings of ours. */
export const yamuxPingMs = 30_000
/** Milliseconds without a byte after a ping, until the session ends. go has 10 s, too few where a slow link's buffers are full. */
export const yamuxSilenceMsMax = 30_000
/** Pings answered at once and in a second. Beyond: not answered. */
export const yamuxPongBurst = 32
export const yamuxPongPerSecond = 16
/** Milliseconds that a stream may rest which one side has closed, as in hashicorp's. Then it is reset. */
export const yamuxHalfClosedMsMax = 5 * 60 * 1000
/** Pings and resets that wait to be sent. Beyond: the session ends, for the other side makes them and reads none. */
export const yamuxControlFramesMax = 1_024
/**
 * Bytes of frames that mean nothing here, at once and in a second: for streams that are over or never were, pings beyond
 * the rate, changes of nothing. What a peer may have sent before it heard of a reset is not counted. Beyond: the session ends.
 */
export const yamuxStrayBytesMax = 2 * 1024 * 1024
export const yamuxStrayBytesPerSecond = 64 * 1024
/** What a stream costs of these that we refuse or that its opener resets: some 4,000 at once, 128 a second. */
export const yamuxRefusalBytes = 512
/** What the end of any other stream gives back of them: it may be followed by late window updates. */
export const yamuxEndBytes = 1_024

assert(yamuxWindowBytes >= yamuxFrameBytesMax, "a full frame fits the window that each stream has by right")
