import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { isMap, isNode, LineCounter, type Node, parseDocument } from "yaml";
import type { z } from "zod";
import { errorMessage, KernelEvolveError } from "../domain/index.ts";
import { nearest } from "../platform/nearest.ts";

/** A spec is a few pages; what is larger is no spec. */
export const MAX_SPEC_BYTES = 256 << 10;
/** More nodes of one alias than this are an attack (each shipped spec has two or three). */
const MAX_ALIASES = 50;
const MAX_SHOWN = 10;

/** One thing wrong with a spec, at a place in it. */
export interface SpecIssue {
  readonly path: readonly (string | number)[];
  readonly message: string;
  /** A key of the mapping at `path`, when the key itself is the fault. */
  readonly key?: string;
}

/** A parsed spec that still knows where everything stood. */
export interface SpecDocument {
  readonly file: string;
  readonly value: Readonly<Record<string, unknown>>;
  /** `file:line:column` of the deepest part of the path that the file has. */
  at(path: readonly (string | number)[], key?: string): string;
}

function invalid(message: string, fix?: string): KernelEvolveError {
  return new KernelEvolveError("invalid_argument", message, fix === undefined ? {} : { fix });
}

/** The file's text; a pipe, a device or an endless file is refused before it is read. */
function readText(file: string): string {
  let fd: number;
  try {
    // Without O_NONBLOCK, opening a pipe that nobody writes would wait for ever.
    fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw invalid(`${file}: cannot be read: ${errorMessage(error)}`);
  }
  try {
    if (!fstatSync(fd).isFile()) throw invalid(`${file}: is not a regular file`);
    const buffer = Buffer.alloc(MAX_SPEC_BYTES + 1);
    let length = 0;
    for (;;) {
      const got = readSync(fd, buffer, length, buffer.length - length, null);
      length += got;
      if (got === 0 || length === buffer.length) break;
    }
    if (length > MAX_SPEC_BYTES) throw invalid(`${file}: larger than ${MAX_SPEC_BYTES} bytes`);
    return new TextDecoder("utf-8", { fatal: true }).decode(buffer.subarray(0, length));
  } catch (error) {
    if (error instanceof KernelEvolveError) throw error;
    throw invalid(`${file}: cannot be read as UTF-8 text: ${errorMessage(error)}`);
  } finally {
    closeSync(fd);
  }
}

/** The parser answers a text that exhausts its stack with the engine's words, thrown or as an error of its own. */
function tooDeep(message: string): boolean {
  return /call stack/i.test(message);
}

/**
 * Reads one YAML file into a plain mapping.
 * @throws invalid_argument with file, line and column: not readable, not YAML, an unknown tag, a repeated key, aliases that
 * multiply, nested too deep, or no mapping.
 */
export function readDocument(file: string): SpecDocument {
  const text = readText(file);
  const counter = new LineCounter();
  const place = (offset: number): string => {
    const { line, col } = counter.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  const nul = text.indexOf("\0");
  if (nul >= 0) {
    const before = text.slice(0, nul).split("\n");
    throw invalid(`${file}:${before.length}:${(before.at(-1)?.length ?? 0) + 1}: has a NUL character`);
  }
  let document: ReturnType<typeof parseDocument>;
  let value: unknown;
  try {
    document = parseDocument(text, { lineCounter: counter, prettyErrors: false });
    // A warning (an unknown tag, say) means that the text is not what it looks like.
    const fault = document.errors[0] ?? document.warnings[0];
    if (fault !== undefined)
      throw invalid(`${place(fault.pos[0])}: ${tooDeep(fault.message) ? "nested too deep" : fault.message}`);
    value = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    if (error instanceof KernelEvolveError) throw error;
    const message = errorMessage(error);
    throw invalid(`${file}: ${tooDeep(message) ? "nested too deep" : message}`);
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    const what = value === null ? "empty" : Array.isArray(value) ? "a list" : `a ${typeof value}`;
    throw invalid(`${place(document.contents?.range?.[0] ?? 0)}: must be a mapping, but is ${what}`);
  }
  const offsetOf = (path: readonly (string | number)[], key?: string): number => {
    for (let depth = path.length; depth >= 0; depth -= 1) {
      const node = document.getIn(path.slice(0, depth), true);
      if (!isNode(node) || node.range == null) continue;
      if (depth === path.length && key !== undefined) return keyOffset(node, key) ?? node.range[0];
      // A field is better shown at its name than where its mapping begins.
      if (depth === path.length || depth === 0) return node.range[0];
      return keyOffset(document.getIn(path.slice(0, depth - 1), true), path[depth - 1]) ?? node.range[0];
    }
    return 0;
  };
  return { file, value: { ...value }, at: (path, key) => place(offsetOf(path, key)) };
}

function keyOffset(node: unknown, key: string | number | undefined): number | undefined {
  if (!isMap(node)) return undefined;
  const pair = node.items.find(({ key: name }) => isNode(name) && String((name as Node).toJSON()) === key);
  return pair !== undefined && isNode(pair.key) ? pair.key.range?.[0] : undefined;
}

function pathText(path: readonly (string | number)[], key?: string): string {
  const all = key === undefined ? path : [...path, key];
  const text = all.map((part) => (typeof part === "number" ? `[${part}]` : `.${part}`)).join("");
  return text === "" ? "the spec" : text.replace(/^\./, "");
}

/**
 * What zod found (with `reportInput`), in words: a missing field is said to be missing, and an unknown one gets the names it may
 * have meant.
 */
export function zodIssues(
  error: z.ZodError,
  fields: (path: readonly (string | number)[]) => readonly string[],
): SpecIssue[] {
  return error.issues.flatMap((issue): SpecIssue[] => {
    const path = issue.path.map((part) => (typeof part === "number" ? part : String(part)));
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => {
        const close = nearest(key, fields(path));
        const hint = close.length > 0 ? `; did you mean ${close.join(" or ")}?` : "";
        return { path, key, message: `is not a field${hint}` };
      });
    }
    if ((issue.code === "invalid_type" || issue.code === "invalid_value") && issue.input === undefined)
      return [{ path, message: "is missing" }];
    return [{ path, message: issue.message }];
  });
}

/** The error that lists issues, each with file, line, column and field. */
export function specError(document: SpecDocument, issues: readonly SpecIssue[]): KernelEvolveError {
  const lines = issues
    .slice(0, MAX_SHOWN)
    .map(({ path, key, message }) => `${document.at(path, key)}: ${pathText(path, key)}: ${message}`);
  if (issues.length > MAX_SHOWN) lines.push(`and ${issues.length - MAX_SHOWN} more`);
  return invalid(lines.join("\n"), "hardware-docs/README.md describes every field");
}
