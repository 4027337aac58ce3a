import { existsSync, readFileSync } from "node:fs";
import { z } from "zod";
import type { Claim, Node } from "../../../src/domain/run.ts";
import type { Store } from "../../../src/store/index.ts";

/** How a process of agents is started. */
export const workerSchema = z.object({
  home: z.string(),
  run: z.string(),
  name: z.string(),
  /** Agents in the process. */
  agents: z.int(),
  /** The file to which every agent writes what it was told. */
  told: z.string(),
  /** `submit`: through the service; `insert`: by the store's transaction alone. */
  answer: z.enum(["submit", "insert"]),
  longest_ms: z.number(),
  ttl_seconds: z.number(),
});
export type WorkerOptions = z.infer<typeof workerSchema>;

/** What each child reports to have used: counted once a claim, so that the sum shows a child that counts twice. */
export const USAGE = { input_tokens: 100, output_tokens: 11 } as const;

const toldSchema = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("claim"),
    id: z.string(),
    parents: z.array(z.string()),
    island: z.int(),
    phase: z.enum(["draft", "expand"]),
  }),
  z.object({
    kind: z.literal("node"),
    id: z.string(),
    claim: z.string(),
    step: z.int(),
    candidate: z.string(),
    fitness: z.number(),
  }),
]);
/** What an agent was told: by then it must be in the store for good. */
export type Told = z.infer<typeof toldSchema>;

/** Everything in the files. The last line of a process that was killed may be cut: then its agent was told nothing yet. */
export function readTold(files: readonly string[]): Told[] {
  return files.flatMap((file) => {
    const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n") : [];
    return lines.slice(0, -1).map((line) => toldSchema.parse(JSON.parse(line)));
  });
}

/** What is wrong with a run, given what its agents were told before. Empty: nothing lost, doubled or torn. */
export function faultsOf(store: Store, run: string, told: readonly Told[]): string[] {
  // One transaction, so that agents at work do not change the picture while it is looked at.
  return store.graph.atomically(() => faultsNow(store, run, told));
}

function faultsNow({ graph }: Store, run: string, told: readonly Told[]): string[] {
  const faults: string[] = [];
  const nodes = graph.nodes(run);
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const byClaim = new Map<string, Node>();
  for (const [index, node] of nodes.entries()) {
    if (node.step !== index) faults.push(`node ${node.id} has step ${node.step}, is number ${index}`);
    const other = byClaim.get(node.claim ?? "");
    if (other !== undefined) faults.push(`claim ${node.claim} made ${other.id} and ${node.id}`);
    byClaim.set(node.claim ?? "", node);
  }
  const claims = new Set<string>();
  for (const one of told) {
    if (one.kind === "claim") {
      if (claims.has(one.id)) faults.push(`claim ${one.id} was given twice`);
      claims.add(one.id);
      faults.push(...claimFaults(graph.claim(one.id), one, byClaim.get(one.id)));
    } else {
      const node = byId.get(one.id);
      if (node === undefined) faults.push(`node ${one.id} of claim ${one.claim} is lost`);
      else if (
        node.step !== one.step ||
        node.claim !== one.claim ||
        node.candidate !== one.candidate ||
        node.fitness !== one.fitness
      )
        faults.push(`node ${one.id} is another than was told`);
      else if (graph.source(node.candidate) === undefined) faults.push(`node ${one.id} has lost its source`);
    }
  }
  return faults;
}

function claimFaults(
  kept: Claim | undefined,
  told: Extract<Told, { kind: "claim" }>,
  made: Node | undefined,
): string[] {
  if (kept === undefined) return [`claim ${told.id} is lost`];
  const same =
    kept.parents.join() === told.parents.join() && kept.island === told.island && kept.phase === told.phase;
  const answered = (kept.state === "submitted") === (made !== undefined) && kept.node === made?.id;
  return [
    ...(same ? [] : [`claim ${told.id} is another than was told`]),
    ...(answered
      ? []
      : [`claim ${told.id} is ${kept.state} with node ${kept.node}, and ${made?.id} names it`]),
  ];
}
