import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Knowledge } from "../../src/knowledge/index.ts";
import { packageRoot } from "../../src/platform/paths.ts";
import { document, work } from "./library.ts";

let home = "";
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "kernelevolve-kill-"));
  mkdirSync(join(home, "docs", "t"), { recursive: true });
  for (let n = 0; n < 120; n += 1) {
    const body = Array.from(
      { length: 6 },
      (_, at) => `## Part ${at}\n\nunit_${n}_${at} ${"moves bytes between lanes. ".repeat(30)}\n`,
    ).join("\n");
    writeFileSync(join(home, "docs", "t", `d${n}.md`), document({ title: `D${n}`, target: "any", body }));
  }
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const SCRIPT = (place: string, data: string): string => `
  import { Knowledge } from ${JSON.stringify(join(packageRoot, "src/knowledge/index.ts"))};
  const knowledge = new Knowledge({
    home: ${JSON.stringify(data)},
    roots: [{ path: ${JSON.stringify(place)}, layout: "targets", trusted: true }],
    targets: async () => [],
  });
  const context = { signal: new AbortController().signal, report: (update) => process.stderr.write(update.message + "\\n") };
  process.stderr.write("begin\\n");
  await knowledge.rebuild({ full: true }, context).catch((error) => process.stderr.write(String(error) + "\\n"));
  process.stderr.write("end\\n");
  await knowledge.close();
`;

/** A process that builds the index anew, killed after its `lines`-th line of progress; undefined: left to end. */
function build(lines: number | undefined): Promise<string> {
  return new Promise((resolve) => {
    const child = spawn(
      process.execPath,
      ["--input-type=module", "-e", SCRIPT(join(home, "docs"), join(home, "data"))],
      {
        stdio: ["ignore", "ignore", "pipe"],
        env: { ...process.env, NODE_NO_WARNINGS: "1" },
      },
    );
    let text = "";
    child.stderr.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (lines !== undefined && text.split("\n").length > lines) child.kill("SIGKILL");
    });
    child.on("close", () => resolve(text));
  });
}

async function answers(): Promise<{ hits: string[]; documents: number }> {
  const knowledge = new Knowledge({
    home: join(home, "data"),
    roots: [{ path: join(home, "docs"), layout: "targets", trusted: true }],
    targets: async () => [],
  });
  try {
    const result = await knowledge.search({ query: "unit_77_3" }, work());
    return { hits: result.hits.map((hit) => hit.id), documents: (await knowledge.status())?.documents ?? 0 };
  } finally {
    await knowledge.close();
  }
}

test("killed at any moment, the index answers rightly: the old one, or a new one", async () => {
  let killed = 0;
  for (const lines of [1, 2, 4, 6, 9, 13]) {
    if (!(await build(lines)).includes("end\n")) killed += 1;
    const { hits, documents } = await answers();
    expect(hits[0]).toBe("hardware-docs/t/d77#part-3");
    expect(documents).toBe(120);
    // The next builds begin from nothing now and then.
    if (lines === 4) rmSync(join(home, "data"), { recursive: true });
  }
  expect(killed).toBeGreaterThanOrEqual(4);
});

test("two processes that build at once: one does, the other says so or does it after, nothing is lost", async () => {
  const said = await Promise.all([build(undefined), build(undefined)]);
  for (const text of said) expect(text).toMatch(/end\n$/);
  for (const text of said) if (/Error/.test(text)) expect(text).toMatch(/is building the index already/);
  expect(said.some((text) => !/Error/.test(text))).toBe(true);
  expect((await answers()).documents).toBe(120);
});
