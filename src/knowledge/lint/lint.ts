import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import {
  errorMessage,
  KernelEvolveError,
  type LintIssue,
  type LintReport,
  type TargetSpec,
  type WorkContext,
} from "../../domain/index.ts";
import { type DocumentRoot, readTextFile, type SourceFile, scanSources } from "../index/sources.ts";
import { headingsOf, splitMarkdown } from "../sections/markdown.ts";
import { type ParsedDocument, parseFrontMatter } from "../text/front-matter.ts";
import { fillReferences } from "../text/references.ts";
import { SectionTwins } from "./duplicates.ts";
import { SnippetCompiler, snippetsOf } from "./snippets.ts";

const MAX_SECTION_WORDS = 700;
const OWN_RUN = /^run run_\w+, evaluation eval_[\w-]+/;
const URL = /^https?:\/\/[^\s]+\.[^\s]+$/;

/** What one document is checked against. */
interface Place {
  readonly source: SourceFile;
  readonly document: ParsedDocument;
  readonly specs: ReadonlyMap<string, TargetSpec>;
  readonly report: (line: number, rule: string, message: string, level?: LintIssue["level"]) => void;
}

function checkMatter({ source, document, specs, report }: Place): void {
  const { matter } = document;
  if (matter.target !== "any" && !specs.has(matter.target)) {
    report(1, "target", `there is no target "${matter.target}"`);
  }
  const [folder] = source.folders;
  if (source.id.startsWith("hardware-docs/") && folder !== undefined && matter.target !== folder) {
    report(1, "target", `is in the folder of ${folder}, but says target: ${matter.target}`);
  }
  if (matter.sources.length === 0) report(1, "sources", "names no source");
  for (const one of matter.sources) {
    // What a run of this server taught has its evaluation for a source.
    if (!source.trusted && OWN_RUN.test(one.title)) continue;
    if (one.url === undefined || !URL.test(one.url)) {
      report(
        1,
        "sources",
        `source "${one.title.slice(0, 80)}" has no public address`,
        source.trusted ? "error" : "warning",
      );
    }
  }
}

function checkHeadings({ document, report }: Place): void {
  const headings = headingsOf(document.body);
  const titles = headings.filter((heading) => heading.level === 1);
  const at = (line: number): number => document.bodyLine + line - 1;
  const [first] = titles;
  if (first === undefined) report(document.bodyLine, "title", `has no heading "# ${document.matter.title}"`);
  else if (first.title !== document.matter.title.replaceAll("`", "")) {
    report(
      at(first.line),
      "title",
      `the heading "${first.title}" is not the front matter's "${document.matter.title}"`,
    );
  }
  for (const more of titles.slice(1)) report(at(more.line), "title", `a second # heading "${more.title}"`);
  let level = 1;
  for (const heading of headings.filter((one) => one.level > 1)) {
    if (heading.level > level + 1)
      report(at(heading.line), "headings", `"${heading.title}" skips a level`, "warning");
    level = heading.level;
    const words = heading.body.join(" ").split(/\s+/).length;
    if (words > MAX_SECTION_WORDS) {
      report(at(heading.line), "length", `"${heading.title}" has ${words} words: split it`, "warning");
    }
  }
}

/** Lines outside code fences and inline code, with their numbers in the file. */
function proseLines(document: ParsedDocument): { line: number; text: string }[] {
  const code = new Set<number>();
  for (const snippet of snippetsOf(document.body))
    for (let at = snippet.line; at <= snippet.end; at += 1) code.add(at);
  return document.body
    .split(/\r?\n/)
    .flatMap((text, index) =>
      code.has(index + 1) ? [] : [{ line: document.bodyLine + index, text: text.replace(/`[^`]*`/g, "") }],
    );
}

function checkLinks({ source, document, specs, report }: Place): void {
  for (const { line, text } of proseLines(document)) {
    for (const match of text.matchAll(/\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g)) {
      const to = match[1] ?? "";
      if (/^[a-z][a-z0-9+.-]*:/i.test(to)) continue;
      const [file = "", anchor] = to.split("#");
      const path = file === "" ? source.file : resolve(dirname(source.file), decodeURI(file));
      if (!existsSync(path)) report(line, "link", `${to} leads nowhere`);
      else if (anchor !== undefined && path.endsWith(".md") && !hasAnchor(path, anchor)) {
        report(line, "link", `${to}: there is no such heading`, "warning");
      }
    }
  }
  for (const dead of fillReferences(document.body, document.matter.target, specs).dead) {
    report(document.bodyLine + dead.line - 1, "reference", `${dead.text}: ${dead.message}`);
  }
}

function hasAnchor(file: string, anchor: string): boolean {
  try {
    const { document } = parseFrontMatter(readTextFile(file));
    const wanted = anchor.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "");
    return headingsOf(document?.body ?? "").some(
      ({ title }) => title.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "") === wanted,
    );
  } catch {
    return false;
  }
}

/** Checks the form of every document below the roots: front matter, sources, headings, links, references, twins, snippets. */
export async function lintDocuments(
  roots: readonly DocumentRoot[],
  targets: readonly TargetSpec[],
  options: { compile: boolean },
  context: WorkContext,
): Promise<LintReport> {
  const specs = new Map(targets.map((spec) => [spec.id, spec]));
  const issues: LintIssue[] = [];
  const twins = new SectionTwins();
  const compiler = new SnippetCompiler();
  const titles = new Map<string, string>();
  const sources = scanSources(roots).filter((source) => source.form === "markdown");
  let compiled = 0;
  let skipped = 0;
  for (const [index, source] of sources.entries()) {
    context.signal.throwIfAborted();
    context.report({ progress: index, total: sources.length, message: source.id });
    const report: Place["report"] = (line, rule, message, level = "error") => {
      issues.push({ file: source.file, line, level, rule, message });
    };
    let text: string;
    try {
      text = readTextFile(source.file);
    } catch (error) {
      report(1, "file", errorMessage(error));
      continue;
    }
    const { document, issues: found } = parseFrontMatter(text);
    for (const issue of found) report(issue.line, "front-matter", issue.message);
    if (document === undefined) continue;
    const place: Place = { source, document, specs, report };
    checkMatter(place);
    if (source.trusted) checkHeadings(place);
    checkLinks(place);
    const { matter } = document;
    const twin = titles.get(`${matter.target}\n${matter.title}`);
    if (twin !== undefined) report(1, "title", `"${matter.title}" is also the title of ${twin}`);
    titles.set(`${matter.target}\n${matter.title}`, source.file);
    for (const section of splitMarkdown(document.body, matter.title)) {
      const other = twins.add(section.text, `${source.id}#${section.slug}`);
      if (other !== undefined)
        report(document.bodyLine + section.line - 1, "duplicate", `says nearly the same as ${other}`);
    }
    for (const snippet of snippetsOf(document.body)) {
      if (!snippet.compile) {
        if (snippet.language === "")
          report(document.bodyLine + snippet.line - 1, "fence", "the code has no language", "warning");
        continue;
      }
      const arch = specs.get(matter.target)?.requires.arch;
      const here = source.trusted && (arch === undefined || arch.includes(process.arch));
      const answer =
        options.compile && here
          ? await compiler.check(snippet, context.signal)
          : { skipped: "not for this machine" };
      if ("skipped" in answer) skipped += 1;
      else compiled += 1;
      if ("failed" in answer) report(document.bodyLine + snippet.line - 1, "snippet", answer.failed);
      if ("invalid" in answer) report(document.bodyLine + snippet.line - 1, "snippet", answer.invalid);
    }
  }
  await compiler.close();
  if (sources.length === 0) {
    throw new KernelEvolveError("not_found", `no documents in ${roots.map((root) => root.path).join(", ")}`, {
      fix: "name a folder that has documents",
    });
  }
  return { documents: sources.length, snippets: { compiled, skipped }, issues };
}
