/** A bounded waiting room for blocks whose parent is unknown. The oldest goes first; what waits has cost its sender a seal. */
import type { Block } from "../block/block.ts"
import { orphanBlocksMax } from "../limits.ts"
import { parentId } from "./reader.ts"

export class OrphanRoom {
  private readonly waiting = new Map<string, Block>()

  get size(): number {
    return this.waiting.size
  }

  /** Lets a block wait. */
  admit(block: Block): void {
    this.waiting.set(block.header.id, block)
    const [oldest] = this.waiting.keys()
    if (this.waiting.size > orphanBlocksMax && oldest !== undefined) this.waiting.delete(oldest)
  }

  /** The blocks that waited for this parent; they wait no more. */
  release(parent: string): ReadonlyArray<Block> {
    const children = [...this.waiting.values()].filter(({ header }) => parentId(header) === parent)
    for (const { header } of children) this.waiting.delete(header.id)
    return children
  }
}
