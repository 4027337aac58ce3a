import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { LintIssue, LintReport } from "../../src/domain/index.ts";
import type { DocumentRoot } from "../../src/knowledge/index.ts";
import { lintDocuments } from "../../src/knowledge/lint/lint.ts";
import { snippetsOf } from "../../src/knowledge/lint/snippets.ts";
import { document, specsOf, work } from "./library.ts";

let home = "";
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "kernelevolve-lint-"));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

function put(name: string, text: string): void {
  const file = join(home, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
function lint(compile = true): Promise<LintReport> {
  const root: DocumentRoot = { path: home, layout: "targets", trusted: true };
  return lintDocuments([root], specsOf({ nvidia: [], amd: [] }), { compile }, work());
}
const rules = (issues: readonly LintIssue[]): string[] =>
  issues.map((issue) => `${issue.rule}:${issue.line}`);
const page = (body: string, more: Partial<Parameters<typeof document>[0]> = {}): string =>
  document({ title: "Page", target: "nvidia", body, ...more });

test("a document as it should be has no issues", async () => {
  put(
    "nvidia/page.md",
    page(
      "## Part\n\nSee [the other](other.md#part-one), {{limits.registers_per_sm}}.\n\n```c compile\nint f(void) { return 1; }\n```",
    ),
  );
  put("nvidia/other.md", page("## Part one\n\nOther words.", { title: "Other" }));
  const report = await lint();
  expect(report.issues).toEqual([]);
  expect(report).toMatchObject({ documents: 2, snippets: { compiled: 1, skipped: 0 } });
});

test("what a run taught has its evaluation for a source, in one's own documents only", async () => {
  const url = "https://example.com/guide";
  put("nvidia/a.md", page("x").replace(url, "somewhere"));
  put(
    "nvidia/b.md",
    page("y", { title: "B" })
      .replace(/^( *- title: ).*$/m, "$1run run_1a, evaluation eval_2-b, a device")
      .replace(url, "none"),
  );
  const own: DocumentRoot = { path: home, layout: "targets", trusted: false };
  const found = await lintDocuments([own], specsOf({ nvidia: [], amd: [] }), { compile: false }, work());
  expect(found.issues.map(({ file, level, rule }) => [file.slice(-4), level, rule])).toEqual([
    ["a.md", "warning", "sources"],
  ]);
  expect((await lint()).issues.filter((issue) => issue.level === "error")).toHaveLength(2);
});

test("front matter, targets, sources and titles are checked, with lines", async () => {
  put("nvidia/a.md", "# nothing\n");
  put("nvidia/b.md", page("x", { kind: "memories" }));
  put("nvidia/c.md", page("x", { title: "C", target: "amd" }));
  put("nvidia/d.md", page("x", { title: "D", target: "nobody" }));
  put("nvidia/e.md", page("x", { title: "E" }).replace("https://example.com/guide", "somewhere"));
  put("nvidia/f.md", page("x", { title: "F" }).replace("# F", "# G"));
  put("nvidia/g.md", page("## a\n\n#### b\n\nx\n\n# Second\n", { title: "H" }));
  const by = Object.groupBy((await lint()).issues, (issue) => issue.file.slice(home.length + 1));
  expect(rules(by["nvidia/a.md"] ?? [])).toEqual(["front-matter:1"]);
  expect(rules(by["nvidia/b.md"] ?? [])).toEqual(["front-matter:4"]);
  expect(by["nvidia/c.md"]?.[0]?.message).toContain("is in the folder of nvidia");
  expect(by["nvidia/d.md"]?.map((issue) => issue.message).join()).toContain('no target "nobody"');
  expect(rules(by["nvidia/e.md"] ?? [])).toEqual(["sources:1"]);
  expect(rules(by["nvidia/f.md"] ?? [])).toEqual(["title:13"]);
  expect(rules(by["nvidia/g.md"] ?? []).toSorted()).toEqual(["headings:17", "title:21"]);
});

test("dead links and references are errors at their line; those in code are none", async () => {
  put(
    "nvidia/page.md",
    page(
      "[gone](gone.md) and [no heading](page.md#nowhere) and [out](https://x.org/y.md).\n\n`[x](y.md)` {{limits.none}} {{amd:limits.registers_per_sm}}\n\n```c\n// [x](y.md)\n```",
    ),
  );
  const { issues } = await lint();
  expect(issues.map((issue) => [issue.rule, issue.line, issue.level])).toEqual([
    ["link", 15, "error"],
    ["link", 15, "warning"],
    ["reference", 17, "error"],
  ]);
});

test("sections that say nearly the same are found, other ones not", async () => {
  const text =
    "Each bank serves one word a cycle, so threads that touch different words of one bank are served one after the other. ".repeat(
      4,
    );
  put("nvidia/a.md", page(`## Banks\n\n${text}`, { title: "A" }));
  put("amd/b.md", page(`## Banks of it\n\n${text} And a little more.`, { title: "B", target: "amd" }));
  put(
    "amd/c.md",
    page(
      "## Else\n\nWavefronts hide the latency of memory by running others meanwhile, as many as registers allow, and no more than eight a unit on this device in all cases that matter here.",
      { title: "C", target: "amd" },
    ),
  );
  const { issues } = await lint();
  expect(issues.map((issue) => issue.rule)).toEqual(["duplicate"]);
});

test("snippets marked compile must compile; others are not tried; flags are those of a list", async () => {
  put(
    "nvidia/page.md",
    page(
      "```c compile\nint f(void) { return x; }\n```\n\n```c\nint broken(\n```\n\n```python compile\ndef f(:\n```\n\n```c compile flags=-fplugin=/tmp/x.so\nint a;\n```\n\n```cpp compile flags=-fopenmp\n#include <vector>\nstd::vector<int> v;\n```\n\n```\nplain\n```\n\n```rust compile\nfn main() {}\n```",
    ),
  );
  const report = await lint();
  const of = (rule: string): string[] =>
    report.issues.filter((issue) => issue.rule === rule).map((issue) => issue.message);
  expect(of("snippet")).toEqual([
    expect.stringContaining("undeclared"),
    expect.stringContaining("SyntaxError"),
    expect.stringContaining("-fplugin=/tmp/x.so is not one"),
  ]);
  expect(of("fence")).toHaveLength(1);
  expect(report.snippets.skipped).toBe(1);
  expect((await lint(false)).issues.filter((issue) => issue.rule === "snippet")).toEqual([]);
});

test("compiling writes nothing beside the documents and runs nothing", async () => {
  put("nvidia/page.md", page('```python compile\nopen("ran", "w").write("x")\n```'));
  expect((await lint()).issues).toEqual([]);
  expect(existsSync(join(home, "nvidia", "ran")) || existsSync("ran")).toBe(false);
});

test("snippets know their lines, flags and language", () => {
  const found = snippetsOf("a\n\n````md\n```c\n````\n\n```c compile flags=-mavx2,-mfma\nint x;\n```\n");
  expect(
    found.map(({ language, compile, flags, line, end }) => ({ language, compile, flags, line, end })),
  ).toEqual([
    { language: "md", compile: false, flags: [], line: 3, end: 5 },
    { language: "c", compile: true, flags: ["-mavx2", "-mfma"], line: 7, end: 9 },
  ]);
});

test("a folder without documents is an error", async () => {
  await expect(lint()).rejects.toMatchObject({ code: "not_found" });
});
