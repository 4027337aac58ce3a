/** A server killed at random moments of a run: what is lost (nothing may be), and whether the runs come to their end. */
import { killRounds } from "../e2e/kill-rounds.ts";
import { printTable, saveResult } from "./table.ts";

const kills = Number(process.env["KERNELEVOLVE_KILLS"] ?? 50);
const started = performance.now();
const report = await killRounds(kills, (text) => process.stderr.write(`${text}\n`));
const row = {
  kills: report.kills,
  runs: report.runs,
  runs_finished: report.finished,
  nodes_acknowledged: report.acknowledged,
  faults: report.faults.length,
  seconds: Math.round((performance.now() - started) / 1000),
};
printTable("kill -9 of the server at random moments of a run", [row]);
for (const fault of report.faults) process.stdout.write(`${fault}\n`);
saveResult("kills", { row, faults: report.faults });
if (report.faults.length > 0) process.exitCode = 1;
