import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { packageRoot } from "../../src/platform/paths.ts";
import { benchmarksPage, PAGE, pageFile } from "./page.ts";

const bench = join(packageRoot, "test", "bench");

test("docs/benchmarks.md has the figures that are committed", () => {
  expect(readFileSync(pageFile, "utf8"), "run node test/bench/page.ts").toBe(benchmarksPage());
});

test("the page names every benchmark and every result", () => {
  const [, list = ""] =
    /const benches[^{]*\{([\s\S]*?)\n\};/.exec(readFileSync(join(bench, "run.ts"), "utf8")) ?? [];
  const names = [...list.matchAll(/^ {2}"?([\w-]+)"?[:,]/gm)].map(([, name = ""]) => name);
  expect(Object.keys(PAGE).toSorted()).toEqual(names.toSorted());
  const results = readdirSync(join(bench, "results")).map((name) => name.replace(".json", ""));
  expect(
    Object.values(PAGE)
      .flatMap((one) => one.results)
      .toSorted(),
  ).toEqual(results.toSorted());
});
