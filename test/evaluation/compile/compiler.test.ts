import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { disassemble } from "../../../src/evaluation/compile/assembly.ts";
import { type Compiled, type CompileRequest, compile } from "../../../src/evaluation/compile/compiler.ts";
import { which } from "../../../src/platform/which.ts";
import { context, testFolder, toolchain } from "../fixtures.ts";

const folder = testFolder("compile");
beforeAll(() => {
  process.env["KERNELEVOLVE_CACHE"] = join(folder, "cache");
});

const HEADER = "#include <stdint.h>\nvoid kernel(const float *x, float *y, int64_t N);\n";
const SHIM =
  '#include "kernel.h"\nvoid ke_entry(void *const *b, const int64_t *a) { kernel(b[0], b[1], a[0]); }\n';
const GOOD =
  '#include "kernel.h"\nvoid kernel(const float *x, float *y, int64_t N) { for (int64_t i = 0; i < N; i++) y[i] = x[i]; }\n';

function request(source: string, more: Partial<CompileRequest> = {}): CompileRequest {
  return { toolchain, source, header: HEADER, shim: SHIM, flags: ["-O2"], machine: "test", ...more };
}
const build = (source: string, more: Partial<CompileRequest> = {}): Promise<Compiled> =>
  compile(request(source, more), context);
const jobs = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith("kernelevolve-job-"));

describe("compiling", () => {
  it("makes a shared object once; the same request is answered from the cache", async () => {
    const first = await build(GOOD);
    expect(first).toMatchObject({ ok: true, cached: false });
    expect(existsSync(first.object)).toBe(true);
    expect(first.bytes).toBeGreaterThan(1000);
    expect(first.toolchain).toMatch(/gcc/);
    expect(await build(GOOD)).toMatchObject({ ok: true, cached: true, object: first.object });
    const other = await Promise.all([
      build(`${GOOD} `),
      build(GOOD, { flags: ["-O3"] }),
      build(GOOD, { machine: "another" }),
    ]);
    expect(new Set([first.key, ...other.map((one) => one.key)]).size).toBe(4);
    expect(other.every((one) => one.ok && !one.cached)).toBe(true);
  });

  it("does not trust a damaged cache entry", async () => {
    const made = await build(`${GOOD}//damaged\n`);
    writeFileSync(made.object.replace(/\.so$/, ".json"), "{");
    expect(await build(`${GOOD}//damaged\n`)).toMatchObject({ ok: true, cached: false });
  });

  it("answers what the compiler says, without folders of this machine and without control characters", async () => {
    const made = await build('#include "kernel.h"\nint kernel = "\u001b[31m";\n#error "\u0007bell"\n');
    expect(made.ok).toBe(false);
    expect(made.log).toMatch(/^kernel\.c:2/m);
    expect(made.log).not.toContain(tmpdir());
    expect(made.log).not.toContain("/w/");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must be gone
    expect(made.log).not.toMatch(/[\u0000-\u0008\u001b\u0007]/);
    expect(made.command).not.toContain("/w");
    expect(
      await build('#include "kernel.h"\nint kernel = "\u001b[31m";\n#error "\u0007bell"\n'),
    ).toMatchObject({
      ok: false,
      cached: true,
    });
  });

  it("tells a missing definition by the linker's words", async () => {
    // A shared object may leave a symbol open; the prototype may not be another one.
    const made = await build('#include "kernel.h"\nvoid kernel(float *y) { y[0] = 1; }\n');
    expect(made.ok).toBe(false);
    expect(made.log).toMatch(/conflicting types for .kernel./);
  });

  it.each([
    ["/etc/shadow", '#include "/etc/shadow"'],
    ["/etc/passwd", '#include "/etc/passwd"'],
    ["a file of the home folder", `#include "${process.env["HOME"] ?? "/root"}/.profile"`],
    ["the package's own files", `#include "${join(process.cwd(), "package.json")}"`],
  ])("cannot include %s", async (_what, line) => {
    const made = await build(`${line}\n${GOOD}`);
    expect(made.ok).toBe(false);
    expect(made.log).toMatch(/No such file or directory|Permission denied/);
    expect(made.log).not.toMatch(/root:|"dependencies"/);
  });

  it("cannot take a file of the machine into its data", async () => {
    const made = await build(`__asm__(".incbin \\"/etc/passwd\\"");\n${GOOD}`);
    expect(made.ok).toBe(false);
    expect(made.log).toMatch(/file not found: \/etc\/passwd|can't open|No such file/i);
  });

  it("keeps a bounded part of gigantic output", async () => {
    const lines = Array.from({ length: 20_000 }, (_, index) => `#error ${index} ${"x".repeat(60)}`);
    const made = await build(lines.join("\n"));
    expect(made.ok).toBe(false);
    expect(made.log.length).toBeLessThan((1 << 20) + 200);
  });

  it("ends what takes too long, and does not remember it", async () => {
    const levels = Array.from({ length: 30 }, (_, n) => `#define X${n + 1} X${n} X${n} X${n} X${n}`);
    const bomb = `#define X0 x+\n${levels.join("\n")}\nint kernel(void) { int x = 0; return X30 0; }\n`;
    const limits = { seconds: 2, memoryBytes: 2 ** 30 };
    const made = await build(bomb, { limits });
    expect(made.ok).toBe(false);
    expect(made.log).toMatch(/did not end within 2 s|used up its 1\.0 GiB of memory or 2 s/);
    expect(existsSync(made.object.replace(/\.so$/, ".json"))).toBe(false);
  });

  it("ends what takes too much memory, and does not remember it", async () => {
    const bomb = `char big[1u << 30] = {1};\nchar more[1u << 30] = {[(1u << 30) - 1] = 1};\n${GOOD}`;
    const made = await build(bomb, { limits: { seconds: 20, memoryBytes: 256 << 20 } });
    expect(made.ok).toBe(false);
    expect(existsSync(made.object.replace(/\.so$/, ".json"))).toBe(false);
  });

  it("leaves no job folder behind, also when cancelled", async () => {
    const before = new Set(jobs());
    const abort = new AbortController();
    const running = compile(request(`${GOOD}//cancelled\n`), {
      signal: abort.signal,
      report: () => undefined,
    });
    setTimeout(() => abort.abort(), 20);
    await expect(running).rejects.toMatchObject({ code: "cancelled" });
    expect(jobs().filter((name) => !before.has(name))).toEqual([]);
  });

  it.runIf(which("objdump") !== undefined)("shows the code as assembly", async () => {
    const text = await disassemble(await build(GOOD), context);
    expect(text).toMatch(/<kernel>:/);
    expect(text).toMatch(/\bret\b/);
    expect(text).not.toContain("/w/");
  });

  it("names a compiler that is not there", async () => {
    const missing = { ...toolchain, program: "no-such-compiler" };
    await expect(build(GOOD, { toolchain: missing })).rejects.toMatchObject({ code: "missing_tool" });
  });
});
