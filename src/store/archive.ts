import { existsSync, mkdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { type SimpleGit, simpleGit } from "simple-git";
import { errorMessage, KernelEvolveError, type Node } from "../domain/index.ts";
import { runProcess } from "../platform/subprocess.ts";
import { commitMessage } from "./message.ts";

const AUTHOR = "kernelevolve <kernelevolve@localhost>";
/** A lock of git's this old belongs to a process that was killed. */
const STALE_LOCK_MS = 20_000;
/** Other servers on the same archive hold a reference for milliseconds. */
const ATTEMPTS = 6;
const COMMIT_MS = 60_000;
const MISSING_GIT = {
  fix: "install git: apt-get install git (Debian, Ubuntu), dnf install git (Fedora), apk add git (Alpine)",
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

/** No configuration of the user or the machine has a say, and no helper program is ever asked. */
function environment(directory: string): Record<string, string> {
  return {
    PATH: process.env["PATH"] ?? "/usr/bin:/bin",
    GIT_DIR: directory,
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_CONFIG_SYSTEM: "/dev/null",
    GIT_TERMINAL_PROMPT: "0",
    LC_ALL: "C.UTF-8",
  };
}

/**
 * Sources as git commits whose parents are the node's parents, in a bare repository: `git log --graph --all` shows the search.
 * Commits go through `git fast-import`, which takes every text as counted bytes, so that no source or rationale can be an
 * option. A commit depends on nothing but its node, so that archiving a node twice, here or in another process, is one commit.
 */
export class Archive {
  readonly directory: string;
  #git: Promise<SimpleGit> | undefined;
  #chain: Promise<unknown> = Promise.resolve();

  constructor(home: string) {
    this.directory = join(home, "archive.git");
  }

  #open(): Promise<SimpleGit> {
    this.#git ??= this.#create().catch((error: unknown) => {
      // Git may be installed while the server runs.
      this.#git = undefined;
      throw error;
    });
    return this.#git;
  }

  async #create(): Promise<SimpleGit> {
    mkdirSync(this.directory, { recursive: true });
    const env = environment(this.directory);
    // The library guards against configuration from the environment; here it is what shuts other configuration out.
    const git = simpleGit({
      baseDir: this.directory,
      unsafe: { allowUnsafeConfigPaths: true, allowUnsafeTemplateDir: true },
      allowEnvironment: Object.keys(env),
    }).env(env);
    try {
      if (!existsSync(join(this.directory, "HEAD")))
        await git.raw(["init", "--bare", "--quiet", "--template=", "--initial-branch=main"]);
    } catch (error) {
      const text = errorMessage(error);
      if (/ENOENT|not found/i.test(text)) {
        throw new KernelEvolveError("missing_tool", `the source archive needs git: ${text}`, {
          ...MISSING_GIT,
          cause: error,
        });
      }
      throw new KernelEvolveError("infrastructure", `cannot create ${this.directory}: ${text}`, {
        cause: error,
      });
    }
    return git;
  }

  /**
   * Commits one node; returns the commit's id, which is on disk. Calls are served one after the other.
   * @throws missing_tool without git; corrupt when the archive lacks a parent's commit: then forget the run's commits, and archive them again
   */
  commit(entry: ArchiveEntry): Promise<string> {
    const next = this.#chain.then(() => this.#commit(entry));
    this.#chain = next.catch(() => undefined);
    return next;
  }

  async #commit(entry: ArchiveEntry): Promise<string> {
    await this.#open();
    const input = fastImport(entry);
    for (let attempt = 1; ; attempt += 1) {
      const { code, stdout, stderr } = await this.#run(input);
      const commit = /^[0-9a-f]{40,64}$/m.exec(stdout)?.[0];
      if (code === 0 && commit !== undefined) return commit;
      // Another server made or moved the reference meanwhile, or a killed one left its lock.
      if (/cannot lock ref/i.test(stderr) && attempt < ATTEMPTS) {
        this.#breakStaleLock(/Unable to create '([^']+\.lock)'/.exec(stderr)?.[1]);
        await new Promise((resolve) => setTimeout(resolve, 25 * 2 ** attempt));
        continue;
      }
      const crash = /fast_import_crash_\d+/.exec(stderr)?.[0];
      if (crash !== undefined) rmSync(join(this.directory, crash), { force: true });
      const told = stderr.trim().split("\n").slice(0, 3).join("; ").slice(0, 400);
      if (/not a valid commit|unknown object|not a valid object|unable to (?:find|read)/i.test(stderr)) {
        throw new KernelEvolveError("corrupt", `${this.directory} lacks a commit that it had: ${told}`);
      }
      throw new KernelEvolveError("infrastructure", `${this.directory}: git fast-import failed: ${told}`, {
        fix: "check the folder's permissions and free space; what is missing is archived with the next node",
      });
    }
  }

  async #run(input: string): Promise<{ code: number | null; stdout: string; stderr: string }> {
    try {
      const argv = ["git", "-c", "core.fsync=all", "fast-import", "--quiet", "--done", "--force"];
      return await runProcess({
        argv,
        cwd: this.directory,
        env: environment(this.directory),
        stdin: input,
        timeoutMs: COMMIT_MS,
      });
    } catch (error) {
      this.#git = undefined;
      throw new KernelEvolveError("missing_tool", `git does not start: ${errorMessage(error)}`, {
        ...MISSING_GIT,
        cause: error,
      });
    }
  }

  /** Removes a lock within the archive that a killed git left. */
  #breakStaleLock(lock: string | undefined): void {
    if (lock === undefined || !lock.startsWith(`${this.directory}/`)) return;
    const made = statSync(lock, { throwIfNoEntry: false })?.mtimeMs;
    if (made !== undefined && Date.now() - made > STALE_LOCK_MS) rmSync(lock, { force: true });
  }

  /** The graph of a run as `git log --graph` prints it. */
  async log(run: string, limit = 200): Promise<string> {
    const git = await this.#open();
    return await git.raw([
      "log",
      "--graph",
      `--glob=refs/runs/${checkedRun(run)}/nodes/*`,
      `--max-count=${limit}`,
      "--format=%h %s%n  %(trailers:key=Fitness,separator=%x20)",
    ]);
  }

  /** Waits until everything handed in is committed. */
  async settled(): Promise<void> {
    await this.#chain;
  }
}

/** The stream that makes one commit and its references, as git-fast-import(1) reads it. */
function fastImport({ node, source, extension, record, parents, best }: ArchiveEntry): string {
  const run = checkedRun(node.run);
  if (!/^\.[A-Za-z0-9]{1,16}$/.test(extension)) {
    throw new KernelEvolveError("invalid_argument", `extension ${JSON.stringify(extension)} is malformed`);
  }
  if (!parents.every((parent) => /^[0-9a-f]{40,64}$/.test(parent))) {
    throw new KernelEvolveError("invalid_argument", `a parent of node ${node.id} is not a commit id`);
  }
  const seconds = Math.floor(Date.parse(node.created_at) / 1000);
  const data = (text: string): string => `data ${Buffer.byteLength(text)}\n${text}\n`;
  return [
    `commit refs/runs/${run}/nodes/${String(node.step).padStart(6, "0")}\nmark :1\n`,
    `author ${AUTHOR} ${seconds} +0000\ncommitter ${AUTHOR} ${seconds} +0000\n`,
    data(commitMessage(node)),
    ...parents.map((parent, index) => `${index === 0 ? "from" : "merge"} ${parent}\n`),
    `deleteall\nM 100644 inline kernel${extension}\n${data(source)}`,
    `M 100644 inline evaluation.json\n${data(record)}`,
    best ? `reset refs/runs/${run}/best\nfrom :1\n\n` : "",
    "get-mark :1\ndone\n",
  ].join("");
}

function checkedRun(run: string): string {
  if (/^[A-Za-z0-9_-]{1,100}$/.test(run)) return run;
  throw new KernelEvolveError("invalid_argument", `run ${JSON.stringify(run.slice(0, 80))} is malformed`);
}
