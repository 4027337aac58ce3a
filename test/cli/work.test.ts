import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { openStore } from "../../src/store/index.ts";
import { cli } from "./run.ts";

let home: string;
let problem: string;

const REFERENCE = `#include "kernel.h"
void kernel(const real_t *x, real_t *y, int64_t M, int64_t N) {
  for (int64_t i = 0; i < M; i++) {
    real_t sum = 0;
    for (int64_t j = 0; j < N; j++) sum += x[i * N + j];
    y[i] = sum;
  }
}
`;

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "kernelevolve-cli-"));
  problem = join(home, "rows.json");
  writeFileSync(
    problem,
    JSON.stringify({
      definition: {
        name: "rows",
        op_type: "row-reduction",
        axes: { M: { type: "var" }, N: { type: "var" } },
        inputs: { x: { shape: ["M", "N"], dtype: "float32" } },
        outputs: { y: { shape: ["M"], dtype: "float32" } },
        reference_c: REFERENCE,
        cost: { flops: "M*N" },
      },
      workloads: [{ uuid: "timed", axes: { M: 64, N: 512 }, role: "timed" }],
    }),
  );
});
afterAll(() => {
  rmSync(home, { recursive: true, force: true });
});

const overviewSchema = z.object({ run: z.string(), state: z.string(), nodes: z.number() });
const exportedSchema = z.object({
  overview: overviewSchema,
  files: z.array(z.object({ path: z.string(), what: z.string() })),
});

describe("a run on the command line", () => {
  it("is searched, listed, gone on with and reported, each as one JSON document", async () => {
    const out = join(home, "out");
    const budget = ["--budget-nodes", "2", "--budget-seconds", "40", "--seed", "1"];
    const searched = await cli(["evolve", "-p", problem, ...budget, "--out", out, "--json"], { home });
    const { overview, files } = exportedSchema.parse(JSON.parse(searched.stdout));
    expect(overview).toMatchObject({ state: "finished", nodes: 2 });
    // 0 where a speedup is credited, 1 where the machine was too busy to say.
    expect([0, 1]).toContain(searched.code);
    expect(files.map((file) => file.path).every((path) => path.startsWith(out) && existsSync(path))).toBe(
      true,
    );
    const { run } = overview;

    const listed = await cli(["runs", "--json"], { home });
    expect(z.array(overviewSchema).parse(JSON.parse(listed.stdout))).toMatchObject([{ run, nodes: 2 }]);
    expect((await cli(["runs"], { home })).stdout).toContain(`run ${run}: rows@`);

    // Nothing is left of its budget: going on with it changes nothing.
    const again = await cli(["evolve", "--resume", run, "--json"], { home });
    expect(exportedSchema.parse(JSON.parse(again.stdout)).overview).toEqual(overview);

    const report = join(home, "report");
    const told = await cli(["report", run, "--out", report, "--json"], { home });
    expect(told.code).toBe(0);
    const written = exportedSchema.parse(JSON.parse(told.stdout)).files.map((file) => file.path);
    const there = readdirSync(report, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    expect(written.toSorted()).toEqual(there.toSorted());
    expect(readFileSync(join(report, "report.html"), "utf8")).toContain(run);
  }, 120_000);
});

describe("a control", () => {
  it("follows the run, is gone on with when the run is, and stands beside it in the report", async () => {
    const out = join(home, "held");
    const searched = await cli(
      ["evolve", "-p", "row-reduction", "--policy", "greedy", "--budget-nodes", "4", "--budget-seconds", "40"]
        .concat(["--seed", "1", "--memory", "parent", "--prior-kernels", "0", "--control", "best-of-n"])
        .concat(["--out", out, "--json"]),
      { home },
    );
    const form = exportedSchema.extend({
      control: overviewSchema.extend({ policy: z.string(), control_of: z.string() }),
    });
    const { overview, control } = form.parse(JSON.parse(searched.stdout));
    expect(overview.state).toBe("finished");
    expect(control).toMatchObject({ policy: "best-of-n", control_of: overview.run, state: "finished" });
    expect(control.nodes).toBeLessThanOrEqual(overview.nodes);
    expect(readFileSync(join(out, "report.md"), "utf8")).toContain("no feedback, same seed kernels");
    // Both have ended: going on with the run answers the same two.
    const again = await cli(["evolve", "--resume", overview.run, "--json"], { home });
    expect(form.parse(JSON.parse(again.stdout))).toMatchObject({ overview, control });
    const store = openStore(join(home, "data"));
    expect(store.graph.run(overview.run)).toMatchObject({
      memory: "parent",
      prior_kernels: 0,
      control: "best-of-n",
    });
    store.close();
  }, 240_000);

  it.each([
    ["--control", "greedy", "best-of-n"],
    ["--memory", "all", "siblings"],
    ["--prior-kernels", "2", "from 0 to 1"],
    ["--baseline", "eager", "compiler-best"],
    ["--abstraction", "triton", "cpp"],
  ])("%s %s is refused with what there is", async (option, value, said) => {
    const args = ["evolve", "-p", "row-reduction", "--budget-nodes", "2", option, value];
    const { code, stdout, stderr } = await cli(args, { home });
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(said);
  });
});

describe("evaluate", () => {
  it("looks for every file before it measures the first", async () => {
    writeFileSync(join(home, "fine.c"), REFERENCE.replaceAll("real_t", "float"));
    const data = join(home, "unused");
    mkdirSync(data);
    const args = ["evaluate", "-p", "row-reduction", "-c", "fine.c", "missing.c"];
    const { code, stdout, stderr } = await cli(args, { home, env: { KERNELEVOLVE_HOME: data } });
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain("--candidate missing.c");
    expect(stderr).not.toContain("compiling");
  });

  it("that is interrupted ends with 130, its children and its files", async () => {
    const endless = `/* ${Math.random()} */\n${REFERENCE.replaceAll("real_t", "float").replace("{\n", "{\n  for (volatile int i = 0;;) i++;\n")}`;
    writeFileSync(join(home, "endless.c"), endless);
    const tmp = join(home, "tmp");
    mkdirSync(tmp);
    let pid = 0;
    const ended = cli(["evaluate", "-p", "row-reduction", "-c", "endless.c", "--json"], {
      home,
      env: { TMPDIR: tmp, NODE_COMPILE_CACHE: join(home, "compile-cache") },
      begun: (child) => {
        pid = child.pid ?? 0;
      },
    });
    // The judge is its child: its folder says that the candidate is being called.
    const judging = (): boolean => readdirSync(tmp).some((name) => name.startsWith("kernelevolve-judge-"));
    const childrenOf = (): string[] =>
      readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8")
        .split(" ")
        .filter((child) => child !== "");
    let children: string[] = [];
    // The folder is there a moment before the judge is.
    while (!judging() || children.length === 0) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      children = childrenOf();
    }
    process.kill(pid, "SIGINT");
    const { code, stdout, stderr } = await ended;
    expect(code).toBe(130);
    expect(stderr).toContain("what was recorded stays");
    expect(z.object({ error: z.object({ code: z.string() }) }).parse(JSON.parse(stdout)).error.code).toBe(
      "cancelled",
    );
    expect(readdirSync(tmp).filter((name) => !name.endsWith(".lock"))).toEqual([]);
    expect(children.filter((child) => existsSync(`/proc/${child}`))).toEqual([]);
    openStore(join(home, "data")).close();
  }, 60_000);
});

describe("problems", () => {
  it("names the abstractions that there are when asked for another", async () => {
    const { code, stdout, stderr } = await cli(["problems", "matmul", "--abstraction", "cp"], { home });
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(/--abstraction cp is unknown to cpu-x86-64\n {2}fix: did you mean .*cpp/);
  });
});
