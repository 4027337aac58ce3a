import { spawn } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { type SimpleGit, simpleGit } from "simple-git";
import { errorMessage, KernelEvolveError, type Node } from "../domain/index.ts";

const AUTHOR = "kernelevolve <kernelevolve@localhost>";
/** No configuration of the user or the machine has a say, and no helper program is ever asked. */
const ENVIRONMENT = {
  PATH: process.env["PATH"] ?? "/usr/bin:/bin",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_CONFIG_SYSTEM: "/dev/null",
  GIT_TERMINAL_PROMPT: "0",
  LC_ALL: "C.UTF-8",
};

export interface ArchiveEntry {
  readonly node: Node;
  readonly source: string;
  readonly extension: string;
  /** The evaluation record as JSON text. */
  readonly record: string;
  /** Commits of the node's parents, in order. */
  readonly parents: readonly string[];
  readonly best: boolean;
}

/** Makes a trailer value or subject one line of plain text. */
function line(text: string, limit = 200): string {
  return text
    .replace(/[\p{Cc}\s]+/gu, " ")
    .trim()
    .slice(0, limit);
}

/**
 * Sources as git commits whose parents are the node's parents, in a bare repository: `git log --graph --all` shows the search.
 * Commits go through `git fast-import`, which takes every text as counted bytes, so that no source or rationale can be an option.
 */
export class Archive {
  readonly directory: string;
  #git: SimpleGit | undefined;
  #chain: Promise<unknown> = Promise.resolve();

  constructor(home: string) {
    this.directory = join(home, "archive.git");
  }

  async #open(): Promise<SimpleGit> {
    if (this.#git !== undefined) return this.#git;
    mkdirSync(this.directory, { recursive: true });
    // The library guards against configuration from the environment; here it is what shuts other configuration out.
    const git = simpleGit({
      baseDir: this.directory,
      unsafe: { allowUnsafeConfigPaths: true },
      allowEnvironment: Object.keys(ENVIRONMENT),
    }).env(ENVIRONMENT);
    try {
      if (!existsSync(join(this.directory, "HEAD")))
        await git.raw(["init", "--bare", "--quiet", "--initial-branch=main", "."]);
    } catch (error) {
      throw new KernelEvolveError("missing_tool", `the source archive needs git: ${errorMessage(error)}`, {
        fix: "apt-get install git",
        cause: error,
      });
    }
    this.#git = git;
    return git;
  }

  /** Commits one node; returns the commit's id. Calls are served one after the other. */
  commit(entry: ArchiveEntry): Promise<string> {
    const next = this.#chain.then(() => this.#commit(entry));
    this.#chain = next.catch(() => undefined);
    return next;
  }

  async #commit(entry: ArchiveEntry): Promise<string> {
    await this.#open();
    const { node } = entry;
    const ref = `refs/runs/${node.run}/nodes/${String(node.step).padStart(6, "0")}`;
    const seconds = Math.floor(Date.parse(node.created_at) / 1000);
    const subject = line(node.rationale, 100) || `${node.operator} ${node.status}`;
    const message = [
      subject,
      "",
      `Run: ${line(node.run)}`,
      `Node: ${line(node.id)}`,
      `Step: ${node.step}`,
      `Operator: ${node.operator}`,
      `Verdict: ${node.verdict}`,
      `Status: ${node.status}`,
      `Fitness: ${node.fitness.toFixed(6)}`,
      "",
    ].join("\n");
    const data = (text: string): string => `data ${Buffer.byteLength(text)}\n${text}\n`;
    const commands = [
      `commit ${ref}\nmark :1\nauthor ${AUTHOR} ${seconds} +0000\ncommitter ${AUTHOR} ${seconds} +0000\n${data(message)}`,
      entry.parents.map((parent, index) => `${index === 0 ? "from" : "merge"} ${parent}\n`).join(""),
      `deleteall\nM 100644 inline kernel${entry.extension}\n${data(entry.source)}`,
      `M 100644 inline evaluation.json\n${data(entry.record)}`,
      entry.best ? `reset refs/runs/${node.run}/best\nfrom :1\n\n` : "",
      "get-mark :1\ndone\n",
    ];
    const out = await this.#fastImport(commands.join(""));
    const commit = /^[0-9a-f]{40,64}$/m.exec(out)?.[0];
    if (commit === undefined)
      throw new KernelEvolveError("infrastructure", "git fast-import did not name the commit");
    return commit;
  }

  #fastImport(input: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const child = spawn("git", ["fast-import", "--quiet", "--done", "--force", "--cat-blob-fd=1"], {
        cwd: this.directory,
        env: ENVIRONMENT,
      });
      const out: Buffer[] = [];
      const err: Buffer[] = [];
      child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
      child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
      child.on("error", (error) =>
        reject(
          new KernelEvolveError("missing_tool", `git does not start: ${error.message}`, {
            fix: "apt-get install git",
            cause: error,
          }),
        ),
      );
      child.on("close", (code) => {
        if (code === 0) resolve(Buffer.concat(out).toString("utf8"));
        else
          reject(
            new KernelEvolveError(
              "infrastructure",
              `git fast-import failed: ${Buffer.concat(err).toString("utf8").slice(0, 400)}`,
            ),
          );
      });
      child.stdin.on("error", () => undefined);
      child.stdin.end(input);
    });
  }

  /** The graph of a run as `git log --graph` prints it. */
  async log(run: string, limit = 200): Promise<string> {
    const git = await this.#open();
    return await git.raw([
      "log",
      "--graph",
      `--glob=refs/runs/${run}/nodes/*`,
      `--max-count=${limit}`,
      "--format=%h %s%n  %(trailers:key=Fitness,separator=%x20)",
    ]);
  }

  /** Waits until everything handed in is committed. */
  async settled(): Promise<void> {
    await this.#chain;
  }
}
