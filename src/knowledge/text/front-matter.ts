import { LineCounter, parseDocument } from "yaml";
import { z } from "zod";
import {
  documentBottleneckSchema,
  documentKindSchema,
  documentSourceSchema,
  documentTargetSchema,
  errorMessage,
  KernelEvolveError,
  opFamilySchema,
} from "../../domain/index.ts";

const words = z.array(z.string().min(1).max(120)).max(60);

/** What a document says of itself. Strict: a misspelt field is an error with its line. */
export const frontMatterSchema = z.strictObject({
  title: z.string().min(1).max(300),
  target: documentTargetSchema,
  kind: documentKindSchema,
  topics: words.min(1),
  bottlenecks: z.array(documentBottleneckSchema).default([]),
  op: z.array(opFamilySchema).default([]),
  abstractions: words.default([]),
  sources: z.array(documentSourceSchema).default([]),
  // Kernels and traces.
  problem: z.string().max(200).optional(),
  dtypes: words.optional(),
  shapes: words.optional(),
  techniques: words.optional(),
  speedup: z.number().positive().optional(),
  baseline: z.string().max(100).optional(),
  /** Written by ingestion: sha256 of the original, and which part of it this is. */
  original: z.string().max(128).optional(),
  part: z.string().max(40).optional(),
});
export type FrontMatter = z.infer<typeof frontMatterSchema>;

/** A document in parts: what it says of itself, and its text. */
export interface ParsedDocument {
  readonly matter: FrontMatter;
  readonly body: string;
  /** Line of the file on which the body begins, from 1. */
  readonly bodyLine: number;
}

/** Something wrong with front matter, at a line of the file. */
export interface MatterIssue {
  readonly line: number;
  readonly message: string;
}

const OPEN = /^﻿?---[ \t]*\r?\n/;
const CLOSE = /^---[ \t]*$/m;

function missing(issue: { readonly code: string; readonly message: string }): string {
  return /received undefined/.test(issue.message) ? "is missing" : issue.message;
}

/**
 * Reads the front matter of a document. Never throws.
 * @returns the parts, or everything that is wrong with them, each with its line.
 */
export function parseFrontMatter(
  text: string,
): { document: ParsedDocument; issues: [] } | { document: undefined; issues: MatterIssue[] } {
  const open = OPEN.exec(text);
  if (open === null) {
    return {
      document: undefined,
      issues: [{ line: 1, message: "must begin with front matter (a line ---)" }],
    };
  }
  const rest = text.slice(open[0].length);
  const close = CLOSE.exec(rest);
  if (close === null) {
    return {
      document: undefined,
      issues: [{ line: 1, message: "the front matter has no closing line ---" }],
    };
  }
  const yaml = rest.slice(0, close.index);
  const body = rest.slice(close.index + close[0].length).replace(/^\r?\n/, "");
  const bodyLine = text.slice(0, text.length - body.length).split("\n").length;
  const counter = new LineCounter();
  const parsed = parseDocument(yaml, { lineCounter: counter, prettyErrors: false });
  const lineOf = (offset: number): number => counter.linePos(offset).line + 1;
  const fault = parsed.errors[0] ?? parsed.warnings[0];
  if (fault !== undefined) {
    return { document: undefined, issues: [{ line: lineOf(fault.pos[0]), message: fault.message }] };
  }
  let value: unknown;
  try {
    value = parsed.toJS({ maxAliasCount: 20 });
  } catch (error) {
    return { document: undefined, issues: [{ line: 2, message: errorMessage(error) }] };
  }
  const checked = frontMatterSchema.safeParse(value);
  if (checked.success) return { document: { matter: checked.data, body, bodyLine }, issues: [] };
  const issues = checked.error.issues.map((issue) => {
    const keys = issue.code === "unrecognized_keys" ? issue.keys : [];
    const path = [
      ...issue.path.map((part) => (typeof part === "number" ? part : String(part))),
      ...keys.slice(0, 1),
    ];
    return { line: lineOf(offsetAt(parsed, path)), message: describe(path, issue, keys) };
  });
  return { document: undefined, issues };
}

function describe(
  path: readonly (string | number)[],
  issue: { readonly code: string; readonly message: string },
  keys: readonly string[],
): string {
  if (keys.length > 0) {
    return `${keys.join(", ")}: unknown field; known: ${Object.keys(frontMatterSchema.shape).join(", ")}`;
  }
  return `${path.join(".") || "front matter"}: ${missing(issue)}`;
}

function offsetAt(parsed: ReturnType<typeof parseDocument>, path: readonly (string | number)[]): number {
  for (let depth = path.length; depth >= 0; depth -= 1) {
    const node: unknown = parsed.getIn(path.slice(0, depth), true);
    if (node !== null && typeof node === "object" && "range" in node && Array.isArray(node.range)) {
      const start: unknown = node.range[0];
      if (typeof start === "number") return start;
    }
  }
  return 0;
}

/**
 * As `parseFrontMatter`, for callers that need the document.
 * @throws invalid_argument with file, line and what is wrong.
 */
export function readFrontMatter(text: string, file: string): ParsedDocument {
  const { document, issues } = parseFrontMatter(text);
  if (document !== undefined) return document;
  throw new KernelEvolveError(
    "invalid_argument",
    issues
      .slice(0, 5)
      .map((issue) => `${file}:${issue.line}: ${issue.message}`)
      .join("\n"),
    { fix: "see knowledge/README.md for the form of a document" },
  );
}
