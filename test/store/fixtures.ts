import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Claim, EvaluationRecord, Node, Run } from "../../src/domain/index.ts";
import { sha256 } from "../../src/platform/hash.ts";
import type { NewNode } from "../../src/store/index.ts";

/** A folder that is gone when the test ends. */
export class Folder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "ke-store-"));

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

export function runOf(id: string, more: Partial<Run> = {}): Run {
  return {
    id,
    problem: "scale@0123456789ab",
    target: "cpu-test",
    abstraction: "c",
    baseline: "reference",
    policy: "greedy",
    policy_params: {},
    budget: { nodes: 1000 },
    seed: 0,
    state: "open",
    created_at: "2026-01-01T00:00:00.000Z",
    ...more,
  };
}

export function claimOf(id: string, run: string, more: Partial<Claim> = {}): Claim {
  return {
    id,
    run,
    parents: [],
    phase: "expand",
    island: 0,
    proposer: "tester",
    created_at: new Date().toISOString(),
    expires_at: new Date(Date.now() + 60_000).toISOString(),
    state: "open",
    ...more,
  };
}

export function newNode(id: string, run: string, more: Partial<Node> = {}, source = `int ${id};`): NewNode {
  return {
    node: {
      id,
      run,
      parents: [],
      operator: "agent",
      rationale: `made ${id}`,
      candidate: sha256(source),
      evaluation: `eval_${id}`,
      verdict: "passed",
      status: "ok",
      fitness: 1,
      reasons: [],
      island: 0,
      proposer: "tester",
      device_seconds: 0.5,
      created_at: "2026-01-01T00:00:01.000Z",
      ...more,
    },
    source,
    dedup: sha256(source),
  };
}

export function recordOf(id: string, more: Partial<EvaluationRecord> = {}): EvaluationRecord {
  return {
    id,
    candidate: sha256(id),
    problem: "scale@0123456789ab",
    target: "cpu-test",
    abstraction: "c",
    verdict: "passed",
    status: "ok",
    reasons: [],
    speedups: [],
    stages: {},
    sandbox: "full",
    device: "test",
    versions: {},
    created_at: "2026-01-01T00:00:00.000Z",
    cached: false,
    ...more,
  };
}
