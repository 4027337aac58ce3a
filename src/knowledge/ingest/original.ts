import { closeSync, fstatSync, openSync, readSync, realpathSync, statSync } from "node:fs";
import { basename, extname, sep } from "node:path";
import { errorMessage, type IngestFormat, KernelEvolveError, type KnowledgeAdd } from "../../domain/index.ts";
import { KERNEL_LANGUAGES } from "../sections/kernel.ts";
import { looksLikeTrace } from "./traces/detect.ts";

/** Something to add, read whole. */
export interface Original {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly format: IngestFormat;
  /** Undefined for text that was handed over. */
  readonly path: string | undefined;
}

const MIB = 1 << 20;
export const MAX_ORIGINAL_BYTES = 200 * MIB;
const MAX_BY_FORMAT: Readonly<Partial<Record<IngestFormat, number>>> = {
  markdown: 64 * MIB,
  html: 64 * MIB,
  asciidoc: 64 * MIB,
  rest: 64 * MIB,
  text: 64 * MIB,
  trace: 128 * MIB,
  kernel: 2 * MIB,
};

const BY_EXTENSION: Readonly<Record<string, IngestFormat>> = {
  ".md": "markdown",
  ".markdown": "markdown",
  ".html": "html",
  ".htm": "html",
  ".xhtml": "html",
  ".pdf": "pdf",
  ".adoc": "asciidoc",
  ".asciidoc": "asciidoc",
  ".rst": "rest",
  ".txt": "text",
  ".csv": "trace",
  ".json": "trace",
  ".hatchet": "trace",
};

const ARCHIVES: readonly [string, readonly number[]][] = [
  ["a zip archive (or docx, epub)", [0x50, 0x4b, 0x03, 0x04]],
  ["compressed with gzip", [0x1f, 0x8b]],
  ["compressed with xz", [0xfd, 0x37, 0x7a, 0x58]],
  ["compressed with zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["compressed with bzip2", [0x42, 0x5a, 0x68]],
];

function refuse(message: string, fix: string): KernelEvolveError {
  return new KernelEvolveError("invalid_argument", message, { fix });
}

/** The real path of a file that may be read. @throws invalid_argument for one outside the allowed folders. */
function allowedPath(path: string, folders: readonly string[]): string {
  let real: string;
  try {
    real = realpathSync(path);
  } catch (error) {
    throw refuse(
      `path: ${path.slice(0, 300)}: ${errorMessage(error)}`,
      "give the path of a file that is there",
    );
  }
  const inside = folders.some((folder) => {
    const stat = statSync(folder, { throwIfNoEntry: false });
    const root = stat === undefined ? folder : realpathSync(folder);
    return real.startsWith(root.endsWith(sep) ? root : root + sep);
  });
  if (inside) return real;
  throw refuse(
    `path: ${path.slice(0, 300)} lies outside the folders that may be read`,
    "move it into the working directory, or name its folder in KERNELEVOLVE_ALLOWED_PATHS",
  );
}

/** The bytes of a regular file within the limit; the same open file is measured and read. */
function readLimited(path: string): Uint8Array {
  const fd = openSync(path, "r");
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw refuse(`path: ${path} is not a regular file`, "give the path of a file");
    if (stat.size > MAX_ORIGINAL_BYTES) {
      throw refuse(
        `path: ${path} has ${Math.ceil(stat.size / MIB)} MiB, more than ${MAX_ORIGINAL_BYTES / MIB}`,
        "split it and add the parts",
      );
    }
    const bytes = new Uint8Array(stat.size);
    let length = 0;
    while (length < bytes.length) {
      const got = readSync(fd, bytes, length, bytes.length - length, null);
      if (got === 0) break;
      length += got;
    }
    return bytes.subarray(0, length);
  } finally {
    closeSync(fd);
  }
}

function startsWith(bytes: Uint8Array, mark: readonly number[]): boolean {
  return mark.every((byte, at) => bytes[at] === byte);
}

function tellFormat(name: string, bytes: Uint8Array): IngestFormat {
  if (startsWith(bytes, [0x25, 0x50, 0x44, 0x46])) return "pdf";
  const head = new TextDecoder().decode(bytes.subarray(0, 4096));
  if (/^\s*(<!--[\s\S]*?-->\s*)?(<\?xml[^>]*>\s*)?<(!doctype html|html)\b/i.test(head)) return "html";
  const extension = extname(name).toLowerCase();
  if (KERNEL_LANGUAGES.has(extension)) return "kernel";
  const known = BY_EXTENSION[extension];
  if (known !== undefined) return known;
  if (looksLikeTrace(head)) return "trace";
  if (/^\.\w+$/.test(extension) && extension !== ".log" && extension !== ".out") {
    throw refuse(`path: ${name}: the ending ${extension} tells no format`, "give format");
  }
  return "text";
}

/** Reads what is to be added. @throws invalid_argument with what is wrong and what to do. */
export function readOriginal(input: KnowledgeAdd, allowed: readonly string[]): Original {
  if ((input.path === undefined) === (input.text === undefined)) {
    throw refuse("path and text: give one of them", "path for a file, text for what you have at hand");
  }
  if (input.text !== undefined) {
    if (input.format === undefined)
      throw refuse("format: is needed with text", "say markdown, html, text, kernel or trace");
    if (input.format === "pdf") throw refuse("format: a PDF cannot be given as text", "give its path");
    if (input.title === undefined) throw refuse("title: is needed with text", "give a title");
    return checked({
      name: input.title,
      bytes: new TextEncoder().encode(input.text),
      format: input.format,
      path: undefined,
    });
  }
  const path = allowedPath(input.path ?? "", allowed);
  const bytes = readLimited(path);
  const name = basename(path);
  const archive = ARCHIVES.find(([, mark]) => startsWith(bytes, mark));
  if (archive !== undefined)
    throw refuse(`path: ${name} is ${archive[0]}`, "unpack it and add what is in it");
  return checked({ name, bytes, format: input.format ?? tellFormat(name, bytes), path });
}

function checked(original: Original): Original {
  const { name, bytes, format } = original;
  const most = MAX_BY_FORMAT[format] ?? MAX_ORIGINAL_BYTES;
  if (bytes.length > most) {
    throw refuse(
      `${name} has ${Math.ceil(bytes.length / MIB)} MiB; at most ${most / MIB} are read as ${format}`,
      "split it and add the parts",
    );
  }
  if (bytes.length === 0) throw refuse(`${name} is empty`, "give a file with something in it");
  if (format === "pdf" && !startsWith(bytes.subarray(0, 1024), [0x25, 0x50, 0x44, 0x46])) {
    throw refuse(`${name} is no PDF: it does not begin with %PDF`, "give the right format");
  }
  return original;
}

/** The text of an original that is text. @throws invalid_argument for bytes that are none. */
export function textOf({ name, bytes, format }: Original): string {
  if (bytes.includes(0)) {
    throw refuse(
      `${name} is binary, not ${format}`,
      "give the format that it has, or convert it to Markdown first",
    );
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    // Older manuals are in Latin-1; what has many bytes that no text of that kind has is refused.
    const odd = bytes.reduce(
      (count, byte) => count + (byte < 9 || (byte > 13 && byte < 32) || (byte > 126 && byte < 160) ? 1 : 0),
      0,
    );
    if (odd > bytes.length / 200)
      throw refuse(
        `${name} is not ${format} in UTF-8`,
        "convert it to UTF-8, or give the format that it has",
      );
    return new TextDecoder("latin1").decode(bytes);
  }
}
