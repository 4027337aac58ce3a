import type { Node } from "../../src/domain/run.ts";

/** A node with everything that a test does not care about filled in. */
export function makeNode(step: number, changes: Partial<Node> = {}): Node {
  const fitness = changes.fitness ?? 0;
  return {
    id: `n${step}`,
    run: "run_test",
    step,
    parents: [],
    operator: "agent",
    rationale: `change ${step}`,
    candidate: "c".repeat(64),
    evaluation: `ev${step}`,
    verdict: "passed",
    status: "ok",
    fitness,
    ...(fitness > 0
      ? {
          speedup: {
            baseline: "reference",
            ratio: fitness,
            low: fitness * 0.98,
            high: fitness * 1.02,
            credited: true,
          },
        }
      : {}),
    reasons: [],
    island: 0,
    proposer: "tester",
    device_seconds: 1,
    created_at: "2026-01-01T00:00:00.000Z",
    ...changes,
  };
}

/** A node that failed. */
export function brokenNode(step: number, changes: Partial<Node> = {}): Node {
  return makeNode(step, {
    verdict: "rejected",
    status: "wrong_answer",
    reasons: [{ code: "mismatch", message: "values differ" }],
    ...changes,
  });
}
