import type { ReportNode } from "../model.ts";

export interface Placed {
  readonly entry: ReportNode;
  /** Column (by order of steps) and lane, both from 0; lanes around the best lineage, which has lane 0, may be negative. */
  readonly column: number;
  readonly lane: number;
}

export interface Layout {
  readonly placed: readonly Placed[];
  readonly lowest: number;
  readonly highest: number;
}

/**
 * A search graph on lanes, as version-control graphs are drawn. Each node has its step's column. The tree of first
 * parents is cut into chains that follow the best descendant; each chain takes the free lane nearest to its parent's
 * over the columns that it spans, so that a leaf needs a lane for one column only and thousands of nodes stay readable.
 */
export function layout(entries: readonly ReportNode[], lineage: readonly ReportNode[]): Layout {
  const column = new Map(entries.map((entry, index) => [entry.node.id, index]));
  const children = new Map<string, ReportNode[]>();
  const roots: ReportNode[] = [];
  for (const entry of entries) {
    const parent = entry.node.parents[0];
    if (parent === undefined || !column.has(parent)) roots.push(entry);
    else children.set(parent, [...(children.get(parent) ?? []), entry]);
  }
  const promise = subtreePromise(entries, lineage);
  const lanes = new Lanes();
  const lane = new Map<string, number>();
  const chains: { head: ReportNode; near: number }[] = [];
  const byPromise = (a: ReportNode, b: ReportNode): number =>
    (promise.get(b.node.id) ?? 0) - (promise.get(a.node.id) ?? 0);
  // Widely promising chains first: they get the straight lanes.
  chains.push(...roots.sort(byPromise).map((head) => ({ head, near: 0 })));
  for (let next = chains.shift(); next !== undefined; next = chains.shift()) {
    const chain: ReportNode[] = [];
    for (let at: ReportNode | undefined = next.head; at !== undefined; ) {
      chain.push(at);
      at = [...(children.get(at.node.id) ?? [])].sort(byPromise)[0];
    }
    const first = column.get(next.head.node.id) ?? 0;
    const last = column.get(chain.at(-1)?.node.id ?? "") ?? first;
    const chosen = lanes.take(next.near, first, last);
    for (const entry of chain) {
      lane.set(entry.node.id, chosen);
      const [, ...rest] = [...(children.get(entry.node.id) ?? [])].sort(byPromise);
      chains.push(...rest.map((head) => ({ head, near: chosen })));
    }
  }
  const placed = entries.map((entry, index) => ({
    entry,
    column: index,
    lane: lane.get(entry.node.id) ?? 0,
  }));
  return {
    placed,
    lowest: Math.min(0, ...placed.map((p) => p.lane)),
    highest: Math.max(0, ...placed.map((p) => p.lane)),
  };
}

/** How good the best node below (or at) each node is; the best lineage is above everything. */
function subtreePromise(entries: readonly ReportNode[], lineage: readonly ReportNode[]): Map<string, number> {
  const promise = new Map(entries.map((entry) => [entry.node.id, entry.node.fitness]));
  for (const entry of entries.toReversed()) {
    const parent = entry.node.parents[0];
    if (parent === undefined || !promise.has(parent)) continue;
    promise.set(parent, Math.max(promise.get(parent) ?? 0, promise.get(entry.node.id) ?? 0));
  }
  for (const entry of lineage) promise.set(entry.node.id, Number.POSITIVE_INFINITY);
  return promise;
}

/** Which columns of each lane are taken. */
class Lanes {
  readonly #taken = new Map<number, [number, number][]>();

  /** The free lane nearest to `near` for columns first..last with one column of air on both sides. */
  take(near: number, first: number, last: number): number {
    for (let distance = 0; ; distance += 1) {
      for (const lane of distance === 0 ? [near] : [near + distance, near - distance]) {
        const spans = this.#taken.get(lane) ?? [];
        if (spans.some(([from, to]) => first <= to + 1 && last >= from - 1)) continue;
        this.#taken.set(lane, [...spans, [first, last]]);
        return lane;
      }
    }
  }
}
