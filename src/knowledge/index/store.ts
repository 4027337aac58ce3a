import { readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { errorMessage, KernelEvolveError, type TargetSpec, type WorkContext } from "../../domain/index.ts";
import { canonicalJson, sha256 } from "../../platform/hash.ts";
import { log } from "../../platform/log.ts";
import { sealBroken } from "../dense/seal.ts";
import { buildGeneration, CURRENT, currentName } from "./build.ts";
import { WriterLock, writerName } from "./lock.ts";
import { IndexReader } from "./reader.ts";
import { type Manifest, manifestSchema } from "./schema.ts";
import { type DocumentRoot, type SourceFile, scanSources } from "./sources.ts";
import { type VectorPlan, vectorKind } from "./vectors.ts";

/** How often the files are looked at for changes (less often when that takes long), and how long a failed embedder rests. */
const LOOK_MS = 2000;
const LOOK_SHARE = 100;
const EMBEDDER_REST_MS = 600_000;
const WAIT_MS = 150;

export interface StoreOptions {
  readonly folder: string;
  readonly roots: readonly DocumentRoot[];
  readonly specs: () => Promise<readonly TargetSpec[]>;
  readonly vectors: VectorPlan;
}

/** The generations of one index folder: opens the one that answers, makes the next one when documents have changed. */
export class IndexStore {
  readonly #options: StoreOptions;
  #reader: IndexReader | undefined;
  /** Modification time of CURRENT when it was read. */
  #seen = "";
  /** Of the database, when it was last verified. */
  #modified: number | undefined;
  #lookAgain = 0;
  #building: Promise<Manifest> | undefined;

  constructor(options: StoreOptions) {
    this.#options = options;
  }

  get folder(): string {
    return this.#options.folder;
  }

  /** The generation that answers now; undefined when there is none that is whole. */
  current(): IndexReader | undefined {
    const stat = statSync(join(this.folder, CURRENT), { throwIfNoEntry: false });
    const seen = stat === undefined ? "" : `${stat.ino}:${stat.mtimeMs}`;
    if (this.#reader !== undefined && seen === this.#seen && this.#untouched(this.#reader))
      return this.#reader;
    const opened = seen === "" ? undefined : this.#open();
    this.#reader?.close();
    this.#reader = opened;
    this.#seen = seen;
    return opened;
  }

  /** Whether the file under an open reader is still the one that was verified; a look at its time when nothing happened. */
  #untouched(reader: IndexReader): boolean {
    const file = join(reader.folder, "sections.db");
    const modified = statSync(file, { throwIfNoEntry: false })?.mtimeMs;
    if (modified === this.#modified) return true;
    this.#modified = modified;
    return sealBroken(file, reader.manifest.database) === undefined;
  }

  #open(): IndexReader | undefined {
    const name = currentName(this.folder);
    if (name === undefined) return undefined;
    const folder = join(this.folder, name);
    try {
      const manifest = manifestSchema.parse(JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")));
      const broken = sealBroken(join(folder, "sections.db"), manifest.database);
      if (broken !== undefined) throw new KernelEvolveError("corrupt", `sections.db ${broken}`);
      this.#modified = statSync(join(folder, "sections.db")).mtimeMs;
      return new IndexReader(folder, manifest);
    } catch (error) {
      log.warn({ folder, error: errorMessage(error) }, "the index is not whole: it is made anew");
      return undefined;
    }
  }

  /** Takes a generation that turned out to be damaged out of use. */
  discard(reader: IndexReader): void {
    log.warn({ folder: reader.folder }, "the index is damaged: it is made anew");
    if (this.#reader === reader) {
      reader.close();
      this.#reader = undefined;
      this.#seen = "";
      this.#lookAgain = 0;
    }
    const lock = WriterLock.take(this.folder);
    if (lock === undefined) return;
    try {
      if (join(this.folder, currentName(this.folder) ?? "") === reader.folder) {
        rmSync(join(this.folder, CURRENT), { force: true });
      }
    } finally {
      lock.release();
    }
  }

  async #inputs(): Promise<{ sources: SourceFile[]; specs: Map<string, TargetSpec>; specsHash: string }> {
    const specs = new Map((await this.#options.specs()).map((spec) => [spec.id, spec]));
    const sources = scanSources(this.#options.roots).filter(
      // A spec that cannot be read is told by `doctor`.
      (source) => source.form !== "spec" || specs.has(source.folders[0] ?? ""),
    );
    return { sources, specs, specsHash: sha256(canonicalJson([...specs.values()])) };
  }

  /** Why a generation no longer answers for the documents; undefined when it does. */
  async staleness(reader: IndexReader): Promise<string | undefined> {
    const { sources, specsHash } = await this.#inputs();
    const { manifest, documents } = reader;
    if (manifest.embedder.name !== this.#options.vectors.source.name) return "another embedder is chosen";
    if (manifest.specs !== specsHash) return "the numbers of a target changed";
    const wanted = vectorKind(this.#options.vectors, manifest.sections);
    // The notes say why the one that was wanted could not be made.
    if (manifest.vectors !== "none" && manifest.vectors !== wanted && manifest.notes.length === 0) {
      return "another vector index is chosen";
    }
    if (manifest.dense_error !== undefined && Date.now() - Date.parse(manifest.built_at) > EMBEDDER_REST_MS) {
      return "the embedder is tried again";
    }
    const failed = new Map(manifest.problems.map(({ file, stamp }) => [file, stamp]));
    let known = 0;
    for (const source of sources) {
      const stored = documents.get(source.id);
      if (stored?.stamp === source.stamp && stored.summary.file === source.file) known += 1;
      else if (stored !== undefined || failed.get(source.file) !== source.stamp)
        return `${source.id} is new or has changed`;
    }
    return known === documents.size ? undefined : "a document was taken away";
  }

  /**
   * A generation to answer from. Stale ones are brought up to date first, unless someone else is doing that already: then
   * the old one answers, and `note` says so.
   */
  async ready(context: WorkContext): Promise<{ reader: IndexReader; note?: string }> {
    for (;;) {
      context.signal.throwIfAborted();
      const reader = this.current();
      if (reader !== undefined) {
        if (Date.now() < this.#lookAgain) return { reader };
        const began = performance.now();
        const stale = await this.staleness(reader);
        if (stale === undefined) {
          this.#lookAgain = Date.now() + Math.max(LOOK_MS, LOOK_SHARE * (performance.now() - began));
          return { reader };
        }
        const busy = {
          reader,
          note: `the index is being brought up to date (${stale}); this answer is from the one before`,
        };
        if (this.#building !== undefined) return busy;
        const built = await this.#build({ full: false }, context);
        if (!built) return this.current() === undefined ? { reader } : busy;
        continue;
      }
      if (this.#building !== undefined) {
        // A failure of that build is told to its own caller; this one then tries by itself.
        await Promise.race([this.#building.catch(() => undefined), aborted(context.signal)]);
        continue;
      }
      if (!(await this.#build({ full: true }, context))) {
        context.report({
          progress: 0,
          message: `waiting for the index that ${writerName(this.folder)} is building`,
        });
        await pause(WAIT_MS, context.signal);
      }
    }
  }

  /**
   * Brings the index up to date, or makes it anew.
   * @throws conflict when another process, or another call, is building.
   */
  async rebuild(options: { full: boolean }, context: WorkContext): Promise<IndexReader> {
    if (this.#building !== undefined || !(await this.#build(options, context))) {
      const who = this.#building === undefined ? writerName(this.folder) : "this server";
      throw new KernelEvolveError("conflict", `${who} is building the index already`, {
        fix: "wait for it to end; the old index answers meanwhile",
      });
    }
    const reader = this.current();
    if (reader === undefined) {
      throw new KernelEvolveError(
        "infrastructure",
        `the index in ${this.folder} cannot be read after it was built`,
        {
          fix: "check the disk, then: kernelevolve docs rebuild",
        },
      );
    }
    return reader;
  }

  /** As `rebuild`, but waits for whoever is building first: what was added must be found. */
  async refresh(context: WorkContext): Promise<IndexReader> {
    for (;;) {
      context.signal.throwIfAborted();
      if (this.#building !== undefined)
        await Promise.race([this.#building.catch(() => undefined), aborted(context.signal)]);
      else if (await this.#build({ full: false }, context)) {
        const reader = this.current();
        if (reader !== undefined) return reader;
      } else await pause(WAIT_MS, context.signal);
    }
  }

  /** @returns false when someone else holds the lock. */
  async #build(options: { full: boolean }, context: WorkContext): Promise<boolean> {
    const lock = WriterLock.take(this.folder);
    if (lock === undefined) return false;
    try {
      const { sources, specs, specsHash } = await this.#inputs();
      // Someone else may have built while this call was on its way to the lock.
      const previous = options.full ? undefined : this.current();
      this.#building = buildGeneration(
        { folder: this.folder, sources, specs, specsHash, previous, vectors: this.#options.vectors },
        context,
      );
      await this.#building;
      this.#lookAgain = Date.now() + LOOK_MS;
      return true;
    } finally {
      this.#building = undefined;
      lock.release();
    }
  }

  /** Idempotent. A build that is under way ends by its own signal. */
  async close(): Promise<void> {
    await this.#building?.catch(() => undefined);
    this.#reader?.close();
    this.#reader = undefined;
    this.#seen = "";
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await Promise.race([
    new Promise<void>((resolve) => {
      setTimeout(resolve, ms);
    }),
    aborted(signal),
  ]);
  signal.throwIfAborted();
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
