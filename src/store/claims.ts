import { z } from "zod";
import { type Claim, claimSchema, KernelEvolveError, type Usage } from "../domain/index.ts";
import { countRow, jsonRow, parseJson, toJson } from "./rows.ts";
import { RunTable } from "./runs.ts";

const claimRow = z.object({
  json: z.string(),
  state: z.enum(["open", "submitted", "expired"]),
  node: z.string().nullable(),
  expires_ms: z.number(),
});
const promptRow = z.object({ prompt: z.string() });

/** Claims: permissions to make one child. An open one past its time counts as expired without a write. */
export class ClaimTable extends RunTable {
  /** Records a claim and the prompt that went with it. @throws budget_spent when the run is not open. */
  createClaim(claim: Claim, prompt: string): void {
    this.db.transaction(() => {
      const run = this.run(claim.run);
      if (run?.state !== "open") {
        throw new KernelEvolveError(
          "budget_spent",
          `run ${claim.run} is ${run?.state ?? "unknown"}: it takes no new claims`,
        );
      }
      this.db.run(
        "INSERT INTO claims (id, run, state, expires_ms, prompt, node, json) VALUES (?, ?, ?, ?, ?, NULL, ?)",
        claim.id,
        claim.run,
        claim.state,
        Date.parse(claim.expires_at),
        prompt,
        toJson(claimSchema, claim, "the claim"),
      );
    });
  }

  /** The claim as it stands at `now`. */
  claim(id: string, now = Date.now()): Claim | undefined {
    const row = this.db.get(claimRow, "SELECT json, state, node, expires_ms FROM claims WHERE id = ?", id);
    if (row === undefined) return undefined;
    const state = row.state === "open" && row.expires_ms <= now ? "expired" : row.state;
    return {
      ...parseJson(claimSchema, row.json, "claim"),
      expires_at: new Date(row.expires_ms).toISOString(),
      state,
      ...(row.node === null ? {} : { node: row.node }),
    };
  }

  /** Keeps the prompt that went out with a claim and what it cites, for audit and replay. */
  setPrompt(
    claim: string,
    prompt: string,
    cited: Pick<Claim, "documents" | "prior_kernels"> = {},
  ): Claim | undefined {
    return this.db.transaction(() => {
      const row = this.db.get(jsonRow, "SELECT json FROM claims WHERE id = ?", claim);
      if (row === undefined) return undefined;
      const told = { ...parseJson(claimSchema, row.json, "claim"), ...cited };
      this.db.run(
        "UPDATE claims SET prompt = ?, json = ? WHERE id = ?",
        prompt,
        toJson(claimSchema, told, "the claim"),
        claim,
      );
      return this.claim(claim);
    });
  }

  prompt(claim: string): string | undefined {
    return this.db.get(promptRow, "SELECT prompt FROM claims WHERE id = ?", claim)?.prompt;
  }

  openClaims(run: string, now = Date.now()): Claim[] {
    return this.db
      .all(jsonRow, "SELECT json FROM claims WHERE run = ? AND state = 'open' AND expires_ms > ?", run, now)
      .map((row) => parseJson(claimSchema, row.json, "claim"));
  }

  countOpenClaims(run: string, now = Date.now()): number {
    return (
      this.db.get(
        countRow,
        "SELECT count(*) AS n FROM claims WHERE run = ? AND state = 'open' AND expires_ms > ?",
        run,
        now,
      )?.n ?? 0
    );
  }

  /** Claims that the run has ever given. */
  countClaims(run: string): number {
    return this.db.get(countRow, "SELECT count(*) AS n FROM claims WHERE run = ?", run)?.n ?? 0;
  }

  /** Keeps an open claim open until `untilMs` at least: its child is being evaluated. */
  renewClaim(id: string, untilMs: number): void {
    this.db.transaction(() =>
      this.db.run(
        "UPDATE claims SET expires_ms = max(expires_ms, ?) WHERE id = ? AND state = 'open'",
        untilMs,
        id,
      ),
    );
  }

  /** Answers a claim with a node that the run already has (a near-duplicate was handed in); what it used counts. */
  answerClaim(id: string, node: string, usage?: Usage): void {
    this.db.transaction(() => {
      const changed = this.db.run(
        "UPDATE claims SET state = 'submitted', node = ? WHERE id = ? AND state = 'open'",
        node,
        id,
      );
      const claim = changed === 0 || usage === undefined ? undefined : this.claim(id);
      if (claim !== undefined && usage !== undefined) this.addUsage(claim.run, id, usage, node);
    });
  }

  /** Gives a claim's place back to the run without a child. */
  releaseClaim(id: string): void {
    this.db.transaction(() =>
      this.db.run("UPDATE claims SET state = 'expired' WHERE id = ? AND state = 'open'", id),
    );
  }
}
