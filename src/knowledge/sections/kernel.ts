import type { Section } from "./markdown.ts";
import { pack } from "./pack.ts";
import { Slugs } from "./slugs.ts";

/** Languages whose sources are split at top-level functions, by the end of the file's name. */
export const KERNEL_LANGUAGES: ReadonlyMap<string, string> = new Map([
  [".c", "c"],
  [".h", "c"],
  [".cpp", "cpp"],
  [".cc", "cpp"],
  [".hpp", "cpp"],
  [".cu", "cuda"],
  [".cuh", "cuda"],
  [".hip", "hip"],
  [".cl", "opencl"],
  [".py", "python"],
]);

interface Part {
  readonly name: string;
  readonly comment: string;
  readonly lines: readonly string[];
  readonly line: number;
}

/** How deep in braces each line ends, outside comments, strings and characters. */
function braceDepths(lines: readonly string[]): number[] {
  let depth = 0;
  let comment = false;
  return lines.map((line) => {
    for (let i = 0; i < line.length; i += 1) {
      const two = line.slice(i, i + 2);
      if (comment) {
        if (two === "*/") {
          comment = false;
          i += 1;
        }
        continue;
      }
      if (two === "//") break;
      if (two === "/*") {
        comment = true;
        i += 1;
        continue;
      }
      const sign = line.charAt(i);
      if (sign === '"' || sign === "'") {
        let end = i + 1;
        while (end < line.length && line.charAt(end) !== sign) end += line.charAt(end) === "\\" ? 2 : 1;
        // A single quote may be a digit separator: then there is no second one near.
        if (end < line.length && (sign === '"' || end - i <= 4)) i = end;
        continue;
      }
      if (sign === "{") depth += 1;
      else if (sign === "}") depth = Math.max(0, depth - 1);
    }
    return depth;
  });
}

function signatureName(lines: readonly string[], python: boolean): string {
  const text = lines.join("\n");
  const found = python
    ? /^(?:async )?(?:def|class)\s+(\w+)/m.exec(text)
    : (/\b(\w+)\s*\([^;{}]*\)\s*(?:const\s*)?(?:noexcept\s*)?\{/.exec(text) ??
      /\b(?:struct|class|enum)\s+(\w+)/.exec(text));
  return found?.[1] ?? "";
}

function commentText(lines: readonly string[]): string {
  return lines
    .map((line) =>
      line
        .replace(/^\s*(\/\/+!?|\/\*+|\*+\/|\*|#+)\s?/, "")
        .replace(/\*\/\s*$/, "")
        .trim(),
    )
    .filter((line) => line !== "" && !line.startsWith("ke:") && !line.startsWith("!"))
    .join(" ")
    .trim();
}

/** Top-level parts of a C-like source: a comment block and the function or declarations after it. */
function partsOfC(lines: readonly string[]): Part[] {
  const depths = braceDepths(lines);
  const parts: Part[] = [];
  let from = 0;
  const end = (to: number): void => {
    const body = lines.slice(from, to);
    if (body.some((line) => line.trim() !== "")) parts.push(part(body, from, false));
    from = to;
  };
  for (let index = 0; index < lines.length; index += 1) {
    const closes = (depths[index] ?? 0) === 0 && index > 0 && (depths[index - 1] ?? 0) > 0;
    const oneLine = (depths[index] ?? 0) === 0 && /^\S.*\)\s*\{.*\}\s*$/.test(lines[index] ?? "");
    if (closes || oneLine) end(index + 1);
    else if (
      (depths[index] ?? 0) === 0 &&
      (lines[index] ?? "").trim() === "" &&
      startsFunction(lines, index + 1)
    )
      end(index);
  }
  end(lines.length);
  return parts;
}

/** Whether a comment or a function begins at `index`, so that what stands before is a part of its own. */
function startsFunction(lines: readonly string[], index: number): boolean {
  const line = lines[index] ?? "";
  return /^(\/\/|\/\*)/.test(line) || /^[A-Za-z_][\w\s*&:<>,]*\(/.test(line);
}

function partsOfPython(lines: readonly string[]): Part[] {
  const parts: Part[] = [];
  let from = 0;
  let quoted = false;
  const end = (to: number): void => {
    const body = lines.slice(from, to);
    if (body.some((line) => line.trim() !== "")) parts.push(part(body, from, true));
    from = to;
  };
  for (const [index, line] of lines.entries()) {
    const was = quoted;
    if (((line.match(/"""|'''/g) ?? []).length & 1) === 1) quoted = !quoted;
    if (was || index === 0) continue;
    const begins = /^(?:@|(?:async )?def\s|class\s|# %%)/.test(line);
    const previous = lines[index - 1] ?? "";
    if (begins && !/^(@|#)/.test(previous)) end(index);
    else if (line.startsWith("#") && previous.trim() === "") end(index);
  }
  end(lines.length);
  return parts;
}

function part(body: readonly string[], from: number, python: boolean): Part {
  const skip = body.findIndex((line) => line.trim() !== "");
  const trimmed = body.slice(Math.max(0, skip));
  const comment: string[] = [];
  let block = false;
  for (const line of trimmed) {
    const opens = /^\s*\/\*/.test(line);
    if (!(block || opens || /^\s*(\/\/|\*)/.test(line) || (python && /^\s*#/.test(line)))) break;
    block = (block || opens) && !line.includes("*/");
    comment.push(line);
  }
  return {
    name: signatureName(trimmed.slice(comment.length), python),
    comment: commentText(comment),
    lines: trimmed,
    line: from + Math.max(0, skip) + 1,
  };
}

/** The first sentence of a comment, for a title. */
export function firstSentence(comment: string, limit = 100): string {
  const sentence = /^(.+?[.:;])(?:\s|$)/.exec(comment)?.[1] ?? comment;
  return sentence
    .replace(/[.:;]$/, "")
    .slice(0, limit)
    .trim();
}

/**
 * Splits the source of a kernel at its top-level functions; each keeps the comment above it, which is its title. Small parts
 * that follow each other are one section.
 */
export function splitKernel(source: string, title: string, language: string): Section[] {
  const python = language === "python";
  const lines = source.split(/\r?\n/);
  const slugs = new Slugs();
  const sections: Section[] = [];
  for (const one of joinSmall(python ? partsOfPython(lines) : partsOfC(lines))) {
    const name = [one.name, firstSentence(one.comment)].filter((text) => text !== "").join(": ");
    const path = name === "" || name === title ? [title] : [title, name];
    const slug = slugs.next(one.name === "" ? "source" : one.name);
    const pieces = pack([`\`\`\`${language}`, ...one.lines, "```"]);
    for (const [index, piece] of pieces.entries()) {
      sections.push({
        slug: index === 0 ? slug : `${slug}~${index + 1}`,
        heading: slug,
        path,
        text: piece.text,
        line: one.line + Math.max(0, piece.at - 1),
      });
    }
  }
  return sections;
}

const SMALL = 350;
/** A few imports or macros belong to what follows, however long that is. */
const TINY = 120;

function joinSmall(parts: readonly Part[]): Part[] {
  const joined: Part[] = [];
  for (const one of parts) {
    const last = joined.at(-1);
    const size = (part: Part): number => part.lines.reduce((sum, line) => sum + line.length + 1, 0);
    const joins = (first: number, second: number): boolean =>
      first < TINY || (first + second < 2 * SMALL && (first < SMALL || second < SMALL));
    if (last !== undefined && joins(size(last), size(one))) {
      joined[joined.length - 1] = {
        name: [last.name, one.name]
          .filter((name) => name !== "")
          .slice(0, 4)
          .join(", "),
        comment: last.comment === "" ? one.comment : last.comment,
        lines: [...last.lines, "", ...one.lines],
        line: last.line,
      };
    } else joined.push(one);
  }
  return joined;
}
