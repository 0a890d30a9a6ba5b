/** Ten thousand endpoints of one attacker from a few networks: the book, and the sessions after a restart, stay honest for the most part. */
import { describe, expect, test } from "bun:test"
import { eclipse } from "../../test/eclipse.ts"
import { anchorsMax, outboundSessionsMax } from "../limits.ts"

describe("an attacker who tells of 10,000 endpoints, each with a node that answers", () => {
  const story = { attackers: 10_000, tellers: 8, honest: 60, rounds: 30 }

  test("in one network gets no more than one bucket of each teller's network, and one session", () => {
    for (const seed of [1]) {
      const { named, tried, outbound, anchors, honestOutbound } = eclipse({ ...story, seed, networks: 1 })
      expect(named).toBe(10_000)
      expect(tried).toBeLessThan(0.15)
      expect(outbound).toBeLessThanOrEqual(1 / outboundSessionsMax)
      expect(anchors).toBeGreaterThanOrEqual(anchorsMax)
      expect(honestOutbound).toBeGreaterThanOrEqual(outboundSessionsMax - 1)
    }
  }, 60_000)

  test("in four networks holds a third of what was found at most, and leaves most sessions honest", () => {
    for (const seed of [2, 3]) {
      const { tried, outbound, honestOutbound, oneList } = eclipse({ ...story, seed, networks: 4 })
      expect(tried).toBeLessThan(0.34)
      // No two sessions of one network: four at most, whatever the book holds.
      expect(outbound).toBeLessThanOrEqual(4 / outboundSessionsMax)
      expect(honestOutbound).toBeGreaterThanOrEqual(outboundSessionsMax - 4)
      // What one list without buckets would have come to.
      expect(oneList).toBe(1)
    }
  }, 60_000)
})
