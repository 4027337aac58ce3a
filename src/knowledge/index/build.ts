import { randomBytes } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { errorMessage, KernelEvolveError, type TargetSpec, type WorkContext } from "../../domain/index.ts";
import { flush, seal, writeAtomically } from "../dense/seal.ts";
import type { IndexReader } from "./reader.ts";
import { INDEX_FORMAT, type Manifest } from "./schema.ts";
import { loadDocument, type SourceFile } from "./sources.ts";
import { buildVectors, type VectorPlan } from "./vectors.ts";
import { IndexWriter } from "./writer.ts";

/** Names the generation that answers. */
export const CURRENT = "CURRENT";
const GENERATION = /^gen-[a-z0-9-]+$/;

export interface BuildInput {
  readonly folder: string;
  readonly sources: readonly SourceFile[];
  readonly specs: ReadonlyMap<string, TargetSpec>;
  /** Hash of the specs: other numbers mean other texts. */
  readonly specsHash: string;
  readonly previous: IndexReader | undefined;
  readonly vectors: VectorPlan;
}

interface Changes {
  read: number;
  kept: number;
  dropped: number;
  /** Sections that came or went. */
  sections: number;
}

/**
 * Makes the next generation of an index beside the one that answers, and then, in one step, the one that answers.
 * The caller holds the writer's lock.
 */
export async function buildGeneration(input: BuildInput, context: WorkContext): Promise<Manifest> {
  const began = performance.now();
  removeOld(input.folder, currentName(input.folder));
  const name = `gen-${Date.now().toString(36)}-${randomBytes(3).toString("hex")}`;
  const folder = join(input.folder, name);
  mkdirSync(folder, { recursive: true });
  const file = join(folder, "sections.db");
  const { previous } = input;
  if (previous !== undefined) copyFileSync(join(previous.folder, "sections.db"), file);
  const writer = new IndexWriter(file, previous === undefined);
  try {
    const changes: Changes = { read: 0, kept: 0, dropped: 0, sections: 0 };
    const problems = await writeDocuments(writer, input, changes, context);
    const vectors = await buildVectors(folder, writer, previous, input.vectors, changes.sections, context);
    const { documents, sections } = writer.counts();
    writer.finish(changes.sections > sections / 3);
    const state = join(folder, "embedder.bin");
    const manifest: Manifest = {
      format: INDEX_FORMAT,
      built_at: new Date().toISOString(),
      build_seconds: Math.round(performance.now() - began) / 1000,
      documents,
      sections,
      specs: input.specsHash,
      embedder: vectors.embedder,
      vectors: vectors.kind,
      ...(vectors.error === undefined ? {} : { dense_error: vectors.error }),
      changed: { read: changes.read, kept: changes.kept, dropped: changes.dropped },
      problems,
      notes: [...vectors.notes],
      database: seal(file),
      ...(existsSync(state) ? { embedder_state: seal(state) } : {}),
    };
    context.signal.throwIfAborted();
    writeAtomically(join(folder, "manifest.json"), JSON.stringify(manifest));
    flush(folder);
    writeAtomically(join(input.folder, CURRENT), `${name}\n`);
    flush(input.folder);
    return manifest;
  } catch (error) {
    writer.close();
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

/** Brings the tables in line with the files. Documents that cannot be read are left out and told. */
async function writeDocuments(
  writer: IndexWriter,
  input: BuildInput,
  changes: Changes,
  context: WorkContext,
): Promise<Manifest["problems"]> {
  const { previous, sources } = input;
  const problems: Manifest["problems"] = [];
  const known = previous?.documents ?? new Map<string, never>();
  const sameSpecs = previous?.manifest.specs === input.specsHash;
  const wanted = new Set(sources.map((source) => source.id));
  for (const [doc, stored] of known) {
    if (wanted.has(doc)) continue;
    writer.drop(doc);
    changes.dropped += 1;
    changes.sections += stored.summary.sections;
  }
  let last = performance.now();
  for (const [index, source] of sources.entries()) {
    const stored = known.get(source.id);
    const unchanged = stored?.stamp === source.stamp && stored.summary.file === source.file && sameSpecs;
    if (unchanged) {
      changes.kept += 1;
      continue;
    }
    if (performance.now() - last > 30) {
      context.report({
        progress: index,
        total: sources.length,
        message: `reading documents, ${index} of ${sources.length}`,
      });
      await new Promise<void>((resolve) => {
        setImmediate(resolve);
      });
      context.signal.throwIfAborted();
      last = performance.now();
    }
    try {
      const document = loadDocument(source, input.specs);
      const same =
        stored !== undefined &&
        stored.hash === document.hash &&
        JSON.stringify(stored.summary) === JSON.stringify(document.summary);
      if (same) {
        writer.restamp(source.id, source.stamp);
        changes.kept += 1;
        continue;
      }
      writer.drop(source.id);
      writer.add(document, source.stamp);
      changes.read += 1;
      changes.sections += Math.max(document.sections.length, stored?.summary.sections ?? 0);
    } catch (error) {
      if (!(error instanceof KernelEvolveError)) throw error;
      writer.drop(source.id);
      problems.push({ file: source.file, message: errorMessage(error), stamp: source.stamp });
    }
  }
  return problems;
}

/** The name in CURRENT, whatever it is worth. */
export function currentName(folder: string): string | undefined {
  try {
    const name = readFileSync(join(folder, CURRENT), "utf8").trim();
    return GENERATION.test(name) ? name : undefined;
  } catch {
    return undefined;
  }
}

/** Half-written generations, and those that nobody can be reading any more. The one that answers, and the one before it, stay. */
function removeOld(folder: string, current: string | undefined): void {
  const names = readdirSync(folder).filter((name) => GENERATION.test(name) && name !== current);
  const whole = names
    .filter((name) => existsSync(join(folder, name, "manifest.json")))
    .sort((a, b) => statSync(join(folder, b)).mtimeMs - statSync(join(folder, a)).mtimeMs);
  const keep = whole[0];
  for (const name of names) {
    if (name !== keep || current === undefined) rmSync(join(folder, name), { recursive: true, force: true });
  }
}
