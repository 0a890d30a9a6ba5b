/** Which coins pay: the sums of every selection, the refusals, and the choice between solvers. */
import { describe, expect, test } from "bun:test"
import { Result } from "effect"
import type { Amount } from "../ledger/amount.ts"
import { makeDice } from "../sim/dice.ts"
import type { Coin, Costs, WalletReject } from "./coin.ts"
import { consolidate, largestFirst, type Payment, type Selection, select, sendAll } from "./select.ts"

const units = (value: number): Amount => value as Amount
const coin = (value: number, owner = "a", id = `${owner}${value}`): Coin => ({
  id,
  units: units(value),
  owner,
  height: 1
})
const free: Costs = { feeRate: 0, feeMin: units(0), fixedBytes: 40, inputsMax: 20 }
const pay = (coins: ReadonlyArray<Coin>, amount: number, costs: Partial<Costs> = {}, more: Partial<Payment> = {}) =>
  select({
    coins,
    amount: units(amount),
    recipient: "shop",
    changeTo: "a",
    costs: { ...free, ...costs },
    dice: makeDice(1),
    ...more
  })
const taken = (result: Result.Result<Selection, WalletReject>): Selection => Result.getOrThrow(result)
const refused = (result: Result.Result<Selection, WalletReject>): WalletReject => {
  if (Result.isSuccess(result)) throw new Error(`taken: ${JSON.stringify(result.success)}`)
  return result.failure
}
const sum = (values: ReadonlyArray<{ readonly units: number }>): number =>
  values.reduce((all, one) => all + one.units, 0)
const unitsOf = ({ inputs }: Selection): ReadonlyArray<number> => inputs.map((one) => one.units)

/** What a selection demands, counted here and not by the code under test. */
const sizeOf = (inputs: ReadonlyArray<Coin>, outputs: number, costs: Costs): number =>
  costs.fixedBytes + 28 * outputs + 36 * inputs.length + 97 * new Set(inputs.map(({ owner }) => owner)).size
const feeFor = (bytes: number, { feeRate, feeMin }: Costs): number => Math.max(feeMin, Math.ceil(feeRate * bytes))
const dustOf = ({ feeRate, dust }: Costs): number => dust ?? Math.max(1, Math.ceil(133 * feeRate))

/** Everything that must hold of any selection. */
const check = (selection: Selection, coins: ReadonlyArray<Coin>, costs: Costs): void => {
  const { inputs, outputs, fee, change, bytes } = selection
  expect(sum(inputs)).toBe(sum(outputs) + fee)
  expect(new Set(inputs.map(({ id }) => id)).size).toBe(inputs.length)
  expect(inputs.every((input) => coins.includes(input))).toBe(true)
  expect(inputs.length).toBeLessThanOrEqual(costs.inputsMax)
  expect(bytes).toBe(sizeOf(inputs, outputs.length, costs))
  expect(outputs.every((output) => output.units >= dustOf(costs))).toBe(true)
  const demanded = feeFor(bytes, costs)
  expect(fee).toBeGreaterThanOrEqual(demanded)
  if (change > 0) expect(fee).toBe(units(demanded))
  else expect(sum(inputs) - outputs[0]!.units - feeFor(bytes + 28, costs)).toBeLessThan(dustOf(costs))
}

const random = makeDice(2026)
const randomCoins = (count: number, owners: number, unitsMax: number): ReadonlyArray<Coin> =>
  Array.from({ length: count }, (_, i) => ({
    id: `c${i}`,
    units: units(1 + random.int(unitsMax)),
    owner: `o${random.int(owners)}`,
    height: random.int(100)
  }))
const randomCosts = (): Costs => {
  const feeRate = random.pick([0, 0.25, 1, 2.5, 7])
  return {
    feeRate,
    feeMin: units(random.pick([0, 0, 1, 500, 2_000])),
    fixedBytes: 40 + random.int(100),
    inputsMax: random.pick([1, 2, 3, 5, 20, 200]),
    longTermRate: random.pick([feeRate, 0, 1, 5]),
    ...(random.chance(0.2) ? { dust: units(1 + random.int(1000)) } : {})
  }
}

describe("a payment", () => {
  test("90 out of 50 and 50 gives 90 and 10 where nothing costs", () => {
    const { outputs, fee, inputs } = taken(pay([coin(50, "a", "x"), coin(50, "a", "y")], 90))
    expect(inputs.length).toBe(2)
    expect(outputs).toEqual([
      { units: units(90), owner: "shop" },
      { units: units(10), owner: "a" }
    ])
    expect(fee).toBe(units(0))
  })

  test("in thousands of random wallets: the sums are right, or the refusal is", () => {
    const seen = new Map<string, number>()
    for (let i = 0; i < 3_000; i++) {
      const coins = randomCoins(random.int(40), 1 + random.int(6), random.pick([60, 1_000, 100_000]))
      const costs = randomCosts()
      const amount = 1 + random.int(Math.max(1, sum(coins)))
      const result = pay(coins, amount, costs, { dice: makeDice(i), changeTo: random.pick(["o0", "fresh"]) })
      const outcome = Result.isSuccess(result) ? (result.success.change > 0 ? "change" : "none") : result.failure.code
      seen.set(outcome, (seen.get(outcome) ?? 0) + 1)
      if (Result.isSuccess(result)) {
        check(result.success, coins, costs)
        expect(result.success.outputs[0]).toEqual({ units: units(amount), owner: "shop" })
      } else if (result.failure.code === "funds-too-low") {
        expect(result.failure.available).toBeLessThan(result.failure.needed)
        expect(result.failure.needed).toBeGreaterThanOrEqual(amount)
      }
    }
    for (const outcome of ["change", "none", "funds-too-low", "too-many-coins", "amount-is-dust"])
      expect([outcome, (seen.get(outcome) ?? 0) > 50]).toEqual([outcome, true])
  })

  test("the same seed gives the same coins, in whatever order they are given", () => {
    for (let i = 0; i < 200; i++) {
      const coins = randomCoins(30, 4, 9).map((one) => ({ ...one, height: random.int(2) }))
      const once = pay(coins, 30, { dust: units(3) }, { dice: makeDice(i) })
      expect(pay(coins.toReversed(), 30, { dust: units(3) }, { dice: makeDice(i) })).toEqual(once)
      const oldest = coins.filter(({ units: value }) => value === coins[0]!.units).map(({ height }) => height)
      const first = taken(pay(coins, coins[0]!.units, {}, { dice: makeDice(i) })).inputs
      if (first.length === 1) expect(first[0]!.height).toBe(Math.min(...oldest))
    }
  })

  test("never wastes more than largest first, and never refuses what that one pays", () => {
    for (let i = 0; i < 1_000; i++) {
      const coins = randomCoins(1 + random.int(30), 1 + random.int(5), random.pick([60, 1_000, 100_000]))
      const costs = { ...randomCosts(), inputsMax: random.pick([2, 5, 20]) }
      const payment: Payment = {
        coins,
        amount: units(1 + random.int(sum(coins))),
        recipient: "shop",
        changeTo: "o0",
        costs,
        dice: makeDice(i)
      }
      const plain = select(payment, largestFirst)
      if (Result.isFailure(plain)) continue
      check(plain.success, coins, costs)
      expect(taken(select(payment)).waste).toBeLessThanOrEqual(plain.success.waste)
    }
  })

  test("largest first passes over an owner who would not pay for his witness, unless he is needed", () => {
    const coins = [coin(10_000), coin(90, "b"), coin(90, "b", "b2"), coin(80)]
    const first = (amount: number) =>
      unitsOf(
        taken(
          select(
            {
              coins,
              amount: units(amount),
              recipient: "shop",
              changeTo: "a",
              costs: { ...free, feeRate: 1 },
              dice: random
            },
            largestFirst
          )
        )
      )
    const fee = 40 + 28 + 97 + 2 * 36
    expect(first(10_080 - fee)).toEqual([10_000, 80])
    expect(first(10_260 - fee - 2 * 36 - 97)).toEqual([10_000, 90, 90, 80])
  })

  test("where half of the amount cannot be had as change, the least that can", () => {
    expect(unitsOf(taken(pay([coin(60), coin(50), coin(30), coin(28)], 130)))).toEqual([60, 50, 28])
  })

  test("of equals the selection with more inputs is taken", () => {
    for (let seed = 0; seed < 50; seed++)
      expect(unitsOf(taken(pay([coin(300), coin(90), coin(80)], 50, {}, { dice: makeDice(seed) })))).not.toContain(300)
  })

  test("the waste is the fee and the change to be spent, less what is spared", () => {
    const waste = (coins: ReadonlyArray<Coin>, changeTo: string) =>
      taken(pay(coins, 1_000, { inputsMax: 1, feeRate: 1, longTermRate: 2 }, { changeTo })).waste
    const fee = 40 + 2 * 28 + 36 + 97
    expect(waste([coin(5_000)], "a")).toBe(fee)
    expect(waste([coin(5_000)], "fresh")).toBe(fee)
    // With a coin that stays, the owner signs later anyway: his witness is not spared, and his change needs no other one.
    expect(waste([coin(5_000), coin(4_000)], "a")).toBe(fee)
    expect(waste([coin(5_000), coin(4_000)], "fresh")).toBe(fee + 2 * 97)
  })

  test("coins of one owner go before cheaper change from two, where bytes cost nothing", () => {
    const { inputs } = taken(pay([coin(60, "a"), coin(50, "b"), coin(45, "b"), coin(40, "c")], 90))
    expect(inputs.map(({ owner }) => owner)).toEqual(["b", "b"])
  })

  test("a second owner's witness is paid only where it is needed", () => {
    const coins = [coin(100_000, "a"), coin(30_000, "b"), coin(30_000, "b", "b2"), coin(60_000, "c")]
    expect(unitsOf(taken(pay(coins, 99_000, { feeRate: 3, longTermRate: 1 })))).toEqual([100_000])
    expect(new Set(taken(pay(coins, 120_000, { feeRate: 3, longTermRate: 1 })).inputs.map((c) => c.owner)).size).toBe(2)
  })

  test("change under the dust bound goes to the fee, at the bound it does not", () => {
    const fee = 40 + 28 + 36 + 97
    const dropped = taken(pay([coin(10_000 + fee + 28 + 132)], 10_000, { feeRate: 1 }))
    expect([dropped.change, dropped.fee]).toEqual([units(0), units(fee + 28 + 132)])
    const kept = taken(pay([coin(10_000 + fee + 28 + 133)], 10_000, { feeRate: 1 }))
    expect([kept.change, kept.fee]).toEqual([units(133), units(fee + 28)])
  })

  test("free change is at least half of the amount where the coins allow it", () => {
    const coins = Array.from({ length: 60 }, (_, i) => coin(1_001 + 2 * i))
    for (let seed = 0; seed < 50; seed++) {
      const { change } = taken(
        pay(coins, 10_000, { feeRate: 1, longTermRate: 2, inputsMax: 60 }, { dice: makeDice(seed) })
      )
      expect(change === 0 || change >= 5_000).toBe(true)
    }
  })
})

/** All subsets of a small wallet: could any of them pay? */
const canPay = (coins: ReadonlyArray<Coin>, amount: number, costs: Costs, inputsMax = costs.inputsMax): boolean => {
  for (let set = 1; set < 1 << coins.length; set++) {
    const inputs = coins.filter((_, i) => set & (1 << i))
    if (inputs.length <= inputsMax && sum(inputs) - amount >= feeFor(sizeOf(inputs, 1, costs), costs)) return true
  }
  return false
}

describe("refusals", () => {
  test("are right for every small wallet, compared with all its subsets", () => {
    let compared = 0
    for (let i = 0; i < 1_500; i++) {
      const coins = randomCoins(1 + random.int(9), 1 + random.int(4), random.pick([100, 2_000]))
      const feeRate = random.pick([0, 0.25, 1, 2.5])
      const costs = { ...randomCosts(), feeRate, feeMin: units(feeRate === 0 ? random.int(50) : 0) }
      const amount = dustOf(costs) + random.int(sum(coins))
      const result = pay(coins, amount, costs)
      const code = Result.isSuccess(result) ? "" : result.failure.code
      compared++
      expect([i, canPay(coins, amount, costs, coins.length)]).toEqual([i, code !== "funds-too-low"])
      if (feeRate === 0 || new Set(coins.map(({ owner }) => owner)).size === 1)
        expect([i, canPay(coins, amount, costs)]).toEqual([i, code === ""])
      else if (code === "") expect(canPay(coins, amount, costs)).toBe(true)
    }
    expect(compared).toBe(1_500)
  })

  test("funds-too-low names what there is and what is needed", () => {
    expect(refused(pay([coin(50)], 60, { feeMin: units(5) }))).toMatchObject({
      code: "funds-too-low",
      available: 50,
      needed: 65
    })
    expect(refused(pay([], 60))).toMatchObject({ code: "funds-too-low", available: 0, needed: 60 })
  })

  test("a coin that costs more than it holds does not count", () => {
    expect(refused(pay([coin(1_000), coin(36, "a", "x")], 1_000, { feeRate: 1 }))).toMatchObject({ available: 1_000 })
    expect(refused(pay([coin(1_000), coin(133, "b")], 1_000, { feeRate: 1 }))).toMatchObject({ available: 1_000 })
    expect(refused(pay([coin(1_000), coin(134, "b")], 1_000, { feeRate: 1 }))).toMatchObject({ available: 1_134 })
  })

  test("too-many-coins: the sum is there, but in pieces too small", () => {
    const coins = Array.from({ length: 10 }, (_, i) => coin(10, "a", `${i}`))
    expect(refused(pay(coins, 60, { inputsMax: 5 }))).toMatchObject({
      code: "too-many-coins",
      available: 100,
      needed: 60,
      inputsMax: 5
    })
    expect(taken(pay(coins, 50, { inputsMax: 5 })).inputs.length).toBe(5)
  })

  test("amount-is-dust, under what the coin would cost to spend", () => {
    expect(refused(pay([coin(5_000)], 132, { feeRate: 1 }))).toMatchObject({ code: "amount-is-dust", dust: 133 })
    expect(taken(pay([coin(5_000)], 133, { feeRate: 1 })).change).toBeGreaterThan(0)
    expect(refused(pay([coin(5_000)], 9, { dust: units(10) }))).toMatchObject({ code: "amount-is-dust", dust: 10 })
  })

  const wrongNumbers = [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]
  test.each(wrongNumbers)("an amount of %p is none", (wrong) => {
    expect(refused(pay([coin(50)], wrong)).code).toBe("amount-invalid")
  })

  test.each<[Partial<Costs>]>([
    [{ feeRate: -1 }],
    [{ feeRate: Number.NaN }],
    [{ feeRate: Number.POSITIVE_INFINITY }],
    [{ feeRate: 1e300 }],
    [{ longTermRate: -0.1 }],
    [{ longTermRate: 1e18 }],
    [{ feeMin: units(-1) }],
    [{ feeMin: units(0.5) }],
    [{ inputsMax: 0 }],
    [{ inputsMax: 2 ** 53 }],
    [{ inputsMax: 2 ** 52 }],
    [{ fixedBytes: -1 }],
    [{ fixedBytes: Number.NaN }],
    [{ dust: units(0) }]
  ])("costs of %p are none", (wrong) => {
    expect(refused(pay([coin(50)], 10, wrong)).code).toBe("costs-invalid")
  })

  test.each<[string, ReadonlyArray<Coin>]>([
    ["one twice", [coin(50), coin(50)]],
    ["one of half a unit", [coin(0.5), coin(50)]],
    ["one below nothing", [coin(-1), coin(50)]],
    ["one of no number", [coin(Number.NaN), coin(50)]],
    ["one of no height", [{ ...coin(50), height: Number.NaN }]],
    ["more than there can be", [coin(2 ** 53 - 1), coin(1)]]
  ])("coins with %s are refused", (_, coins) => {
    expect(refused(pay(coins, 10)).code).toBe("coins-invalid")
    expect(refused(sendAll({ coins, recipient: "b", costs: free })).code).toBe("coins-invalid")
    expect(refused(consolidate({ coins, to: "b", costs: free })).code).toBe("coins-invalid")
  })

  test("nothing throws, whatever the numbers", () => {
    const strange = [0, 1, -1, 0.1, 50, 1e9, 2 ** 53 - 1, 2 ** 53, 1e300, Number.NaN, Number.POSITIVE_INFINITY]
    const any = (): number => random.pick(strange)
    for (let i = 0; i < 20_000; i++) {
      const coins = Array.from({ length: random.int(5) }, (_, at) => ({
        ...coin(random.chance(0.7) ? random.int(3_000) : any(), random.pick(["a", "b"]), `${at}`),
        height: random.chance(0.9) ? 1 : any()
      }))
      const costs = {
        feeRate: random.chance(0.5) ? 1 : any(),
        feeMin: units(random.chance(0.5) ? 0 : any()),
        fixedBytes: random.chance(0.7) ? 40 : any(),
        inputsMax: random.chance(0.7) ? 5 : any(),
        ...(random.chance(0.5) ? { dust: units(any()), longTermRate: any() } : {})
      }
      const results = [
        pay(coins, random.chance(0.5) ? 200 : any(), costs),
        sendAll({ coins, recipient: "b", costs }),
        consolidate({ coins, to: "a", costs, asked: random.chance(0.5) })
      ]
      for (const result of results) if (Result.isSuccess(result)) check(result.success, coins, costs)
    }
  })
})

describe("everything", () => {
  test("goes out, less the fee, in one output", () => {
    for (let i = 0; i < 2_000; i++) {
      const coins = randomCoins(1 + random.int(12), 3, 5_000)
      const costs = { ...randomCosts(), inputsMax: 12 }
      const result = sendAll({ coins, recipient: "b", costs })
      if (Result.isFailure(result)) {
        expect(["funds-too-low", "amount-is-dust"]).toContain(result.failure.code)
        continue
      }
      check(result.success, coins, costs)
      expect(result.success.outputs.length).toBe(1)
      expect(result.success.fee).toBe(units(feeFor(result.success.bytes, costs)))
      if (costs.feeRate === 0) expect(result.success.inputs.length).toBe(coins.length)
    }
  })

  test("leaves what costs more than it holds", () => {
    const coins = [coin(5_000), coin(36, "a", "crumb")]
    expect(unitsOf(taken(sendAll({ coins, recipient: "b", costs: { ...free, feeRate: 1 } })))).toEqual([5_000])
  })

  test("is refused where it is more coins than a transaction takes, no more than the fee, or dust", () => {
    const coins = Array.from({ length: 4 }, (_, i) => coin(100, "a", `${i}`))
    const all = (costs: Partial<Costs>) => refused(sendAll({ coins, recipient: "b", costs: { ...free, ...costs } }))
    expect(all({ inputsMax: 3 })).toMatchObject({ code: "too-many-coins", inputsMax: 3 })
    expect(all({ feeMin: units(400) })).toMatchObject({ code: "funds-too-low", available: 400, needed: 401 })
    expect(all({ feeMin: units(395), dust: units(6) })).toMatchObject({ code: "amount-is-dust", dust: 6 })
    expect(refused(sendAll({ coins: [], recipient: "b", costs: free })).code).toBe("funds-too-low")
  })
})

describe("consolidation", () => {
  const coins = Array.from({ length: 10 }, (_, i) => coin(1_000 + i))

  test("takes the smallest coins, as many as fit", () => {
    const costs = { ...free, feeRate: 1, longTermRate: 5, inputsMax: 4 }
    const joined = taken(consolidate({ coins, to: "a", costs }))
    check(joined, coins, costs)
    expect(unitsOf(joined)).toEqual([1_003, 1_002, 1_001, 1_000])
    expect(joined.outputs).toEqual([{ units: units(4_006 - joined.fee), owner: "a" }])
  })

  test("pays where three inputs later cost more than the transaction now", () => {
    // Four inputs in one: 40 + 28 + 4 x 36 + 97 = 309 bytes now, 3 x 36 = 108 fewer later; the owner signs later as before.
    const at = (longTermRate: number) =>
      consolidate({ coins, to: "a", costs: { ...free, feeRate: 1, longTermRate, inputsMax: 4 } })
    expect(refused(at(309 / 108))).toMatchObject({ code: "consolidation-does-not-pay", fee: 309 })
    expect(taken(at(2.9)).fee).toBe(units(309))
  })

  test("counts the witness of an owner who keeps nothing, and that of one who had nothing", () => {
    const costs = { ...free, feeRate: 1, longTermRate: 1 }
    const two = [coin(900, "b"), coin(800, "c")]
    const saves = (to: string) => refused(consolidate({ coins: two, to, costs }))
    expect(saves("b")).toMatchObject({ saves: 36 + 97 })
    expect(saves("d")).toMatchObject({ saves: 36 + 97 })
    expect(saves("b")).toMatchObject({ fee: 40 + 28 + 72 + 194 })
  })

  test("is done against its price only if asked, and never of one coin", () => {
    const costs = { ...free, feeRate: 1 }
    expect(refused(consolidate({ coins, to: "a", costs })).code).toBe("consolidation-does-not-pay")
    expect(taken(consolidate({ coins, to: "a", costs, asked: true })).inputs.length).toBe(10)
    expect(refused(consolidate({ coins: [coin(5_000)], to: "a", costs, asked: true })).code).toBe(
      "consolidation-does-not-pay"
    )
  })
})
