import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { buildProgram } from "../../src/cli/program.ts";
import { doctorReportSchema, evaluationRecordSchema } from "../../src/domain/index.ts";
import { cli } from "./run.ts";

let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "kernelevolve-cli-"));
});
afterAll(() => {
  rmSync(home, { recursive: true, force: true });
});

const ESCAPE = String.fromCharCode(27);
const commands = buildProgram("0").commands.map((command) => command.name());
const errorSchema = z.object({
  error: z.object({ code: z.string(), message: z.string(), fix: z.string().optional() }),
});

describe("help", () => {
  it("of the program names every command and the exit codes", async () => {
    const { code, stdout } = await cli(["--help"], { home });
    expect(code).toBe(0);
    for (const name of commands) expect(stdout).toContain(name);
    expect(stdout).toContain("Exit codes");
  });

  it.each(commands)("of %s says what it does and shows an example", async (name) => {
    const { code, stdout, stderr } = await cli([name, "--help"], { home });
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/Examples?:|claude|mcpServers/i);
    expect(stdout).toContain(`kernelevolve ${name}`);
  });
});

describe("wrong usage", () => {
  it.each([
    [["evalute"], "evaluate"],
    [["evaluate", "--problm", "x"], "--problem"],
    [["evaluate"], "--problem"],
    [["evolve", "-p", "matmul", "--budget-nodes", "many"], "budget-nodes"],
    [["evolve", "-p", "matmul", "--budget-nodes", "-1"], "budget-nodes"],
    [["evolve", "-p", "matmul", "--policy", "beem"], "beam"],
    [["evolve", "-p", "matmul", "--policy", "beam", "--param", "width=wide"], "name=number"],
    [["evolve", "-p", "matmul", "--policy", "beam", "--param", "wdth=3"], "wdth"],
    [["evolve", "-p", "matmul", "--budget-cost", "2"], "--budget-seconds"],
    [["evolve", "--resume", "run_x", "--budget-nodes", "9"], "--budget-nodes does nothing with --resume"],
    [["evolve", "--resume", "run_x", "-t", "cpu-x86-64"], "--target does nothing with --resume"],
    [["demo", "-p", "matmull"], "did you mean matmul"],
    [["demo", "-p", ""], "softmax"],
    [["evolve", "-p", "./not-there.py"], "no such file"],
    [["targets", "cpu-x86"], "cpu-x86-64"],
    [["problems", "matmull"], "matmul"],
    [["evaluate", "-p", "matmul", "-c", "not-there.c"], "not-there.c"],
    [["report", "run_nothing"], "run_nothing"],
    [["docs", "search", "x", "-k", "poems"], "poems"],
    [["docs", "search", ""], "query: is empty"],
    [["docs", "search", "x", "-n", "many"], "--limit"],
    [["docs", "read", "hardware-docs/amd-cdna3/ldss"], "lds"],
  ])("%j is told, with exit code 2 and nothing on stdout", async (args, said) => {
    const { code, stdout, stderr } = await cli(args, { home });
    expect({ code, stdout }, stderr).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(said);
    expect(stderr).not.toMatch(/\n\s+at .*\(/);
  });

  it.each([
    [["report", "run_nothing"], "kernelevolve runs", "evolve_status"],
    [["problems", "nothing-like-it"], "a file or folder with its definition", "problem_register"],
    [["evaluate", "-p", "matmul", "-c", "k.c", "-t", "apple-metal"], "kernelevolve doctor", "target_list"],
  ])("%j: the advice names commands, no tools", async (args, said, unsaid) => {
    writeFileSync(join(home, "k.c"), "void kernel(void) {}\n");
    const { stderr } = await cli(args, { home, cwd: home });
    expect(stderr).toContain(said);
    expect(stderr).not.toContain(unsaid);
  });

  it("a folder that cannot be is told at once, also where one can be read but none made", async () => {
    for (const folder of ["", "/proc/kernelevolve", "/dev/null/x"]) {
      const { code, stdout } = await cli(
        ["evolve", "-p", "row-reduction", "--budget-nodes", "1", "--json", "--out", folder],
        { home },
      );
      expect(code, folder).toBe(2);
      expect(errorSchema.parse(JSON.parse(stdout)).error.message).toContain("--out");
    }
    const { code, stderr } = await cli(["runs"], { home, env: { KERNELEVOLVE_HOME: "/proc/kernelevolve" } });
    expect([code, stderr]).toEqual([1, expect.stringContaining("set KERNELEVOLVE_HOME to a folder")]);
  });

  it("a variable that is set to nothing counts as not set", async () => {
    const folder = mkdtempSync(join(tmpdir(), "kernelevolve-cwd-"));
    const { code } = await cli(["runs"], { home, cwd: folder, env: { KERNELEVOLVE_HOME: "" } });
    expect([code, readdirSync(folder)]).toEqual([0, [".kernelevolve"]]);
    rmSync(folder, { recursive: true });
  });

  it("with --json the error is the one document on stdout", async () => {
    const { code, stdout } = await cli(["targets", "cpu-x86", "--json"], { home });
    expect(code).toBe(2);
    const { error } = errorSchema.parse(JSON.parse(stdout));
    expect(error.code).toBe("not_found");
    expect(error.fix).toContain("did you mean cpu-x86-64");
  });
});

describe("answers", () => {
  it("with --json a wrong option is told there too", async () => {
    const { code, stdout } = await cli(["runs", "x", "--as-of", "abc", "--json"], { home });
    expect(code).toBe(2);
    expect(errorSchema.parse(JSON.parse(stdout)).error.message).toContain("--as-of");
  });

  it("doctor --json is the report, doctor the same for people", async () => {
    const json = await cli(["doctor", "--json"], { home });
    const report = doctorReportSchema.parse(JSON.parse(json.stdout));
    expect(json.code).toBe(0);
    expect(report.targets.find((target) => target.id === "cpu-x86-64")?.usable).toBe(true);
    const { stdout } = await cli(["doctor"], { home });
    expect(stdout).toContain("✓ cpu-x86-64");
    expect(stdout).not.toContain(ESCAPE);
  });

  it.each([
    ["targets", ["targets", "--json"]],
    ["problems", ["problems", "--json"]],
    ["one problem", ["problems", "softmax", "--json"]],
    ["runs", ["runs", "--json"]],
    ["docs list", ["docs", "list", "-t", "cpu-x86-64", "--json"]],
    ["docs search", ["docs", "search", "cache blocking", "--json"]],
    ["docs lint of nothing", ["docs", "lint", "nowhere", "--json"]],
  ])("%s: one JSON document", async (_name, args) => {
    const { stdout, stderr } = await cli(args, { home });
    expect(() => JSON.parse(stdout) as unknown, stderr).not.toThrow();
  });

  it("a reader that has seen enough is no error", async () => {
    const { code, stderr } = await cli(["problems", "--json"], { home, head: 0 });
    expect([code, stderr]).toEqual([0, ""]);
  });
});

describe("evaluate", () => {
  const good = `// ke:flags -O2
#include "kernel.h"
void kernel(const float *x, float *y, int64_t M, int64_t N) {
  for (int64_t i = 0; i < M; i++) {
    double sum = 0;
    for (int64_t j = 0; j < N; j++) sum += x[i * N + j];
    y[i] = (float)sum;
  }
}
`;

  it("answers one record a candidate, in order: right, wrong, not compiling", async () => {
    const files = {
      "good.c": good,
      "wrong.c": good.replace("sum += x", "sum -= x"),
      "broken.c": good.replace("double sum = 0;", "double sum = ;"),
    };
    for (const [name, source] of Object.entries(files)) writeFileSync(join(home, name), source);
    const args = ["evaluate", "-p", "row-reduction", "-c", ...Object.keys(files), "--verify-only", "--json"];
    const { code, stdout, stderr } = await cli(args, { home });
    const records = z.array(evaluationRecordSchema).parse(JSON.parse(stdout));
    expect(records.map((record) => `${record.verdict} ${record.status}`)).toEqual([
      "passed ok",
      "rejected wrong_answer",
      "rejected compile_error",
    ]);
    expect(code).toBe(1);
    expect(stderr).not.toContain(ESCAPE);
    const text = await cli(["evaluate", "-p", "row-reduction", "-c", "good.c", "--verify-only"], { home });
    expect(text.code).toBe(0);
    expect(text.stdout).toContain("good.c: PASSED (ok)");
  }, 60_000);
});
