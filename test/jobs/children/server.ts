import { appendFileSync } from "node:fs";
import { z } from "zod";
import { LocalJobs } from "../../../src/jobs/index.ts";
import { openStore } from "../../../src/store/index.ts";

/**
 * A server with one kind of job, which notes its begin and end in a file and takes `ms`. Arguments: home, log file, ms, then the
 * names of jobs to start. Goes on with jobs that were left. Says "ready" and runs until killed or stdin ends.
 */
const [home = "", file = "", ms = "0", ...names] = process.argv.slice(2);
const store = openStore(home);
const jobs = new LocalJobs(store.jobs);
jobs.register("note", {
  args: z.object({ name: z.string() }),
  run: async ({ name }, { signal, report }) => {
    appendFileSync(file, `begin ${name} ${process.pid}\n`);
    report({ progress: 1, total: 2, message: "begun" });
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(resolve, Number(ms));
      signal.addEventListener("abort", () => {
        clearTimeout(timer);
        reject(new Error("aborted"));
      });
    });
    appendFileSync(file, `end ${name} ${process.pid}\n`);
    return name;
  },
});
jobs.resume();
for (const name of names) await jobs.start("note", { name }, { idempotency_key: name });
process.stdout.write("ready\n");
process.stdin.resume();
process.stdin.on("end", () => {
  void jobs.close().then(() => store.close());
});
