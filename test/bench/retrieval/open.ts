/** A process that has opened nothing yet: how long until an index answers. Arguments: data home, package root. */
import { join } from "node:path";
import { Knowledge } from "../../../src/knowledge/service.ts";
import { Targets } from "../../../src/targets/index.ts";

const [home = "", root = ""] = process.argv.slice(2);
const targets = new Targets({ folders: [join(root, "hardware-docs")] });
const context = { signal: new AbortController().signal, report: () => undefined };
const started = performance.now();
const knowledge = new Knowledge({
  home,
  roots: [
    { path: join(root, "hardware-docs"), layout: "targets", trusted: true },
    { path: join(root, "knowledge"), layout: "general", trusted: true },
  ],
  targets: () => targets.list(),
});
await knowledge.status();
const opened = performance.now() - started;
await knowledge.search({ query: "ds_bpermute_b32 across lanes" }, context);
const answered = performance.now() - started;
await knowledge.search({ query: "s_waitcnt vmcnt" }, context);
process.stdout.write(
  JSON.stringify({ opened, answered, rss_mib: Math.round(process.memoryUsage.rss() / 2 ** 20) }),
);
await knowledge.close();
