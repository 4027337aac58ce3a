/** Questions about a run of 100,000 nodes, as policies, prompts and reports ask them. The target is below 50 ms each. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomFrom } from "../../src/evolution/random.ts";
import { openStore, type Store } from "../../src/store/index.ts";
import { newNode, runOf } from "../store/fixtures.ts";
import { printTable, saveResult } from "./table.ts";

const NODES = 100_000;
const BATCH = 2_000;
const SAMPLES = 300;
const TARGET_MS = 50;
const RUN = "run_bench";
/** Of a kernel's usual length, so that rows are as large as they are in a run. */
const FILLER = "  for (int64_t i = 0; i < n; i++) y[i] += a * x[i];\n".repeat(40);
const random = randomFrom(1, "store-queries", 0);
const between = (low: number, high: number): number => low + random.integer(high - low);
const idOf = (step: number): string => `node_${String(step).padStart(6, "0")}`;

/** Mostly the child of a good recent node, sometimes of any, now and then of two: long lineages with many branches. */
function parentsOf(step: number): string[] {
  if (step < 8) return [];
  const first = random.next() < 0.9 ? between(Math.max(0, step - 200), step) : between(0, step);
  const second = random.next() < 0.2 ? between(0, step) : first;
  return first === second ? [idOf(first)] : [idOf(first), idOf(second)];
}

function fill(store: Store): void {
  store.graph.createRun(runOf(RUN, { budget: { nodes: NODES } }));
  for (let start = 0; start < NODES; start += BATCH) {
    store.graph.atomically(() => {
      for (let step = start; step < start + BATCH; step += 1) {
        const failed = random.next() < 0.3;
        store.graph.insertNode(
          newNode(
            idOf(step),
            RUN,
            {
              parents: parentsOf(step),
              fitness: failed ? 0 : Number((1 + 4 * random.next()).toFixed(4)),
              verdict: failed ? "rejected" : "passed",
              status: failed ? "wrong_answer" : "ok",
              rationale: `child ${step}: unroll the inner loop further and keep two accumulators in registers`,
              island: step % 4,
              reasons: failed ? [{ code: "value_mismatch", message: "y[3] is 0.0, expected 1.25" }] : [],
            },
            `/* ${step} */\nvoid kernel(void) {\n${FILLER}}\n`,
          ),
        );
      }
    });
  }
}

interface Row {
  [column: string]: string | number;
  query: string;
  answered: number;
  p50_ms: number;
  p99_ms: number;
  target_ms: number;
  met: string;
}

/** `ask` over and over; what it answers must not be empty, or nothing was measured. */
function measure(query: string, ask: () => number): Row {
  const times: number[] = [];
  let answered = 0;
  for (let sample = 0; sample < SAMPLES; sample += 1) {
    const started = performance.now();
    const found = ask();
    times.push(performance.now() - started);
    answered = Math.max(answered, found);
  }
  if (answered === 0) throw new Error(`${query} found nothing`);
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): number => Number((sorted[Math.floor(share * (SAMPLES - 1))] ?? 0).toFixed(2));
  const p99 = at(0.99);
  return {
    query,
    answered,
    p50_ms: at(0.5),
    p99_ms: p99,
    target_ms: TARGET_MS,
    met: p99 < TARGET_MS ? "yes" : "no",
  };
}

const home = mkdtempSync(join(tmpdir(), "kernelevolve-bench-"));
try {
  const filling = openStore(home);
  const started = performance.now();
  fill(filling);
  const seconds = (performance.now() - started) / 1000;
  filling.close();
  const store = openStore(home);
  const { graph } = store;
  const some = (): string => idOf(between(8, NODES));
  const rows = [
    measure("frontier, 64 best", () => graph.frontier(RUN, 64).length),
    measure("best", () => (graph.best(RUN) === undefined ? 0 : 1)),
    measure("ancestors of the newest, 32", () => graph.ancestors(idOf(NODES - 1), 32).length),
    measure("ancestors of any, 32", () => graph.ancestors(some(), 32).length),
    measure("ancestors of the newest, 1,000", () => graph.ancestors(idOf(NODES - 1)).length),
    measure("ancestors of any, 1,000", () => graph.ancestors(some()).length),
    measure("siblings of any", () => graph.siblings(some()).length),
    measure("totals", () => graph.totals(RUN).nodes),
  ];
  store.close();
  const nodes = NODES.toLocaleString("en");
  printTable(`Store: questions about a run of ${nodes} nodes (inserted in ${seconds.toFixed(0)} s)`, rows);
  saveResult("store-queries", { nodes: NODES, insert_seconds: Number(seconds.toFixed(1)), rows });
} finally {
  rmSync(home, { recursive: true, force: true });
}
