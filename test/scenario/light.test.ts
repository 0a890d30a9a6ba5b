/** Light clients among whole nodes: they follow a reorganisation, are not led astray by one liar, and prove what they show. */
import { expect, test } from "bun:test"
import { Clock, Effect } from "effect"
import { LightDriver } from "../../src/cli/light-driver.ts"
import { makeRules } from "../../src/chain/rules.ts"
import { toTarget } from "../../src/consensus/difficulty.ts"
import { LightClient } from "../../src/light/client.ts"
import type { LightAnswer, Message } from "../../src/peer/message.ts"
import { peerPort, type SimNode } from "../../src/sim/node.ts"
import { answerLight } from "../../src/store/light.ts"
import { Snapshot } from "../../src/store/snapshot.ts"
import { capabilities, nodeIdOf, SeenNonces } from "../../src/transport/hello.ts"
import { makeNativeChannel } from "../../src/transport/native.ts"
import { keyOf, specOf, transfer } from "../fixtures.ts"
import { play, type Stage, tipOf } from "../sim/stage.ts"

const rules = makeRules(specOf())

/** A light client on a machine of its own, with what it was told of. */
const lightOn = (stage: Stage, peers: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const host = stage.world.host("light")
    const client = new LightClient(rules)
    const facts = { undone: 0, stopped: false, dropped: [] as Array<string> }
    const clock = yield* Clock.Clock
    const driver = new LightDriver(
      {
        client,
        peers: peers.map((one) => ({ host: one, port: peerPort, endpoint: one })),
        tcp: stage.net.door(host, "10.77.0.1"),
        tls: { key: "", cert: "" },
        key: keyOf(900),
        agent: "light",
        random: (length) => host.dice.bytes(length),
        store: () => {},
        moved: (undone) => void (facts.undone += undone),
        dropped: ({ endpoint }, { code }) => void facts.dropped.push(`${endpoint} ${code}`),
        redial: true
      },
      clock
    )
    host.fork(driver.run(() => facts.stopped))
    return { client, driver, facts }
  })

/** A machine that claims the most work and answers as a node does, but for what it bends. */
const liarOn = (stage: Stage, truth: SimNode, bend: (answer: LightAnswer) => LightAnswer) => {
  const host = stage.world.host("liar")
  const key = keyOf(901)
  return stage.net
    .door(host, "10.66.0.9")
    .listen({ host: "10.66.0.9", port: peerPort }, { key: "", cert: "" }, (wire) => {
      const channel = makeNativeChannel({
        chainId: rules.spec.ledger.chainId,
        genesis: rules.genesis.header.hash,
        key,
        nodeId: nodeIdOf(key.publicKey),
        endpoint: "",
        agent: "liar",
        capabilities: [capabilities.servesLight, capabilities.servesFilters],
        binding: wire.binding,
        nonce: host.dice.bytes(16),
        seen: new SeenNonces()
      })
      const say = (message: Message): void => void wire.write(channel.encode(message))
      for (const out of channel.open(host.now)) if (out._tag === "Send") wire.write(out.bytes)
      return {
        data: (bytes) => {
          for (const out of channel.receive(bytes, host.now)) {
            const { tip } = truth.store
            if (out._tag === "Opened")
              say({ tag: "STS", height: 9_999, work: toTarget(tip().work + 99_999n), tip: new Uint8Array(32).fill(9) })
            if (out._tag !== "Received" || !/^(GPH|GPF|GFH|GFL)$/.test(out.message.tag)) continue
            say(bend(answerLight(new Snapshot(truth.store.db, rules), out.message as never)))
          }
        },
        drained: () => {},
        closed: () => {}
      }
    })
}

test.each([0, 1, 2, 3, 4, 5])(
  "a light client follows two nodes through a partition, and drops the third who lies (seed %i)",
  (seed) => {
    play(rules, seed, (stage) =>
      Effect.gen(function* () {
        const a = yield* stage.node("a")
        const b = yield* stage.node("b", { knows: [a] })
        const bend = (answer: LightAnswer): LightAnswer =>
          answer.tag === "PHD"
            ? { ...answer, page: answer.page.map((byte, i) => (i === 50 ? byte ^ 1 : byte)) }
            : answer
        yield* liarOn(stage, a, bend)
        const paid = transfer({ from: 0, to: 1, nonce: 1, time: stage.now })
        yield* stage.submit(a, paid)
        yield* stage.mine(a, 3)
        yield* stage.agree()
        const { client, facts } = yield* lightOn(stage, [a.address, "10.66.0.9", b.address])
        const isAt = (node: SimNode) => (): boolean => client.chain.tip.id === tipOf(node)
        yield* stage.until("the light client has the tip", isAt(a))
        yield* stage.until("the liar is dropped", () => facts.dropped.length > 0)
        expect(facts.dropped.every((one) => /^10.66.0.9 (seal-wrong|headers-malformed|work-unproven)$/.test(one))).toBe(
          true
        )

        stage.part([a], [b])
        yield* stage.mine(a, 2)
        yield* stage.until("it follows a", isAt(a))
        yield* stage.mine(b, 4)
        yield* stage.until("it follows b", isAt(b))
        expect(facts.undone).toBe(2)
        stage.heal()
        yield* stage.agree()

        facts.stopped = true
        yield* Effect.sleep(6_000)
      })
    )
  }
)

test("it proves a payment and a balance, and finds the payment by filters", () => {
  play(rules, 7, (stage) =>
    Effect.gen(function* () {
      const a = yield* stage.node("a")
      const b = yield* stage.node("b", { knows: [a] })
      const paid = transfer({ from: 0, to: 1, nonce: 1, time: stage.now, amount: 5 })
      yield* stage.submit(a, paid)
      yield* stage.mine(a, 2)
      yield* stage.agree()
      const { client, driver, facts } = yield* lightOn(stage, [a.address, b.address])
      yield* stage.until("it is in step", () => driver.settled && client.chain.tip.id === tipOf(a))
      driver.perform(client.askProof(paid.id, stage.now))
      yield* stage.until("the payment is proven", () => client.prove?.outcome !== undefined)
      expect(client.prove!.outcome).toMatchObject({ _tag: "Proven", proven: { header: { height: 1 } } })
      driver.perform(client.askProof(keyOf(1).address, stage.now))
      yield* stage.until("the balance is proven", () => client.prove?.outcome !== undefined)
      expect(client.prove!.outcome).toMatchObject({ proven: { account: { balance: 1_000_000_005 } } })
      driver.perform(client.askScan({ elements: [keyOf(1).address], from: 0 }, stage.now))
      yield* stage.until("the scan is done", () => client.scan?.done === true)
      expect([client.scan!.found.length, client.scan!.agreeing.length, facts.dropped.length]).toEqual([1, 2, 0])

      // Of 50 pending transfers it hears nothing, of a new block a status from each node and one page.
      const before = driver.received
      for (let nonce = 2; nonce <= 51; nonce++)
        yield* stage.submit(a, transfer({ from: 0, to: 1, nonce, time: stage.now }))
      yield* Effect.sleep(2_000)
      expect(driver.received - before).toBeLessThan(200)
      yield* stage.mine(a)
      yield* stage.until("it has the block", () => client.chain.tip.id === tipOf(a) && tipOf(a) === tipOf(b))
      yield* Effect.sleep(2_000)
      expect(driver.received - before).toBeLessThan(700)
      facts.stopped = true
      yield* Effect.sleep(6_000)
    })
  )
})
