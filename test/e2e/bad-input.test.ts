import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Server, startServer } from "./client.ts";

let server: Server;
beforeAll(async () => {
  server = await startServer();
});
afterAll(async () => {
  await server.close();
});

const huge = "x".repeat(10_000_000);
const definition = { name: "p", op_type: "p", axes: {}, inputs: {}, outputs: {} };

/** Tool, arguments, and what the error must name. */
const CASES: [string, Record<string, unknown>, RegExp][] = [
  ["target_list", { extra: 1 }, /unknown argument "extra"/],
  ["target_describe", { target: "../../etc" }, /target: must be a target id/],
  ["target_describe", { target: 7 }, /target:/],
  ["target_describe", { target: "cpu-x86-64\0" }, /target: contains a NUL byte/],
  ["problem_describe", { problem: "matmull" }, /did you mean.*matmul/s],
  ["problem_describe", { problem: huge }, /problem:/],
  ["problem_describe", { problem: "__proto__" }, /is unknown/],
  ["problem_register", {}, /definition: is missing.*give definition and workloads/s],
  ["problem_register", { definition, workloads: [] }, /workloads/],
  [
    "problem_register",
    { definition: { ...definition, axes: { "a;b": { type: "var" } } }, workloads: [{ uuid: "a", axes: {} }] },
    /definition\.axes/,
  ],
  [
    "problem_register",
    { definition: { ...definition, name: "../x" }, workloads: [{ uuid: "a", axes: {} }] },
    /definition\.name/,
  ],
  ["kernel_compile", { problem: "matmul" }, /source: is missing/],
  ["kernel_compile", { problem: "matmul", source: "" }, /source:/],
  ["kernel_compile", { problem: "matmul", source: huge }, /source:/],
  ["kernel_compile", { problem: "matmul", source: "int x;\0" }, /source.*NUL/],
  ["kernel_compile", { problem: "matmul", source: "int x;", abstraction: "triton" }, /abstraction "triton"/],
  ["kernel_compile", { problem: "matmul", source: "// ke:flags -fplugin=/tmp/x.so\nint x;" }, /-fplugin/],
  ["kernel_compile", { problem: "matmul", source: "// ke:flags @/etc/passwd\nint x;" }, /@\/etc\/passwd/],
  ["kernel_compile", { problem: "matmul", source: "// ke:flags -O3;touch\nint x;" }, /-O3;touch/],
  ["kernel_compile", { problem: "matmul", source: "int x;", tunables: { A: "1" } }, /tunables\.A/],
  ["kernel_verify", { problem: "matmul", source: "int x;", workloads: ["nope"] }, /"nope" is not a workload/],
  ["kernel_verify", { problem: "matmul", source: "int x;", wait_seconds: 1000 }, /wait_seconds/],
  [
    "kernel_benchmark",
    { problem: "matmul", source: "int x;", benchmark_seconds: "fast" },
    /benchmark_seconds/,
  ],
  ["kernel_profile", { problem: "matmul", source: ["a"] }, /source:/],
  [
    "kernel_evaluate",
    { problem: "matmul", source: "int x;", sauce: "y" },
    /unknown argument "sauce".*takes.*source/s,
  ],
  ["evolve_start", { problem: "matmul" }, /bound/],
  ["evolve_start", { problem: "matmul", nodes: -1 }, /nodes/],
  ["evolve_start", { problem: "matmul", nodes: 3, policy: "magic" }, /policy/],
  ["evolve_start", { problem: "matmul", nodes: 3, baseline: "none" }, /baseline/],
  ["evolve_next", { run: "run_x" }, /run_x/],
  ["evolve_submit", { run: "run_x", claim: "c", source: "int x;", rationale: "r" }, /run_x/],
  ["evolve_submit", { run: "run_x", claim: "c", source: "int x;" }, /rationale: is missing/],
  ["evolve_status", { run: "'; DROP TABLE nodes; --" }, /run: must be a run id/],
  ["evolve_status", { node: "n" }, /node/],
  ["evolve_run", { run: "run_x" }, /run_x/],
  ["evolve_run", { run: "run_x", driver: "magic" }, /driver/],
  ["evolve_export", { run: "run_x", directory: "/etc" }, /run_x|outside/],
  ["job_wait", { job_id: "job_x" }, /job_x/],
  ["job_cancel", {}, /job_id.*missing/],
  ["artifact_read", { artifact: "../../etc/passwd" }, /artifact: must be an artifact id/],
  ["artifact_read", { artifact: "art_00000000000000000000000000000000", offset: -1 }, /offset/],
];

test.each(CASES)("%s %#: a clear error that names the argument", async (tool, args, expected) => {
  const answer = await server.call(tool, args);
  expect(answer.text.slice(0, 600)).toMatch(expected);
  expect(answer.isError).toBe(true);
  expect(answer.text.length).toBeLessThan(4000);
  expect(answer.text).not.toMatch(/\n\s+at .*\(/);
});

test("an unknown tool is an error and the server goes on", async () => {
  await expect(server.call("kernel_destroy", {})).rejects.toThrow(/kernel_destroy/);
  expect((await server.call("target_list", {})).isError).toBe(false);
});

test("an export outside the allowed folders writes nothing", async () => {
  const run =
    /run_[a-z0-9]+/.exec((await server.call("evolve_start", { problem: "softmax", nodes: 1 })).text)?.[0] ??
    "";
  for (const directory of ["/etc/kernelevolve", "../../../../etc/kernelevolve", "/tmp/elsewhere\0x"]) {
    const answer = await server.call("evolve_export", { run, directory });
    expect(answer.isError).toBe(true);
    expect(answer.text).toMatch(/directory/);
  }
  expect(existsSync("/etc/kernelevolve")).toBe(false);
});

test("nothing but the store was written", () => {
  const entries = readdirSync(join(server.home, ".kernelevolve")).filter(
    (name) => !name.startsWith("state.db"),
  );
  expect(entries.filter((name) => !["artifacts", "archive.git", "exports"].includes(name))).toEqual([]);
  expect(readdirSync(server.home)).toEqual([".kernelevolve"]);
});
