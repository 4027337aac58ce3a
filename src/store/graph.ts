import { type Claim, KernelEvolveError, type Node } from "../domain/index.ts";
import { sha256 } from "../platform/hash.ts";
import { storedNodeSchema } from "./nodes.ts";
import { RepairTable } from "./repairs.ts";
import { toJson } from "./rows.ts";

/** A node with what only the store keeps: its near-duplicate key. */
export interface NewNode {
  readonly node: Omit<Node, "step" | "commit">;
  readonly source: string;
  /** Key under which near-duplicates meet (normalised source). */
  readonly dedup: string;
  /** Key of what candidates that are compared for likeness have in common (see evolution/similarity.ts). */
  readonly shape?: string;
  /** How it failed, without what is its own: the same for the same error in another kernel. */
  readonly signature?: string;
}

const NEW_CLAIM = { fix: "call evolve_next for a new claim" };

/** Runs, nodes, edges and claims. Nodes are insert-only; every method that writes is one transaction. */
export class GraphRepository extends RepairTable {
  /**
   * Records a child: candidate, node, edges and the claim's end in one transaction that is on disk when this returns.
   * The step is the next of the run. The same claim a second time with the same source answers the node it made.
   * @throws not_found, expired, conflict or invalid_argument; then nothing is written.
   */
  insertNode(input: NewNode, now = Date.now()): { node: Node; existing: boolean } {
    const { node, source, dedup, shape, signature } = input;
    // The text by which a candidate is identified must be the text that is kept.
    if (sha256(source) !== node.candidate) {
      throw new KernelEvolveError("invalid_argument", "candidate: it is not the sha256 of the source");
    }
    return this.db.transaction(() => {
      if (node.claim !== undefined) {
        const made = this.#answered(node, this.claim(node.claim, now));
        if (made !== undefined) return { node: made, existing: true };
      }
      this.#checkParents(node);
      const step = this.lastStep(node.run) + 1;
      this.db.run("INSERT OR IGNORE INTO candidates (hash, source) VALUES (?, ?)", node.candidate, source);
      this.db.run(
        `INSERT INTO nodes (id, run, step, operator, candidate, dedup, evaluation, verdict, status, fitness, island, claim, device_seconds, json, created_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        node.id,
        node.run,
        step,
        node.operator,
        node.candidate,
        dedup,
        node.evaluation,
        node.verdict,
        node.status,
        node.fitness,
        node.island,
        node.claim ?? null,
        node.device_seconds,
        toJson(storedNodeSchema, node, "the node"),
        node.created_at,
      );
      node.parents.forEach((parent, ord) => {
        this.db.run(
          "INSERT INTO node_parents (child, ord, parent, step) VALUES (?, ?, ?, ?)",
          node.id,
          ord,
          parent,
          step,
        );
      });
      this.noteOutcome(node, signature, shape);
      // At the node's own time, so that the run as of a step has what led to it.
      if (node.usage !== undefined)
        this.addUsage(node.run, node.claim ?? node.id, node.usage, node.id, node.created_at);
      if (node.claim !== undefined)
        this.db.run("UPDATE claims SET state = 'submitted', node = ? WHERE id = ?", node.id, node.claim);
      return { node: { ...node, step }, existing: false };
    });
  }

  /** The node that this claim got before, undefined when the claim is open. */
  #answered(node: NewNode["node"], claim: Claim | undefined): Node | undefined {
    if (claim === undefined) throw new KernelEvolveError("not_found", `claim ${node.claim} is unknown`);
    if (claim.run !== node.run) {
      throw new KernelEvolveError("conflict", `claim ${claim.id} belongs to run ${claim.run}`);
    }
    if (claim.state === "expired") {
      throw new KernelEvolveError(
        "expired",
        `claim ${claim.id} has expired; its place was given back`,
        NEW_CLAIM,
      );
    }
    if (claim.node === undefined) return undefined;
    const made = this.node(claim.node);
    if (made?.candidate === node.candidate) return made;
    throw new KernelEvolveError(
      "conflict",
      `claim ${claim.id} was already answered with another source`,
      NEW_CLAIM,
    );
  }

  #checkParents(node: NewNode["node"]): void {
    for (const id of node.parents) {
      if (this.node(id)?.run !== node.run) {
        throw new KernelEvolveError("conflict", `parent ${id} is not a node of run ${node.run}`);
      }
    }
    if (new Set(node.parents).size < node.parents.length) {
      throw new KernelEvolveError("conflict", `parent ${node.parents[0]} is named twice`);
    }
  }

  /** Remembers the commit in which a node's source is archived. What a power failure takes of this is archived again. */
  setCommit(node: string, commit: string): void {
    this.db.transaction(
      () => this.db.run("INSERT OR REPLACE INTO node_commits (node, commit_id) VALUES (?, ?)", node, commit),
      { durable: false },
    );
  }

  /** Forgets what is archived of a run, after its archive was lost: all its nodes are `unarchived` again. */
  forgetCommits(run: string): void {
    this.db.transaction(() =>
      this.db.run("DELETE FROM node_commits WHERE node IN (SELECT id FROM nodes WHERE run = ?)", run),
    );
  }
}
