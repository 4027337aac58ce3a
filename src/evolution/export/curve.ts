import type { Node, Spent } from "../../domain/run.ts";
import type { GraphRepository, Used } from "../../store/index.ts";

/** A node that was better than all before it, with what the run had spent once it was recorded. */
export interface Improvement {
  readonly node: Node;
  /** Candidates evaluated, this one among them. */
  readonly nodes: number;
  readonly device_seconds: number;
  readonly tokens: number;
  /** In the currency of the run's budget. */
  readonly cost: number;
}

/** Best fitness of a run against what it spent: a staircase that ends at `spent`. */
export interface Curve {
  readonly improvements: readonly Improvement[];
  readonly spent: Pick<Spent, "nodes" | "device_seconds" | "tokens" | "cost">;
}

/** What a curve can be drawn against. */
export type Expense = keyof Curve["spent"];

/**
 * The curve of all nodes of a run, by step. Charges to models that made no node (see `charge`) count from their own moment on.
 */
export function curveOf(nodes: readonly Node[], usedUntil: (moment: string) => Used, used: Used): Curve {
  let top = 0;
  let device = 0;
  const improvements: Improvement[] = [];
  for (const [index, node] of nodes.entries()) {
    device += node.device_seconds;
    if (node.fitness <= top) continue;
    top = node.fitness;
    improvements.push({ node, nodes: index + 1, device_seconds: device, ...usedUntil(node.created_at) });
  }
  return { improvements, spent: { nodes: nodes.length, device_seconds: device, ...used } };
}

/** The best node of a curve once so much had been spent; undefined before the first credited one. */
export function bestAt(curve: Curve, expense: Expense, spent: number): Node | undefined {
  return curve.improvements.findLast((one) => one[expense] <= spent)?.node;
}

/** Nodes read from the store at a time. */
const PAGE = 2_000;

/** All nodes of a run, by step. */
export function allNodes(graph: GraphRepository, run: string): Node[] {
  const all: Node[] = [];
  for (let page = graph.nodes(run, { limit: PAGE }); page.length > 0; ) {
    all.push(...page);
    page = graph.nodes(run, { limit: PAGE, after_step: page.at(-1)?.step ?? -1 });
  }
  return all;
}
