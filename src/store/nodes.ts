import { z } from "zod";
import { type Node, nodeSchema } from "../domain/index.ts";
import { ClaimTable } from "./claims.ts";
import { parseJson } from "./rows.ts";

export interface RunTotals {
  readonly nodes: number;
  readonly passed: number;
  readonly device_seconds: number;
  /** Nodes since the best one, all of them when none has a fitness. */
  readonly since_best: number;
  readonly seconds: number;
  readonly tokens: number;
  readonly cost: number;
}

export interface NodeFilter {
  readonly verdict?: string;
  readonly limit?: number;
  readonly offset?: number;
  readonly order?: "step" | "fitness";
  readonly after_step?: number;
  /** Only nodes up to this step. */
  readonly up_to_step?: number;
}

/** A node as it is kept: step and commit are known by the store alone. */
export const storedNodeSchema = nodeSchema.omit({ step: true, commit: true });

const nodeRow = z.object({ json: z.string(), step: z.number(), commit_id: z.string().nullable() });
const sourceRow = z.object({ source: z.string() });
const idRow = z.object({ id: z.string() });
const relativeRow = z.object({ child: z.string(), step: z.number() });
const totalsRow = z.object({ nodes: z.number(), passed: z.number(), device: z.number() });
const lastRow = z.object({ last: z.number().nullable() });
const statusRow = z.object({ status: z.string(), n: z.number() });

const NODE = "SELECT n.json, n.step, c.commit_id FROM nodes n LEFT JOIN node_commits c ON c.node = n.id";

function toNode(row: z.infer<typeof nodeRow>): Node {
  const stored = parseJson(storedNodeSchema, row.json, "node");
  return { ...stored, step: row.step, ...(row.commit_id === null ? {} : { commit: row.commit_id }) };
}

/**
 * Questions about the nodes of a run. Rows carry their whole JSON, so each query first finds the few rows it wants in an
 * index and reads only those: a run of 100,000 nodes answers like a small one.
 */
export class NodeQueries extends ClaimTable {
  node(id: string): Node | undefined {
    const row = this.db.get(nodeRow, `${NODE} WHERE n.id = ?`, id);
    return row === undefined ? undefined : toNode(row);
  }

  source(candidate: string): string | undefined {
    return this.db.get(sourceRow, "SELECT source FROM candidates WHERE hash = ?", candidate)?.source;
  }

  nodes(run: string, filter: NodeFilter = {}): Node[] {
    const where = ["run = ?"];
    const values: (string | number)[] = [run];
    if (filter.after_step !== undefined) {
      where.push("step > ?");
      values.push(filter.after_step);
    }
    if (filter.up_to_step !== undefined) {
      where.push("step <= ?");
      values.push(filter.up_to_step);
    }
    if (filter.verdict !== undefined) {
      where.push("verdict = ?");
      values.push(filter.verdict);
    }
    const order = filter.order === "fitness" ? "fitness DESC, step" : "step";
    return this.db
      .all(
        nodeRow,
        `${NODE} WHERE n.rowid IN (SELECT rowid FROM nodes WHERE ${where.join(" AND ")} ORDER BY ${order} LIMIT ? OFFSET ?)
         ORDER BY n.${order}`,
        ...values,
        filter.limit ?? -1,
        filter.offset ?? 0,
      )
      .map(toNode);
  }

  /** The node of highest credited fitness (the first of equals), undefined while none is credited. */
  best(run: string): Node | undefined {
    return this.frontier(run, 1)[0];
  }

  /** Credited nodes, best first: what a policy expands. */
  frontier(run: string, limit: number): Node[] {
    return this.db
      .all(
        nodeRow,
        `${NODE} WHERE n.run = ? AND n.fitness > 0 ORDER BY n.fitness DESC, n.step LIMIT ?`,
        run,
        limit,
      )
      .map(toNode);
  }

  /**
   * The `limit` newest ancestors of a node, newest first; as a child is younger than its parents, no node comes after one
   * of its own ancestors. The recursion takes the youngest first and each node once, however many paths lead to it.
   */
  ancestors(id: string, limit = 1000): Node[] {
    return this.db
      .all(
        nodeRow,
        `WITH RECURSIVE up (id, step) AS (
           SELECT p.parent, n.step FROM node_parents p JOIN nodes n ON n.id = p.parent WHERE p.child = ?1
           UNION
           SELECT p.parent, n.step FROM up JOIN node_parents p ON p.child = up.id JOIN nodes n ON n.id = p.parent
           ORDER BY 2 DESC LIMIT ?2
         ) ${NODE.replace("FROM nodes n", "FROM up JOIN nodes n ON n.id = up.id")} ORDER BY n.step DESC`,
        id,
        limit,
      )
      .map(toNode);
  }

  /** Other children of the node's parents, newest first. */
  siblings(id: string, limit = 100): Node[] {
    const steps = new Map<string, number>();
    for (const { id: parent } of this.db.all(
      idRow,
      "SELECT parent AS id FROM node_parents WHERE child = ?",
      id,
    )) {
      const newest = this.db.all(
        relativeRow,
        "SELECT child, step FROM node_parents WHERE parent = ? AND child <> ? ORDER BY step DESC LIMIT ?",
        parent,
        id,
        limit,
      );
      for (const { child, step } of newest) steps.set(child, step);
    }
    return [...steps]
      .sort(([, a], [, b]) => b - a)
      .slice(0, limit)
      .flatMap(([child]) => this.node(child) ?? []);
  }

  /** In step order. */
  children(id: string, limit = 1000): Node[] {
    return this.db
      .all(
        nodeRow,
        `${NODE.replace("FROM nodes n", "FROM node_parents p JOIN nodes n ON n.id = p.child")}
         WHERE p.parent = ? ORDER BY p.step LIMIT ?`,
        id,
        limit,
      )
      .map(toNode);
  }

  /** The first node of the run with this near-duplicate key; one that was judged before one that the machinery failed on. */
  twin(run: string, dedup: string): Node | undefined {
    const row = this.db.get(
      nodeRow,
      `${NODE} WHERE n.run = ? AND n.dedup = ? ORDER BY n.status = 'infrastructure_error', n.step LIMIT 1`,
      run,
      dedup,
    );
    return row === undefined ? undefined : toNode(row);
  }

  totals(run: string): RunTotals {
    const sums = this.db.get(
      totalsRow,
      "SELECT count(*) AS nodes, coalesce(sum(verdict = 'passed'), 0) AS passed, coalesce(sum(device_seconds), 0) AS device FROM nodes WHERE run = ?",
      run,
    );
    const last = this.lastStep(run);
    const best = this.best(run);
    return {
      nodes: sums?.nodes ?? 0,
      passed: sums?.passed ?? 0,
      device_seconds: sums?.device ?? 0,
      since_best: last - (best?.step ?? -1),
      seconds: this.activeSeconds(run),
      ...this.used(run),
    };
  }

  /** The step of the newest node, -1 while there is none. */
  protected lastStep(run: string): number {
    return this.db.get(lastRow, "SELECT max(step) AS last FROM nodes WHERE run = ?", run)?.last ?? -1;
  }

  /** Nodes that are not in the archive yet (a crash between the two), in step order. */
  unarchived(run: string): Node[] {
    return this.db
      .all(
        nodeRow,
        `${NODE} WHERE n.rowid IN (
           SELECT m.rowid FROM nodes m WHERE m.run = ? AND NOT EXISTS (SELECT 1 FROM node_commits d WHERE d.node = m.id)
         ) ORDER BY n.step`,
        run,
      )
      .map(toNode);
  }

  /** Status counts of a run, for reports. */
  statusCounts(run: string): Record<string, number> {
    const rows = this.db.all(
      statusRow,
      "SELECT status, count(*) AS n FROM nodes WHERE run = ? GROUP BY status",
      run,
    );
    return Object.fromEntries(rows.map((row) => [row.status, row.n]));
  }
}
