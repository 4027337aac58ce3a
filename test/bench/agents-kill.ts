/**
 * Eight agents, each a process of its own over one store, killed with SIGKILL at random moments and started again. Nothing
 * that an agent was told may be lost, and every run ends with the budget of an undisturbed one. `AGENT_KILLS` sets how often.
 */
import { randomInt } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { RunOverview } from "../../src/domain/services.ts";
import { openStore } from "../../src/store/index.ts";
import { simulatedEvolution } from "./agents/simulated.ts";
import { type Agents, startAgents } from "./agents/start.ts";
import { faultsOf, readTold, USAGE } from "./agents/told.ts";
import { printTable, saveResult } from "./table.ts";

const KILLS = Number(process.env["AGENT_KILLS"] ?? 100);
const AGENTS = 8;
const NODES = 400;
/** Longest evaluation and longest time between two kills, ms. */
const LONGEST_MS = 400;
const PAUSE_MS = 1500;
/** The shortest that a claim may live, so that what a killed agent held comes back soon. */
const TTL_SECONDS = 10;
const TOKENS = NODES * (USAGE.input_tokens + USAGE.output_tokens);

interface Outcome {
  readonly kills: number;
  readonly told: { readonly claims: number; readonly nodes: number };
  readonly orphans: number;
  readonly faults: string[];
  readonly end: string;
}

/** One run to its end, disturbed by up to `most` kills. */
async function one(home: string, seed: number, most: number): Promise<Outcome> {
  const store = openStore(home);
  const evolution = simulatedEvolution(store, LONGEST_MS);
  const run = await evolution.start({
    problem: "scale",
    target: "cpu-test",
    budget: { nodes: NODES },
    seed,
    policy_params: { seeds: 0 },
  });
  const files: string[] = [];
  const start = (): Agents => {
    const told = join(home, `told-${seed}-${files.length}.jsonl`);
    files.push(told);
    return startAgents({
      home,
      run: run.id,
      name: `agent-${files.length}`,
      agents: 1,
      told,
      answer: "submit",
      longest_ms: LONGEST_MS,
      ttl_seconds: TTL_SECONDS,
    });
  };
  const faults: string[] = [];
  const working = Array.from({ length: AGENTS }, start);
  let kills = 0;
  while (kills < most) {
    const ended = Promise.all(working.map((agents) => agents.ended)).then(() => true);
    if (await Promise.race([ended, sleep(randomInt(PAUSE_MS), false)])) break;
    const place = randomInt(AGENTS);
    const victim = working[place];
    if (victim === undefined || victim.process.exitCode !== null) continue;
    victim.process.kill("SIGKILL");
    const { signal } = await victim.ended;
    if (signal !== "SIGKILL") continue;
    kills += 1;
    faults.push(...faultsOf(store, run.id, readTold(files)).map((fault) => `after kill ${kills}: ${fault}`));
    working[place] = start();
  }
  for (const { ended } of working) {
    const { code, signal } = await ended;
    if (code !== 0) faults.push(`an agent ended with ${code ?? signal}`);
  }
  const told = readTold(files);
  faults.push(...faultsOf(store, run.id, told).map((fault) => `at the end: ${fault}`));
  const overview = await evolution.get(run.id);
  // The archive follows the store: the next submission or this close catches up.
  await evolution.close();
  const claims = told.filter((line) => line.kind === "claim").length;
  const nodes = told.length - claims;
  const orphans = store.graph.countClaims(run.id) - NODES;
  store.close();
  return { kills, told: { claims, nodes }, orphans, faults, end: endOf(overview) };
}

/** What has to be the same of every run. */
function endOf({ run, spent, nodes, open_claims }: RunOverview): string {
  return `${run.state} (${run.stop_reason}): ${nodes} nodes, ${spent.tokens} tokens, ${open_claims} open claims`;
}

const home = mkdtempSync(join(tmpdir(), "kernelevolve-agents-kill-"));
const started = performance.now();
try {
  const undisturbed = await one(home, 0, 0);
  const faults = [...undisturbed.faults];
  if (!undisturbed.end.includes(`${NODES} nodes, ${TOKENS} tokens`))
    faults.push(`undisturbed it ended ${undisturbed.end}`);
  const outcomes: Outcome[] = [];
  const sum = (of: (outcome: Outcome) => number): number =>
    outcomes.reduce((total, outcome) => total + of(outcome), 0);
  while (sum(({ kills }) => kills) < KILLS) {
    const outcome = await one(home, outcomes.length + 1, KILLS - sum(({ kills }) => kills));
    outcomes.push(outcome);
    faults.push(...outcome.faults);
    if (outcome.end !== undisturbed.end)
      faults.push(`it ended ${outcome.end}, undisturbed ${undisturbed.end}`);
    process.stderr.write(`${sum(({ kills }) => kills)} kills, ${faults.length} faults; ${outcome.end}\n`);
  }
  const row = {
    agents: AGENTS,
    kills: sum(({ kills }) => kills),
    runs: outcomes.length,
    ended_as_undisturbed: outcomes.filter(({ end }) => end === undisturbed.end).length,
    claims_told: sum(({ told }) => told.claims),
    nodes_told: sum(({ told }) => told.nodes),
    orphan_claims_given_back: sum(({ orphans }) => orphans),
    faults: faults.length,
    seconds: Math.round((performance.now() - started) / 1000),
  };
  printTable(
    `kill -9 of one of ${AGENTS} agents on a run at random moments; undisturbed a run ends ${undisturbed.end}`,
    [row],
  );
  for (const fault of faults.slice(0, 50)) process.stdout.write(`${fault}\n`);
  saveResult("agents-kill", { row, end: undisturbed.end, faults: faults.slice(0, 50) });
  if (faults.length > 0) process.exitCode = 1;
} finally {
  rmSync(home, { recursive: true, force: true, maxRetries: 5 });
}
