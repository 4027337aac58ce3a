import type { Cheerio, CheerioAPI } from "cheerio";
import { KernelEvolveError } from "../../domain/index.ts";

type DomNode = Parameters<CheerioAPI["contains"]>[0];
type Found = Cheerio<DomNode>;

const DROPPED =
  "script, style, noscript, template, svg, iframe, nav, header nav, footer, aside, form, button, [role=navigation], [role=search], .headerlink, .sphinxsidebar, .toctree-wrapper, #toc, .toc, .breadcrumbs, .related";
const BLOCKS = new Set([
  "p",
  "div",
  "section",
  "article",
  "main",
  "body",
  "ul",
  "ol",
  "li",
  "dl",
  "dt",
  "dd",
  "table",
  "pre",
  "blockquote",
  "figure",
  "figcaption",
  "h1",
  "h2",
  "h3",
  "h4",
  "h5",
  "h6",
  "hr",
  "details",
  "summary",
  "center",
  "address",
  "header",
  "tbody",
  "thead",
  "tr",
]);

/** Parsing takes time that grows with the square of how deep blocks nest. */
const MAX_BLOCKS = 5000;
/** Deeper than any page, and as deep as the library's own recursion goes. */
const MAX_DEPTH = 500;

/** How deep a page nests blocks that have to be closed. */
function blockDepth(html: string): number {
  let depth = 0;
  let most = 0;
  for (const match of html.matchAll(/<(\/?)(div|section|article|table|ul|ol|blockquote|center)\b/gi)) {
    depth = match[1] === "/" ? Math.max(0, depth - 1) : depth + 1;
    most = Math.max(most, depth);
  }
  return most;
}

/** How deep a tree is, without recursion. */
function treeDepth(root: DomNode): number {
  let level: DomNode[] = [root];
  for (let depth = 0; ; depth += 1) {
    level = level.flatMap((node) => ("children" in node ? [...node.children] : []));
    if (level.length === 0 || depth > MAX_DEPTH) return depth;
  }
}

function tooDeep(): KernelEvolveError {
  return new KernelEvolveError(
    "invalid_argument",
    "the page nests its elements deeper than any page should",
    {
      fix: "add its text as Markdown instead",
    },
  );
}

const squeeze = (text: string): string => text.replace(/\s+/g, " ");

/** Walks the tree with a stack of its own: pages nest deeper than the machine's stack. */
class Walk {
  readonly #$: CheerioAPI;
  readonly out: string[] = [];
  #line = "";

  constructor($: CheerioAPI) {
    this.#$ = $;
  }

  #flush(): void {
    const line = this.#line.trim();
    if (line !== "") this.out.push(line, "");
    this.#line = "";
  }

  run(root: DomNode): void {
    type Task = { node: DomNode } | { end: string | null };
    const tasks: Task[] = [{ node: root }];
    for (;;) {
      const task = tasks.pop();
      if (task === undefined) break;
      if ("end" in task) {
        if (task.end === null) this.#flush();
        else this.#line += task.end;
        continue;
      }
      const children = this.#enter(task.node);
      if (children === undefined) continue;
      tasks.push({ end: children.after });
      for (const node of children.nodes.toReversed()) tasks.push({ node });
    }
    this.#flush();
  }

  /** What is below a node and still to be walked, and what follows it (null: a new line); undefined when it was dealt with. */
  #enter(node: DomNode): { nodes: DomNode[]; after: string | null } | undefined {
    if (node.type === "text") {
      this.#line += squeeze(node.data);
      return undefined;
    }
    if (!("children" in node)) return undefined;
    const nodes: DomNode[] = [...node.children];
    const name = "name" in node ? node.name.toLowerCase() : "";
    const element = this.#$(node);
    const heading = /^h([1-6])$/.exec(name);
    if (heading !== null) {
      this.#flush();
      const title = squeeze(element.text())
        .replace(/[¶#]\s*$/, "")
        .trim();
      if (title !== "") this.out.push(`${"#".repeat(Number(heading[1]))} ${title}`, "");
      return undefined;
    }
    if (name === "pre") {
      this.#flush();
      this.#code(element);
      return undefined;
    }
    if (name === "table") {
      this.#flush();
      this.#table(element);
      return undefined;
    }
    if (name === "code" || name === "tt" || name === "kbd") {
      const text = squeeze(element.text()).trim();
      if (text !== "") this.#line += `\`${text}\``;
      return undefined;
    }
    if (name === "br") {
      this.#line += " ";
      return undefined;
    }
    if (name === "a") {
      const to = element.attr("href") ?? "";
      const text = squeeze(element.text()).trim();
      const shown = /^https?:\/\//.test(to) && text !== "" && !text.includes("]");
      if (!shown) return { nodes, after: "" };
      this.#line += `[${text}](${to})`;
      return undefined;
    }
    if (!BLOCKS.has(name)) return { nodes, after: name === "td" || name === "th" ? " " : "" };
    this.#flush();
    if (name === "li") this.#line = "- ";
    if (name === "dt") this.#line = "**";
    return { nodes, after: name === "dt" ? "**\n" : null };
  }

  #code(element: Found): void {
    const text = element.text().replace(/\n+$/, "").replace(/^\n+/, "");
    if (text.trim() === "") return;
    const classes = `${element.attr("class") ?? ""} ${element.find("code").attr("class") ?? ""} ${element.parent().parent().attr("class") ?? ""}`;
    const language = /\b(?:language|highlight|lang)-([\w+]+)/.exec(classes)?.[1] ?? "";
    const fence = text.includes("```") ? "````" : "```";
    this.out.push(fence + (language === "default" || language === "none" ? "" : language), text, fence, "");
  }

  #table(element: Found): void {
    const rows: string[][] = [];
    for (const row of element.find("tr").toArray()) {
      const cells = this.#$(row)
        .children("td, th")
        .toArray()
        .map((cell) => squeeze(this.#$(cell).text()).trim().replaceAll("|", "\\|"));
      if (cells.some((cell) => cell !== "")) rows.push(cells);
    }
    const width = Math.max(0, ...rows.map((row) => row.length));
    const caption = squeeze(element.find("caption").first().text()).trim();
    if (caption !== "") this.out.push(caption, "");
    // One column is a frame, not a table.
    if (width < 2) {
      for (const [cell = ""] of rows) this.out.push(cell, "");
      return;
    }
    for (const [at, row] of rows.entries()) {
      this.out.push(`| ${Array.from({ length: width }, (_, column) => row[column] ?? "").join(" | ")} |`);
      if (at === 0) this.out.push(`|${"---|".repeat(width)}`);
    }
    this.out.push("");
  }
}

/** A page as Markdown: headings, code and tables kept as they are, mnemonics unescaped; navigation and scripts left out. */
export async function htmlToMarkdown(html: string): Promise<{ title: string; markdown: string }> {
  if (blockDepth(html) > MAX_BLOCKS) throw tooDeep();
  const { load } = await import("cheerio");
  const $ = load(html);
  if (
    $.root()
      .toArray()
      .some((node) => treeDepth(node) > MAX_DEPTH)
  )
    throw tooDeep();
  const title = squeeze($("h1").first().text() || $("title").first().text())
    .replace(/[¶#]\s*$/, "")
    .trim();
  $(DROPPED).remove();
  const main = ["main", "[role=main]", "article", "#content", "body"]
    .map((selector) => $(selector).first())
    .find((one) => squeeze(one.text()).trim().length > 40);
  const root = (main ?? $.root()).get(0);
  const walk = new Walk($);
  if (root !== undefined) walk.run(root);
  const markdown = walk.out
    .join("\n")

    .replace(/\n{3,}/g, "\n\n")
    .trim();
  return { title, markdown };
}
