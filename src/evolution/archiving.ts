import { errorMessage, KernelEvolveError } from "../domain/errors.ts";
import type { Node } from "../domain/run.ts";
import { log } from "../platform/log.ts";
import type { EvolutionDependencies } from "./dependencies.ts";

/**
 * Brings nodes into the source archive, in step order, so that the commits of a node's parents exist before its own. The
 * store is what makes a node durable; the archive follows, and what a crash kept out of it is caught up on the next time.
 */
export class Archiving {
  readonly #deps: Pick<EvolutionDependencies, "graph" | "archive" | "evaluations" | "targets">;
  #chain: Promise<void> = Promise.resolve();
  /** Runs whose nodes are all archived but for those that come in now. */
  readonly #complete = new Set<string>();

  constructor(deps: Pick<EvolutionDependencies, "graph" | "archive" | "evaluations" | "targets">) {
    this.#deps = deps;
  }

  /** Commits `node`, after what the run still owes. A failure is logged and tried again with the next node. */
  add(run: string, node: Node | undefined): Promise<void> {
    this.#chain = this.#chain
      .then(async () => {
        if (!this.#complete.has(run)) {
          for (const owed of this.#deps.graph.unarchived(run)) await this.#one(owed);
          this.#complete.add(run);
        } else if (node !== undefined && node.commit === undefined) await this.#one(node);
      })
      .catch((error: unknown) => {
        this.#complete.delete(run);
        // The archive was removed or damaged: the store has everything, so it is made again with the next node.
        if (error instanceof KernelEvolveError && error.code === "corrupt")
          this.#deps.graph.forgetCommits(run);
        log.warn({ run, error: errorMessage(error) }, "source archive: nodes wait for the next attempt");
      });
    return this.#chain;
  }

  /** Waits for what is under way. */
  async settled(): Promise<void> {
    await this.#chain;
  }

  async #one(node: Node): Promise<void> {
    const { graph, archive, evaluations, targets } = this.#deps;
    const run = graph.run(node.run);
    const source = graph.source(node.candidate);
    if (run === undefined || source === undefined)
      throw new Error(`node ${node.id} lacks its run or its source`);
    const target = await targets.get(run.target);
    const commit = await archive.commit({
      node,
      source,
      extension: target.abstractions[run.abstraction]?.extension ?? ".txt",
      record: JSON.stringify(await evaluations.get(node.evaluation), null, 2),
      parents: node.parents.flatMap((id) => graph.node(id)?.commit ?? []),
      best: graph.best(node.run)?.id === node.id,
    });
    graph.setCommit(node.id, commit);
  }
}
