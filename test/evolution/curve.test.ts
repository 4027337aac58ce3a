import { expect, test } from "vitest";
import { bestAt, curveOf } from "../../src/evolution/export/curve.ts";
import { context, type Outcome, World } from "./fakes.ts";
import { brokenNode, makeNode } from "./nodes.ts";

test("a curve has the improving nodes alone, each with what had been spent on all before it", () => {
  const at = (step: number): string => new Date(Date.UTC(2026, 0, 1, 0, 0, step)).toISOString();
  const nodes = [
    brokenNode(0, { device_seconds: 0.5, created_at: at(0) }),
    makeNode(1, { fitness: 2, created_at: at(1) }),
    makeNode(2, { fitness: 1.5, created_at: at(2) }),
    makeNode(3, { fitness: 3, device_seconds: 4, created_at: at(3) }),
    makeNode(4, { fitness: 3, created_at: at(4) }),
  ];
  const charges = [0, 1, 3, 4].map((step) => ({ at: at(step), tokens: 100, cost: 0.5 }));
  const until = (moment: string) => {
    const so = charges.filter((one) => one.at <= moment).length;
    return { tokens: 100 * so, cost: 0.5 * so };
  };
  const curve = curveOf(nodes, until, { tokens: 400, cost: 2 });
  expect(curve.improvements.map(({ node, ...rest }) => [node.step, rest])).toEqual([
    [1, { nodes: 2, device_seconds: 1.5, tokens: 200, cost: 1 }],
    [3, { nodes: 4, device_seconds: 6.5, tokens: 300, cost: 1.5 }],
  ]);
  expect(curve.spent).toEqual({ nodes: 5, device_seconds: 7.5, tokens: 400, cost: 2 });
  expect(bestAt(curve, "nodes", 1)).toBeUndefined();
  expect(bestAt(curve, "nodes", 3)?.step).toBe(1);
  expect(bestAt(curve, "device_seconds", 6.4)?.step).toBe(1);
  expect(bestAt(curve, "tokens", 300)?.step).toBe(3);
});

test("the report has a curve over each thing that was paid for", async () => {
  const judge = (source: string): Outcome =>
    source.includes("wrong")
      ? { status: "wrong_answer", message: "values differ" }
      : { ratio: Number(/return ([0-9.]+)/.exec(source)?.[1] ?? 1) };
  await using world = new World(judge);
  const start = { problem: "scale", target: "cpu-test", budget: { nodes: 9 } };
  const free = await world.evolution.start(start);
  const paid = await world.evolution.start({ ...start, budget: { tokens: 10_000, cost: 9 } });
  for (const source of ["return 2.0;", "wrong 1", "int wrong_too(void);", "return 3.0;"]) {
    for (const run of [free, paid]) {
      const { claim } = await world.evolution.next(run.id, "tester");
      await world.evolution.submit(
        {
          run: run.id,
          claim: claim.id,
          source,
          rationale: source,
          proposer: "tester",
          ...(run === paid ? { usage: { input_tokens: 900, output_tokens: 100, cost: 0.25 } } : {}),
        },
        context,
      );
    }
  }
  const [page, without] = await Promise.all(
    [paid, free].map((run) => world.evolution.report(run.id, "html", context)),
  );
  for (const title of ["seconds of device time", "tokens of models", "cost of models"])
    expect(page).toContain(`Best speedup over ${title}`);
  expect(page).toContain("was reached after 4000 of 4000 tokens of models");
  expect(without).toContain("Best speedup over seconds of device time");
  expect(without).not.toContain("tokens of models");
  const text = await world.evolution.report(paid.id, "markdown", context);
  expect(text).toMatch(/\| 4 \| 3\.00× \[[^\]]+\] over reference \| step 3 \| [^|]+ \| 4000 \| 1\.00 \|/);
  // What failed, by reason, with how often.
  expect(text).toContain("## What failed");
  expect(text).toMatch(/\| wrong answer \| wrong\\_answer \| 2 \| step 1: values differ \|/);
  expect(await world.evolution.report(free.id, "markdown", context)).not.toContain("tokens then");
});
