/**
 * Agents at work on one run, several in this process, as many processes as are started: each claims, makes a child, hands
 * it in, until the run has ended. What an agent was told is written down at once: `node worker.ts '{"home": …}'`.
 */
import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { KernelEvolveError } from "../../../src/domain/errors.ts";
import type { Claim } from "../../../src/domain/run.ts";
import { measuredPart } from "../../../src/evolution/node-from-record.ts";
import { newId } from "../../../src/evolution/starting.ts";
import { sha256 } from "../../../src/platform/hash.ts";
import { openStore } from "../../../src/store/index.ts";
import { recordOf } from "../../evolution/fakes.ts";
import { simulatedEvolution, simulatedOutcomes } from "./simulated.ts";
import { type Told, USAGE, workerSchema } from "./told.ts";

const options = workerSchema.parse(
  z
    .string()
    .transform((text): unknown => JSON.parse(text))
    .parse(process.argv[2]),
);
const store = openStore(options.home);
const evolution = simulatedEvolution(store, options.longest_ms);
const outcome = simulatedOutcomes();
const context = { signal: new AbortController().signal, report: () => undefined };

function tell(told: Told): void {
  appendFileSync(options.told, `${JSON.stringify(told)}\n`);
}

/** A source that no other agent writes. */
function childOf(claim: Claim): string {
  const digits = BigInt(`0x${sha256(claim.id).slice(0, 16)}`);
  return `// ke:flags -O3\nvoid kernel(float *y) { y[0] = ${digits}; }\n`;
}

/** Hands the child in through the service, as `evolve_submit` does. */
async function submit(claim: Claim, agent: string): Promise<void> {
  const { node } = await evolution.submit(
    {
      run: options.run,
      claim: claim.id,
      source: childOf(claim),
      rationale: "a child",
      proposer: agent,
      usage: USAGE,
    },
    context,
  );
  tell({
    kind: "node",
    id: node.id,
    claim: claim.id,
    step: node.step,
    candidate: node.candidate,
    fitness: node.fitness,
  });
}

/** Writes the child by the transaction in which a submission ends, without twins, archive and prompt. */
function insert(claim: Claim, agent: string): void {
  const source = childOf(claim);
  const record = recordOf(source, outcome(source), `eval_${claim.id}`, 1);
  const { node } = store.graph.insertNode({
    node: {
      id: newId("node"),
      run: options.run,
      parents: claim.parents,
      operator: "agent",
      rationale: "a child",
      ...measuredPart(record, "reference"),
      island: claim.island,
      claim: claim.id,
      proposer: agent,
      created_at: new Date().toISOString(),
    },
    source,
    dedup: sha256(source),
  });
  tell({
    kind: "node",
    id: node.id,
    claim: claim.id,
    step: node.step,
    candidate: node.candidate,
    fitness: node.fitness,
  });
}

async function agent(name: string): Promise<void> {
  for (;;) {
    try {
      const { claim } = await evolution.next(options.run, name, {
        token_budget: 0,
        ttl_seconds: options.ttl_seconds,
      });
      tell({ kind: "claim", id: claim.id, parents: claim.parents, island: claim.island, phase: claim.phase });
      if (options.answer === "submit") await submit(claim, name);
      else insert(claim, name);
    } catch (error) {
      if (!(error instanceof KernelEvolveError)) throw error;
      if (error.code === "budget_spent") return;
      // The last places are claimed by others, or this one's time was over: another look, another claim.
      if (error.code !== "conflict" && error.code !== "expired") throw error;
      await sleep(50 + Math.random() * 100);
    }
    // Lets the others of this process have their turn.
    await sleep(0);
  }
}

await Promise.all(Array.from({ length: options.agents }, (_, index) => agent(`${options.name}-${index}`)));
await evolution.close();
store.close();
