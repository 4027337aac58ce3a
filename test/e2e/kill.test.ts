import { expect, test } from "vitest";
import { killRounds } from "./kill-rounds.ts";

/** More of them: KERNELEVOLVE_KILLS=50, or node test/bench/kills.ts for a table. */
const KILLS = Number(process.env["KERNELEVOLVE_KILLS"] ?? 5);

test(
  `a server killed ${KILLS} times in the middle of a run loses nothing that it told of, and the run comes to its end`,
  async () => {
    const report = await killRounds(KILLS, () => undefined);
    expect(report.faults).toEqual([]);
    expect(report.kills).toBe(KILLS);
    expect(report.finished).toBe(report.runs);
    // Otherwise every kill came too early to say anything.
    expect(report.acknowledged).toBeGreaterThan(0);
  },
  120_000 + KILLS * 30_000,
);
