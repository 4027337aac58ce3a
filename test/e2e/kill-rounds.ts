import { randomInt } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { openStore } from "../../src/store/index.ts";
import { Place, smallProblem, Watched } from "./watched.ts";

const NODES = 8;
/** Nodes bound a run first; this bounds the length of one measurement. */
const DEVICE_SECONDS = 60;
/** The latest moment of a kill after the run was asked for: from before the store is open to the third candidate or so. */
const LATEST_MS = 6000;

const nodeSchema = z.object({
  node: z.string(),
  step: z.number(),
  verdict: z.string(),
  fitness: z.number(),
  evaluation: z.string(),
});
type Seen = z.infer<typeof nodeSchema>;
const statusSchema = z.object({
  overview: z.object({ run: z.string(), state: z.string(), nodes: z.number() }),
  nodes: z.array(nodeSchema).optional(),
});

/** A run, and what of it a client was told before any kill. */
interface Told {
  readonly id: string;
  readonly nodes: Map<string, Seen>;
  /** The most nodes that an overview or a progress message counted. */
  count: number;
  finished: boolean;
}

export interface KillReport {
  readonly kills: number;
  readonly runs: number;
  /** Nodes that a client had been told of when the server was killed, over all kills. */
  readonly acknowledged: number;
  /** Runs that ended as their budget says. */
  readonly finished: number;
  /** What went wrong, in words; each with the kill's number and moment. */
  readonly faults: readonly string[];
}

async function look(server: Watched, run: Told): Promise<string> {
  const answer = await server.call("evolve_status", { run: run.id, view: "recent", limit: 50 });
  const { overview, nodes = [] } = statusSchema.parse(answer.structured);
  run.count = Math.max(run.count, overview.nodes);
  for (const node of nodes) run.nodes.set(node.node, node);
  return overview.state;
}

/** Drives a run with everything that it says noted; true when it has ended, false when the server was killed under it. */
async function drive(server: Watched, run: Told): Promise<boolean> {
  const looks: Promise<unknown>[] = [];
  try {
    await server.finish("evolve_run", { run: run.id }, (message) => {
      const counted = /\b(\d+) evaluations\b/.exec(message)?.[1];
      if (counted !== undefined) run.count = Math.max(run.count, Number(counted));
      looks.push(look(server, run).catch(() => undefined));
    });
    await look(server, run);
    return true;
  } catch (error) {
    if (server.alive()) throw error;
    return false;
  } finally {
    await Promise.all(looks);
  }
}

/** What the store of a killed server lacks. */
function faultsOf(home: string, runs: readonly Told[]): string[] {
  const store = openStore(home);
  try {
    return runs.flatMap((run) => {
      const kept = store.graph.nodes(run.id);
      const faults = [...run.nodes.values()].flatMap((seen) => {
        const node = store.graph.node(seen.node);
        if (node === undefined) return [`node ${seen.node} (step ${seen.step}) is lost`];
        const same =
          node.step === seen.step &&
          node.verdict === seen.verdict &&
          node.evaluation === seen.evaluation &&
          Math.abs(node.fitness - seen.fitness) <= 1e-3 * seen.fitness;
        const whole =
          store.evaluations.get(node.evaluation) !== undefined &&
          store.graph.source(node.candidate) !== undefined;
        return [
          ...(same
            ? []
            : [`node ${seen.node} is another: ${JSON.stringify(node)} was ${JSON.stringify(seen)}`]),
          ...(whole ? [] : [`node ${seen.node} has lost its evaluation or source`]),
        ];
      });
      if (kept.length < run.count) faults.push(`${run.count} nodes were told of, ${kept.length} are kept`);
      if (kept.length > NODES) faults.push(`${kept.length} nodes in a budget of ${NODES}`);
      if (kept.some((node, index) => node.step !== index)) faults.push("its steps have a gap");
      return faults.map((fault) => `run ${run.id}: ${fault}`);
    });
  } finally {
    store.close();
  }
}

async function newRun(server: Watched, problem: string, seed: number): Promise<Told> {
  const budget = { nodes: NODES, device_seconds: DEVICE_SECONDS };
  const answer = await server.call("evolve_start", { problem, seed, ...budget });
  const { run } = statusSchema.parse(answer.structured).overview;
  return { id: run, nodes: new Map(), count: 0, finished: false };
}

/** Resolves when more nodes were told of than now. */
async function toldOfMore(run: Told): Promise<void> {
  const before = run.count;
  while (run.count <= before && !run.finished) await sleep(20);
}

/**
 * Kills the server `kills` times at random moments of a run, each time looks at what is left of it and goes on with another
 * server, and at last lets every run come to its end.
 */
export async function killRounds(kills: number, say: (text: string) => void): Promise<KillReport> {
  using place = new Place();
  const faults: string[] = [];
  const runs: Told[] = [];
  let acknowledged = 0;
  let problem: string;
  {
    using server = await Watched.start(place);
    problem = await smallProblem(server);
    await server.close();
  }
  for (let kill = 1; kill <= kills; ) {
    using server = await Watched.start(place);
    let run = runs.at(-1);
    if (run === undefined || run.finished) {
      run = await newRun(server, problem, kill);
      runs.push(run);
    }
    const moment = randomInt(LATEST_MS);
    const driven = drive(server, run);
    // Every other kill comes after this server has told of something, however slow the machine is.
    if (kill % 2 === 0) await Promise.race([driven, toldOfMore(run)]);
    run.finished = await Promise.race([driven, sleep(moment, false)]);
    if (run.finished) {
      // It ended before its time had come: another one is killed instead.
      await server.close();
      continue;
    }
    server.kill("SIGKILL");
    await server.ended;
    await driven;
    await server.quiet();
    acknowledged += run.nodes.size;
    const found = faultsOf(place.home, runs);
    faults.push(...found.map((fault) => `kill ${kill}, after ${moment} ms: ${fault}`));
    say(`kill ${kill} after ${moment} ms: ${run.nodes.size} nodes told of, ${found.length} faults`);
    kill += 1;
  }
  {
    using server = await Watched.start(place);
    for (const run of runs) {
      await drive(server, run);
      const state = await look(server, run);
      run.finished = state === "finished" && run.count === NODES;
      if (!run.finished) faults.push(`run ${run.id} ended ${state} with ${run.count} nodes of ${NODES}`);
    }
    await server.close();
  }
  faults.push(...faultsOf(place.home, runs).map((fault) => `at the end: ${fault}`));
  const store = openStore(place.home);
  for (const { id } of runs) {
    const left = store.graph.unarchived(id).length;
    if (left > 0) faults.push(`run ${id}: ${left} nodes are not in the archive`);
  }
  store.close();
  const finished = runs.filter((run) => run.finished).length;
  return { kills, runs: runs.length, acknowledged, finished, faults };
}
