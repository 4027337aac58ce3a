import { existsSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { type Server, startServer } from "./client.ts";

let server: Server;
beforeAll(async () => {
  server = await startServer();
});
afterAll(async () => {
  await server.close();
});

const overview = z.object({
  overview: z.object({
    run: z.string(),
    state: z.string(),
    nodes: z.number(),
    best: z.object({ node: z.string(), evaluation: z.string(), fitness: z.number() }).nullable(),
  }),
});

const CANDIDATE = `// ke:flags -O3 -march=native -ffast-math
#include "kernel.h"
void kernel(const float *x, float *y, int64_t M, int64_t N) {
  for (int64_t i = 0; i < M; i++) {
    float sum = 0;
    for (int64_t j = 0; j < N; j++) sum += x[i * N + j];
    y[i] = sum;
  }
}
`;

test("the tool list is complete, sorted and small", async () => {
  const { tools } = await server.client.listTools();
  expect(tools.map((tool) => tool.name)).toEqual([
    "artifact_read",
    "evolve_export",
    "evolve_next",
    "evolve_run",
    "evolve_start",
    "evolve_status",
    "evolve_submit",
    "job_cancel",
    "job_wait",
    "kernel_benchmark",
    "kernel_compile",
    "kernel_evaluate",
    "kernel_profile",
    "kernel_verify",
    "knowledge_add",
    "knowledge_read",
    "knowledge_search",
    "problem_describe",
    "problem_register",
    "target_describe",
    "target_list",
  ]);
  for (const tool of tools) {
    expect(tool.description?.length).toBeLessThan(2048);
    expect(Object.keys(tool.annotations ?? {})).toEqual(
      expect.arrayContaining(["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"]),
    );
  }
});

test("one kernel: compile, verify, benchmark, and from the cache the second time", async () => {
  const args = { problem: "row-reduction", source: CANDIDATE, benchmark_seconds: 3 };
  const first = await server.finish("kernel_evaluate", args);
  const record = z.object({
    record: z.looseObject({ verdict: z.string(), status: z.string(), cached: z.boolean(), id: z.string() }),
  });
  const made = record.parse(first.structured).record;
  expect(made.verdict).toBe("passed");
  expect(["ok", "too_noisy"]).toContain(made.status);
  expect(JSON.stringify(first.structured).length).toBeLessThan(8192);
  const page = await server.call("artifact_read", { artifact: made.id, limit: 64_000 });
  expect(page.text).toContain('"stages"');
  if (made.status === "ok") {
    const again = record.parse((await server.finish("kernel_evaluate", args)).structured).record;
    expect(again.cached).toBe(true);
    expect(again.id).toBe(made.id);
  }
});

test("assembly and compiler errors", async () => {
  const good = await server.finish("kernel_compile", { problem: "row-reduction", source: CANDIDATE });
  const assembly = /"assembly":"(art_[0-9a-f]+)"/.exec(JSON.stringify(good.structured))?.[1] ?? "";
  expect((await server.call("artifact_read", { artifact: assembly })).text).toMatch(/vadd|addps|addss/);
  const bad = await server.finish("kernel_compile", {
    problem: "row-reduction",
    source: "int kernel(void) { return 0 }",
  });
  expect(bad.text).toContain("REJECTED (compile_error)");
  expect(bad.text).toMatch(/kernel\.c:\d+/);
  expect(bad.text).not.toContain("/tmp/");
});

test("a run: draft, an agent's child, tuning by the server, and the exported proof", async () => {
  const started = overview.parse(
    (await server.call("evolve_start", { problem: "row-reduction", nodes: 7, seconds: 60, seed: 7 }))
      .structured,
  );
  const run = started.overview.run;
  // The draft phase may outlast one call: then a job is answered, and the claim comes with the next call.
  let expansion: { claim: string; prompt: string } | undefined;
  while (expansion === undefined) {
    const answer = await server.call("evolve_next", { run, wait_seconds: 40 });
    expect(answer.isError, answer.text).toBe(false);
    expansion = z.object({ claim: z.string(), prompt: z.string() }).safeParse(answer.structured).data;
  }
  expect(expansion.prompt).toContain("void kernel(");
  const child = {
    run,
    claim: expansion.claim,
    source: `${CANDIDATE}/* child */\n`,
    rationale: "plain sum, vectorised by gcc",
    benchmark_seconds: 2,
  };
  const submitted = await server.finish("evolve_submit", child);
  const node = z.object({ node: z.object({ node: z.string() }) }).parse(submitted.structured).node.node;
  // The same claim again answers the same node.
  const repeated = await server.finish("evolve_submit", child);
  expect(z.object({ node: z.object({ node: z.string() }) }).parse(repeated.structured).node.node).toBe(node);
  const driven = overview.parse(
    (await server.finish("evolve_run", { run, wait_seconds: 30 })).structured,
  ).overview;
  expect(driven.state).toBe("finished");
  expect(driven.nodes).toBeLessThanOrEqual(7);
  expect(driven.nodes).toBeGreaterThanOrEqual(6);
  const status = await server.call("evolve_status", { run, view: "recent" });
  expect(status.isError).toBe(false);
  expect(status.text).toContain("«naive: A plain sum; -ffast-math lets gcc vectorise it.»");
  const exported = z
    .object({ files: z.array(z.object({ path: z.string(), what: z.string() })) })
    .parse((await server.finish("evolve_export", { run })).structured);
  const report = exported.files.find((file) => file.path.endsWith("report.html"));
  expect(report !== undefined && existsSync(report.path)).toBe(true);
  if (report !== undefined) expect(readFileSync(report.path, "utf8")).toContain("<svg");
  expect(server.progress.length).toBeGreaterThan(0);
  // What the run found is in the knowledge for the next one, as a kernel with its facts.
  const found = await server.call("knowledge_search", { query: "row-reduction kernel", kinds: ["kernel"] });
  const kernels = z
    .object({ hits: z.array(z.object({ id: z.string(), passage: z.string() })) })
    .parse(found.structured);
  expect(kernels.hits.some((hit) => hit.id.startsWith("user/cpu-x86-64/"))).toBe(true);
}, 240_000);

test("a problem of one's own is graded; a degenerate one earns no credit", async () => {
  const definition = {
    name: "nothing",
    op_type: "nothing",
    axes: { N: { type: "var" } },
    inputs: { x: { shape: ["N"], dtype: "float32" } },
    outputs: { y: { shape: ["N"], dtype: "float32" } },
    reference_c:
      '#include "kernel.h"\nvoid kernel(const real_t *x, real_t *y, int64_t N) { for (int64_t i = 0; i < N; i++) y[i] = 0 * x[i]; }\n',
  };
  const answer = await server.finish("problem_register", {
    definition,
    workloads: [{ uuid: "a", axes: { N: 1000 } }],
  });
  expect(answer.text).toContain("degenerate");
  expect(z.object({ degenerate: z.boolean() }).parse(answer.structured).degenerate).toBe(true);
});
