import { FenceTracker } from "./blocks.ts";
import { pack } from "./pack.ts";
import { Slugs } from "./slugs.ts";

/** A retrievable piece of a document. */
export interface Section {
  /** Unique in the document; `~2` and on for further parts of one heading. */
  readonly slug: string;
  /** The slug of the heading: parts of one heading share it. */
  readonly heading: string;
  /** Document title first, then the headings down to this one. */
  readonly path: readonly string[];
  readonly text: string;
  /** Line of the text that was split, from 1. */
  readonly line: number;
  readonly page?: number;
}

/** A heading with what stands under it, up to the next one. */
export interface Heading {
  readonly level: number;
  readonly title: string;
  /** Line of the heading, from 1; 0 for the text before the first. */
  readonly line: number;
  readonly body: readonly string[];
  /** Line of the first line of `body`, from 1. */
  readonly bodyLine: number;
}

/** Written by ingestion where a page of the original begins. */
const PAGE = /^<!-- page (\d+) -->$/;

/** The mark of a page of the original, as a line. */
export function pageMark(page: number): string {
  return `<!-- page ${page} -->`;
}

function plainTitle(raw: string): string {
  return raw
    .replace(/\s+#+\s*$/, "")
    .replace(/\{#[\w-]+\}\s*$/, "")
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/(\*\*|__|`)(.+?)\1/g, "$2")
    .trim();
}

/** The headings of a Markdown text in order; `#` in code fences and HTML comments is none. */
export function headingsOf(text: string): Heading[] {
  const lines = text.split(/\r?\n/);
  const fences = new FenceTracker();
  const found: { level: number; title: string; line: number; body: string[]; bodyLine: number }[] = [
    { level: 0, title: "", line: 0, body: [], bodyLine: 1 },
  ];
  let comment = false;
  for (const [index, line] of lines.entries()) {
    const current = found.at(-1);
    if (current === undefined) break;
    if (fences.inside(line)) {
      current.body.push(line);
      continue;
    }
    if (comment || (/^\s*<!--/.test(line) && !PAGE.test(line))) {
      comment = !line.includes("-->");
      // The line stays, so that line numbers do.
      current.body.push("");
      continue;
    }
    const atx = /^ {0,3}(#{1,6})(?:[ \t]+(.*))?$/.exec(line);
    if (atx !== null) {
      found.push({
        level: atx[1]?.length ?? 1,
        title: plainTitle(atx[2] ?? ""),
        line: index + 1,
        body: [],
        bodyLine: index + 2,
      });
      continue;
    }
    const previous = current.body.at(-1) ?? "";
    const alone = (current.body.at(-2) ?? "").trim() === "";
    if (/^ {0,3}(=+|-{2,})\s*$/.test(line) && alone && /^ {0,3}[^\s|>#*+-]/.test(previous)) {
      current.body.pop();
      const level = line.trim().startsWith("=") ? 1 : 2;
      found.push({ level, title: plainTitle(previous), line: index, body: [], bodyLine: index + 2 });
      continue;
    }
    current.body.push(line);
  }
  return found;
}

/** Boilerplate that answers no question about hardware. */
const BOILERPLATE =
  /^(licen[cs]e|copyright|legal( notice| disclaimer)?|disclaimer|notices?|trademarks?|table of contents|contents|index of figures|list of (figures|tables)|revision history|change ?log)s?\b/i;

/**
 * Splits a Markdown text into sections along its headings, fences respected. Sections of licences and tables of contents are
 * left out.
 * @param title of the document: the first heading of that name is not repeated in the paths.
 */
export function splitMarkdown(text: string, title: string): Section[] {
  const sections: Section[] = [];
  const slugs = new Slugs();
  const stack: { level: number; title: string }[] = [];
  let page: number | undefined;
  for (const heading of headingsOf(text)) {
    while ((stack.at(-1)?.level ?? 0) >= heading.level && stack.length > 0) stack.pop();
    if (heading.level > 0) stack.push({ level: heading.level, title: heading.title });
    const titles = stack.map((one) => one.title).filter((one) => one !== "");
    const path = titles[0] === title ? titles : [title, ...titles];
    const { body, pages } = withoutPageMarks(heading.body);
    const skip = path.length > 1 && path.some((one, depth) => depth > 0 && BOILERPLATE.test(one));
    const before = page;
    const pageOf = (at: number): number | undefined =>
      pages.findLast((mark) => mark.index <= at)?.page ?? before;
    const pieces = skip ? [] : pack(body, pageOf);
    const slug = pieces.length === 0 ? "" : slugs.next(path.length === 1 ? "intro" : (path.at(-1) ?? ""));
    for (const [part, piece] of pieces.entries()) {
      const at = pageOf(piece.main ?? piece.at);
      sections.push({
        slug: part === 0 ? slug : `${slug}~${part + 1}`,
        heading: slug,
        path,
        text: piece.text,
        line: heading.bodyLine + piece.at,
        ...(at === undefined ? {} : { page: at }),
      });
    }
    page = pages.at(-1)?.page ?? page;
  }
  return sections;
}

function withoutPageMarks(body: readonly string[]): {
  body: string[];
  pages: { index: number; page: number }[];
} {
  const pages: { index: number; page: number }[] = [];
  const lines = body.map((line, index) => {
    const mark = PAGE.exec(line);
    if (mark === null) return line;
    pages.push({ index, page: Number(mark[1]) });
    return "";
  });
  return { body: lines, pages };
}
