/**
 * The search at scale, without evaluations: runs of 100,000 nodes whose fitness is that recorded of real kernels. How long
 * `evolve_next` takes at that size under each policy, and whether 64 agents at once lose, double or tear any of 100,000
 * claims. `SCALE_NODES` makes it smaller.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { createServices } from "../../src/app/services.ts";
import {
  type EvaluationRecord,
  type Node,
  POLICIES,
  type PolicyName,
  type Run,
} from "../../src/domain/index.ts";
import { measuredPart } from "../../src/evolution/node-from-record.ts";
import { type Random, randomFrom } from "../../src/evolution/random.ts";
import { Population, policies, resolveParameters } from "../../src/evolution/selection/index.ts";
import { sha256 } from "../../src/platform/hash.ts";
import { openStore, type Store } from "../../src/store/index.ts";
import { recordOf } from "../evolution/fakes.ts";
import { simulatedEvolution } from "./agents/simulated.ts";
import { startAgents } from "./agents/start.ts";
import { faultsOf, readTold } from "./agents/told.ts";
import { ABSTRACTION, LANDSCAPES, TARGET } from "./landscape/grids.ts";
import { Landscape } from "./landscape/landscape.ts";
import { printTable, saveResult } from "./table.ts";

const NODES = Number(process.env["SCALE_NODES"] ?? 100_000);
const TARGET_MS = 50;
const BATCH = 2_000;
const SAMPLES = 300;
/** Claims that are open at any time: agents at work. */
const OPEN = 64;
/** Share of children that fail: the recorded kernels all pass. */
const FAILING = 0.2;
const PROCESSES = 4;
const AGENTS = 16;

/** A recorded evaluation as nodes refer to it: many nodes share one. */
interface Recorded {
  readonly record: EvaluationRecord;
  readonly source: string;
}

/** Every configuration's record, in the store, and some failures. */
function records(store: Store, problem: string): { passed: Recorded[]; failed: Recorded[] } {
  const spec = LANDSCAPES.find((one) => one.problem === "matmul");
  if (spec === undefined) throw new Error("there is no landscape of matmul");
  const landscape = new Landscape(spec);
  const base = landscape.seeds.at(-1)?.source ?? "";
  const make = (id: string, outcome: Parameters<typeof recordOf>[1]): Recorded => {
    const source = `${base}\n/* ${id} */\n`;
    const record = { ...recordOf(source, outcome, id, 1), problem, target: TARGET };
    store.evaluations.put(record, undefined);
    return { record, source };
  };
  return store.graph.atomically(() => ({
    passed: landscape.recorded.flatMap(({ speedup }, index) =>
      speedup === undefined ? [] : [make(`eval_passed_${index}`, { ratio: speedup.ratio })],
    ),
    failed: Array.from({ length: 20 }, (_, index) =>
      make(`eval_failed_${index}`, { status: "wrong_answer", message: `y[${index}] is 0, expected 1.25` }),
    ),
  }));
}

type Made = Omit<Node, "step" | "commit">;

function child(run: Run, index: number, selection: Pick<Node, "parents" | "island">, found: Recorded): Made {
  return {
    id: `node_${run.policy}_${String(index).padStart(6, "0")}`,
    run: run.id,
    operator: "agent",
    rationale: `child ${index}: unroll the inner loop further and keep two accumulators in registers`,
    ...measuredPart(found.record, run.baseline),
    candidate: sha256(sourceOf(found, index)),
    proposer: "bench",
    parents: selection.parents,
    island: selection.island,
    created_at: new Date().toISOString(),
  };
}

function sourceOf(found: Recorded, index: number): string {
  return `${found.source}/* child ${index} */\n`;
}

/** Grows a run by its own policy, in memory, and writes it down in batches. */
function grow(store: Store, run: Run, draw: (random: Random) => Recorded): void {
  const policy = policies[run.policy];
  const parameters = resolveParameters(policy, run.policy_params);
  const population = new Population(
    policy.cells === true ? (node) => `cell ${node.candidate.slice(0, 1)}` : undefined,
    policy.trees === true,
  );
  let batch: { node: Made; source: string }[] = [];
  const flush = (): void => {
    store.graph.atomically(() => {
      for (const { node, source } of batch) store.graph.insertNode({ node, source, dedup: node.candidate });
    });
    batch = [];
  };
  for (let step = 0; step < NODES; step += 1) {
    const random = randomFrom(run.seed, "select", step);
    const selection = policy.select({ population, open: [], ordinal: step, random }, parameters);
    const found = draw(random);
    const node = child(run, step, { parents: [...selection.parents], island: selection.island }, found);
    population.add({ ...node, step });
    batch.push({ node, source: sourceOf(found, step) });
    if (batch.length === BATCH) flush();
  }
  flush();
}

interface Row {
  [column: string]: string | number;
}

function at(times: readonly number[], share: number): number {
  const sorted = times.toSorted((a, b) => a - b);
  return Number((sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN).toFixed(1));
}

async function measure(policy: PolicyName): Promise<Row> {
  const home = mkdtempSync(join(tmpdir(), "kernelevolve-scale-"));
  const store = openStore(home);
  const services = createServices(home);
  try {
    const { evolution } = services;
    const policy_params = { seeds: 0 };
    const budget = { nodes: 1_000_000 };
    const start = {
      problem: "matmul",
      target: TARGET,
      abstraction: ABSTRACTION,
      policy,
      policy_params,
      budget,
    };
    const run = await evolution.start(start);
    const { passed, failed } = records(store, run.problem);
    const draw = (random: Random): Recorded => {
      const found = random.pick(random.next() < FAILING ? failed : passed);
      if (found === undefined) throw new Error("nothing is recorded");
      return found;
    };
    grow(store, run, draw);
    const began = performance.now();
    await evolution.next(run.id, "bench");
    const first = performance.now() - began;
    const open: Awaited<ReturnType<typeof evolution.next>>["claim"][] = [];
    const prompted: number[] = [];
    const bare: number[] = [];
    let longest = 0;
    for (let sample = -OPEN; sample < 2 * SAMPLES; sample += 1) {
      // Turn about, so that the machine's moods fall on both.
      const options = sample % 2 === 0 ? {} : { token_budget: 0 };
      const asked = performance.now();
      const { claim, prompt } = await evolution.next(run.id, `agent ${sample}`, options);
      if (sample >= 0) (sample % 2 === 0 ? prompted : bare).push(performance.now() - asked);
      longest = Math.max(longest, prompt.length);
      open.push(claim);
      const answered = open.length > OPEN ? open.shift() : undefined;
      if (answered === undefined) continue;
      const found = draw(randomFrom("answer", sample));
      const index = NODES + OPEN + sample;
      const node = { ...child(run, index, answered, found), claim: answered.id };
      store.graph.insertNode({ node, source: sourceOf(found, index), dedup: node.candidate });
    }
    const p99 = at(prompted, 0.99);
    return {
      policy,
      nodes: NODES,
      open_claims: OPEN,
      p50_ms: at(prompted, 0.5),
      p99_ms: p99,
      target_ms: TARGET_MS,
      met: p99 < TARGET_MS ? "yes" : "no",
      claim_alone_p50_ms: at(bare, 0.5),
      claim_alone_p99_ms: at(bare, 0.99),
      first_after_opening_s: Number((first / 1000).toFixed(1)),
      longest_prompt_characters: longest,
      load: Number((loadavg()[0] ?? 0).toFixed(1)),
    };
  } finally {
    await services.close();
    store.close();
    rmSync(home, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** 64 agents in four processes over one store, until the run has its nodes. */
async function agents(): Promise<{ row: Row; faults: string[] }> {
  const home = mkdtempSync(join(tmpdir(), "kernelevolve-agents-"));
  const store = openStore(home);
  try {
    const evolution = simulatedEvolution(store, 0);
    const run = await evolution.start({
      problem: "scale",
      target: "cpu-test",
      budget: { nodes: NODES },
      policy_params: { seeds: 0 },
    });
    const began = performance.now();
    const files = Array.from({ length: PROCESSES }, (_, index) => join(home, `told-${index}.jsonl`));
    const working = files.map((told, index) =>
      startAgents({
        home,
        run: run.id,
        name: `agents-${index}`,
        agents: AGENTS,
        told,
        answer: "insert",
        longest_ms: 0,
        ttl_seconds: 900,
      }),
    );
    const faults: string[] = [];
    for (const { ended } of working) {
      const { code, signal } = await ended;
      if (code !== 0) faults.push(`agents ended with ${code ?? signal}`);
    }
    const seconds = (performance.now() - began) / 1000;
    const told = readTold(files);
    faults.push(...faultsOf(store, run.id, told));
    const claims = told.filter((one) => one.kind === "claim").length;
    const overview = await evolution.get(run.id);
    const kept = store.graph.countClaims(run.id);
    if (claims !== kept) faults.push(`${claims} claims were told of, ${kept} are kept`);
    if (overview.nodes !== NODES || overview.run.state !== "finished")
      faults.push(`the run is ${overview.run.state} with ${overview.nodes} nodes of ${NODES}`);
    await evolution.close();
    const row = {
      agents: PROCESSES * AGENTS,
      processes: PROCESSES,
      policy: run.policy,
      claims,
      nodes: overview.nodes,
      lost_doubled_or_torn: faults.length,
      claims_per_second: Math.round(claims / seconds),
      seconds: Math.round(seconds),
      load: Number((loadavg()[0] ?? 0).toFixed(1)),
    };
    return { row, faults };
  } finally {
    store.close();
    rmSync(home, { recursive: true, force: true, maxRetries: 5 });
  }
}

const part = process.argv[2];
if (part !== "agents") {
  const rows: Row[] = [];
  // A run of the policy one-shot is one node.
  for (const policy of POLICIES.filter((one) => one !== "one-shot")) {
    rows.push(await measure(policy));
    process.stderr.write(`${JSON.stringify(rows.at(-1))}\n`);
  }
  printTable("evolve_next with its prompt, through the service, on a simulated run", rows);
  saveResult("search-scale", {
    fitness: `recorded of matmul's configurations; ${100 * FAILING} % of the children fail`,
    samples: SAMPLES,
    load: "average over a minute as the row was measured; over the number of cores, others were at work on the machine",
    rows,
  });
  if (rows.some((row) => row["met"] !== "yes")) process.exitCode = 1;
}
if (part !== "next") {
  const { row, faults } = await agents();
  printTable("Agents at once on one run: claimed through the service, answered by the store", [row]);
  for (const fault of faults.slice(0, 50)) process.stdout.write(`${fault}\n`);
  saveResult("search-scale-agents", { row, faults: faults.slice(0, 50) }, "search-scale");
  if (faults.length > 0) process.exitCode = 1;
}
