import { z } from "zod";
import type { Node } from "../domain/index.ts";
import { NodeQueries } from "./nodes.ts";

/** A node that failed, and the first of its descendants that passed. */
export interface Repair {
  readonly failed: Node;
  readonly repair: Node;
}

const repairRow = z.object({ node: z.string(), repair: z.string() });
const signatureRow = z.object({ signature: z.string() });
const nodeIdRow = z.object({ node: z.string() });
/** The newest repairs of one signature that are ranked, so that a common one costs no more than a rare one. */
const RECENT = 200;

/** What failed and how it was repaired, over all runs; and nodes by shape. */
export class RepairTable extends NodeQueries {
  /**
   * Repairs of the same error in the same language: those of the same problem first, then the newest. Indexed; reads no
   * nodes but those it answers.
   */
  repairs(signature: string, abstraction: string, problem: string, limit = 3): Repair[] {
    return this.db
      .all(
        repairRow,
        `SELECT node, repair FROM (
           SELECT rowid AS at, node, repair, problem FROM failures
           WHERE signature = ? AND abstraction = ? AND repair IS NOT NULL ORDER BY rowid DESC LIMIT ${RECENT}
         ) ORDER BY problem = ? DESC, at DESC LIMIT ?`,
        signature,
        abstraction,
        problem,
        limit,
      )
      .flatMap(({ node, repair }) => {
        const pair = [this.node(node), this.node(repair)];
        const [failed, passed] = pair;
        return failed === undefined || passed === undefined ? [] : [{ failed, repair: passed }];
      });
  }

  /** How a failed node failed; undefined for one that passed, or that failed through no fault of its own. */
  signature(node: string): string | undefined {
    return this.db.get(signatureRow, "SELECT signature FROM failures WHERE node = ?", node)?.signature;
  }

  /** The newest nodes of a run that have this shape, except those that the machinery failed on. */
  ofShape(run: string, shape: string, limit = 64): Node[] {
    return this.db
      .all(
        nodeIdRow,
        "SELECT node FROM shapes WHERE run = ? AND shape = ? ORDER BY rowid DESC LIMIT ?",
        run,
        shape,
        limit,
      )
      .flatMap(({ node }) => this.node(node) ?? [])
      .filter((node) => node.status !== "infrastructure_error");
  }

  /** Notes how a new node failed, or, when it passed, that it repairs the failed nodes it comes from in unbroken line. */
  protected noteOutcome(
    node: Pick<Node, "id" | "run" | "verdict">,
    signature: string | undefined,
    shape: string | undefined,
  ): void {
    const run = this.run(node.run);
    if (shape !== undefined)
      this.db.run("INSERT INTO shapes (node, run, shape) VALUES (?, ?, ?)", node.id, node.run, shape);
    if (signature !== undefined && run !== undefined) {
      this.db.run(
        "INSERT INTO failures (node, signature, abstraction, problem, repair) VALUES (?, ?, ?, ?, NULL)",
        node.id,
        signature,
        run.abstraction,
        run.problem,
      );
    }
    if (node.verdict !== "passed") return;
    this.db.run(
      `WITH RECURSIVE up (id) AS (
         SELECT p.parent FROM node_parents p JOIN failures f ON f.node = p.parent WHERE p.child = ?1
         UNION
         SELECT p.parent FROM up JOIN node_parents p ON p.child = up.id JOIN failures f ON f.node = p.parent
       ) UPDATE failures SET repair = ?1 WHERE repair IS NULL AND node IN (SELECT id FROM up)`,
      node.id,
    );
  }
}
