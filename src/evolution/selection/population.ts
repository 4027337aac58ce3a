import type { Node } from "../../domain/run.ts";

/** What a policy may know of a node: little, so that a run of 100,000 nodes stays in memory. */
export interface Member {
  readonly id: string;
  readonly step: number;
  readonly island: number;
  readonly parents: readonly string[];
  /** `elite` nodes passed; `broken` ones failed through their own fault; `void` ones say nothing about the kernel. */
  readonly standing: "elite" | "broken" | "void";
  readonly merit: number;
  /** Failed ancestors in a row, this node included: how often a repair was already tried. 0 when it passed. */
  readonly failures: number;
  /** Its cell in a MAP-Elites archive; absent where the policy has none, and for what did not pass. */
  readonly cell?: string;
}

/** Best members that a cell keeps: more than a policy may ask for. */
export const CELL_KEEPS = 16;

/**
 * What selection compares. Fitness is 0 for everything without credit, and a search needs a slope there too: a kernel
 * that passed but is not credited counts its measured ratio, never more than 1, and 0 when nothing was measured.
 */
export function meritOf(node: Pick<Node, "fitness" | "verdict" | "status" | "speedup">): number {
  if (node.fitness > 0) return node.fitness;
  if (node.verdict !== "passed" || node.speedup === undefined) return 0;
  const ratio = node.status === "too_noisy" ? node.speedup.low : node.speedup.ratio;
  return Number.isFinite(ratio) ? Math.min(Math.max(ratio, 0), 1) : 0;
}

/** A node and all below it by first parents, for policies that search the tree. */
export interface Subtree {
  readonly children: readonly string[];
  /** Nodes in it. */
  readonly visits: number;
  /** Highest merit in it, and the sum of log(1 + merit). */
  readonly best: number;
  readonly sum: number;
}

const EMPTY: Subtree = { children: [], visits: 0, best: 0, sum: 0 };

/** Members by merit, the earlier first among equals. */
function before(a: Member, b: Member): boolean {
  return a.merit > b.merit || (a.merit === b.merit && a.step < b.step);
}

/**
 * The nodes of one run, kept in the orders that policies ask for. Nodes are insert-only, so the population only grows;
 * `add` costs a binary search, and no question walks all nodes.
 */
export class Population {
  readonly #byId = new Map<string, Member>();
  readonly #elite: Member[] = [];
  readonly #elitePerIsland = new Map<number, Member[]>();
  readonly #sizePerIsland = new Map<number, number>();
  readonly #brokenLeaves = new Map<string, Member>();
  /** How many of them have so many failures in a row. */
  readonly #brokenByFailures = new Map<number, number>();
  readonly #children = new Map<string, number>();
  readonly #trees = new Map<string, { children: string[]; visits: number; best: number; sum: number }>();
  readonly #rootIds: string[] = [];
  readonly #withTrees: boolean;
  readonly #cellOf: ((node: Node) => string) | undefined;
  readonly #cells = new Map<number, Map<string, Member[]>>();
  readonly #foundings = new Map<number, readonly number[]>();
  /** Steps at which the best merit rose. */
  readonly #gains: number[] = [];
  #best = 0;
  #newest: Member | undefined;
  #lastStep = -1;

  /**
   * `cellOf` names the MAP-Elites cell of a passed node, where the policy has use for cells. Without `trees` no subtrees are
   * kept: each node costs as many steps as its line is long, which in a chain of 100,000 is too many.
   */
  constructor(cellOf?: (node: Node) => string, trees = true) {
    this.#cellOf = cellOf;
    this.#withTrees = trees;
  }

  get size(): number {
    return this.#byId.size;
  }

  /** Highest step seen, -1 when empty: what a refresh asks the store to continue from. */
  get lastStep(): number {
    return this.#lastStep;
  }

  /** Nodes without parents: seeds and drafts. */
  get roots(): number {
    return this.#rootIds.length;
  }

  /** Their ids, in step order. Do not change. */
  get rootIds(): readonly string[] {
    return this.#rootIds;
  }

  /** The node of the highest step that says something about a kernel. */
  get newest(): Member | undefined {
    return this.#newest;
  }

  /** What is below a node; nothing where no subtrees are kept. */
  subtree(id: string): Subtree {
    return this.#trees.get(id) ?? EMPTY;
  }

  add(node: Node): void {
    this.addAll([node]);
  }

  /** Takes in nodes in step order. Many at once are sorted in rather than inserted one by one. */
  addAll(nodes: readonly Node[]): void {
    const many = nodes.length > 200;
    for (const node of nodes) {
      const member = this.#enter(node);
      if (member?.standing !== "elite") continue;
      const island = this.#elitePerIsland.get(member.island) ?? [];
      this.#elitePerIsland.set(member.island, island);
      for (const list of [this.#elite, island]) {
        if (many) list.push(member);
        else insert(list, member);
      }
    }
    if (many)
      for (const list of [this.#elite, ...this.#elitePerIsland.values()])
        list.sort((a, b) => (before(a, b) ? -1 : 1));
  }

  #enter(node: Node): Member | undefined {
    if (this.#byId.has(node.id)) return undefined;
    const standing =
      node.verdict === "passed"
        ? "elite"
        : node.status === "infrastructure_error" || node.status === "unsupported"
          ? "void"
          : "broken";
    const failed = node.parents.map((id) => this.#byId.get(id)?.failures ?? 0);
    const member: Member = {
      id: node.id,
      step: node.step,
      island: node.island,
      parents: node.parents,
      standing,
      merit: meritOf(node),
      failures: standing === "broken" ? 1 + Math.max(0, ...failed) : 0,
      ...(standing === "elite" && this.#cellOf !== undefined ? { cell: this.#cellOf(node) } : {}),
    };
    this.#byId.set(member.id, member);
    if (!this.#sizePerIsland.has(member.island))
      this.#foundings.set(
        member.island,
        Array.from({ length: member.island }, (_, island) => this.sizeOf(island)),
      );
    if (member.merit > this.#best) {
      this.#best = member.merit;
      this.#gains.push(member.step);
    }
    if (member.cell !== undefined) this.#enterCell(member, member.cell);
    this.#lastStep = Math.max(this.#lastStep, member.step);
    this.#sizePerIsland.set(member.island, this.sizeOf(member.island) + 1);
    if (standing !== "void" && member.step > (this.#newest?.step ?? -1)) this.#newest = member;
    if (member.parents.length === 0) this.#rootIds.push(member.id);
    if (this.#withTrees) this.#enterTree(member);
    for (const parent of member.parents) {
      this.#children.set(parent, this.childrenOf(parent) + 1);
      const leaf = this.#brokenLeaves.get(parent);
      if (leaf === undefined) continue;
      this.#brokenLeaves.delete(parent);
      this.#countBroken(leaf.failures, -1);
    }
    if (standing === "broken") {
      this.#brokenLeaves.set(member.id, member);
      this.#countBroken(member.failures, 1);
    }
    return member;
  }

  #countBroken(failures: number, change: number): void {
    this.#brokenByFailures.set(failures, (this.#brokenByFailures.get(failures) ?? 0) + change);
  }

  #enterCell(member: Member, name: string): void {
    const cells = this.#cells.get(member.island) ?? new Map<string, Member[]>();
    this.#cells.set(member.island, cells);
    const cell = cells.get(name) ?? [];
    cells.set(name, cell);
    insert(cell, member);
    if (cell.length > CELL_KEEPS) cell.pop();
  }

  /** Counts a node in every subtree that it belongs to: as many steps as its line is long. */
  #enterTree(member: Member): void {
    this.#trees.set(member.id, { children: [], visits: 0, best: 0, sum: 0 });
    const [parent] = member.parents;
    if (parent !== undefined) this.#trees.get(parent)?.children.push(member.id);
    const reward = Math.log1p(member.merit);
    for (let id: string | undefined = member.id; id !== undefined; id = this.#byId.get(id)?.parents[0]) {
      const tree = this.#trees.get(id);
      if (tree === undefined) break;
      tree.visits += 1;
      tree.best = Math.max(tree.best, member.merit);
      tree.sum += reward;
    }
  }

  get(id: string): Member | undefined {
    return this.#byId.get(id);
  }

  /** Passed nodes, best first; of one island when given. Do not change. */
  elite(island?: number): readonly Member[] {
    return island === undefined ? this.#elite : (this.#elitePerIsland.get(island) ?? []);
  }

  /** The best members of each cell of an island, best first; at most `CELL_KEEPS` a cell. Do not change. */
  cells(island: number): ReadonlyMap<string, readonly Member[]> {
    return this.#cells.get(island) ?? new Map();
  }

  /** Sizes of the islands below this one when its first node came; undefined while it has none. */
  founding(island: number): readonly number[] | undefined {
    return this.#foundings.get(island);
  }

  /** How many times so far `length` nodes in a row brought nothing better. It never falls as nodes come in. */
  stalls(length: number): number {
    let count = 0;
    for (const [index, gain] of this.#gains.entries())
      count += Math.floor(((this.#gains[index + 1] ?? this.#lastStep) - gain) / length);
    return count;
  }

  /** Failed nodes that nobody has built upon yet, oldest first, with at most `depth` failures in a row. */
  repairable(depth: number, island?: number): Member[] {
    const out: Member[] = [];
    for (const member of this.#brokenLeaves.values()) {
      if (member.failures <= depth && (island === undefined || member.island === island)) out.push(member);
    }
    return out;
  }

  /** How many `repairable` answers, without listing them. */
  repairableCount(depth: number): number {
    let count = 0;
    for (const [failures, leaves] of this.#brokenByFailures) if (failures <= depth) count += leaves;
    return count;
  }

  childrenOf(id: string): number {
    return this.#children.get(id) ?? 0;
  }

  sizeOf(island: number): number {
    return this.#sizePerIsland.get(island) ?? 0;
  }
}

function insert(list: Member[], member: Member): void {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const centre = (low + high) >>> 1;
    const other = list[centre];
    if (other !== undefined && before(other, member)) low = centre + 1;
    else high = centre;
  }
  list.splice(low, 0, member);
}
