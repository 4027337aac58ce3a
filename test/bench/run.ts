/** Measures of the machinery: `npm run bench` runs all, `npm run bench -- aa` one; results go to test/bench/results/. */
import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../../src/platform/paths.ts";
import { aa, sensitivity } from "./aa.ts";
import { coldStart } from "./cold-start.ts";
import { overhead } from "./overhead.ts";
import { benchmarksPage, pageFile } from "./page.ts";

/** A benchmark that is a script of its own. */
function script(name: string): () => Promise<void> {
  return async () => {
    const file = join(packageRoot, "test", "bench", name);
    if (!existsSync(file)) throw new Error(`${file} is missing`);
    const result = spawnSync(process.execPath, [file], { stdio: "inherit" });
    if (result.status !== 0) throw new Error(`${name} failed`);
  };
}

const benches: Record<string, () => Promise<void>> = {
  "cold-start": coldStart,
  overhead,
  "store-queries": script("store-queries.ts"),
  kills: script("kills.ts"),
  "agents-kill": script("agents-kill.ts"),
  search: script("search.ts"),
  "search-scale": script("search-scale.ts"),
  retrieval: script("retrieval/run.ts"),
  "retrieval-scale": script("retrieval/scale.ts"),
  aa: () => aa(),
  sensitivity: () => sensitivity(),
};
const wanted = process.argv.slice(2);
const unknown = wanted.find((name) => !Object.hasOwn(benches, name));
if (unknown !== undefined) {
  process.stderr.write(`there is no benchmark "${unknown}"; there are ${Object.keys(benches).join(", ")}\n`);
  process.exit(2);
}
try {
  for (const [name, bench] of Object.entries(benches)) {
    if (wanted.length === 0 || wanted.includes(name)) await bench();
  }
} finally {
  // A bench that misses its target has written its result, too.
  writeFileSync(pageFile, benchmarksPage());
}
