import type { Cheerio, CheerioAPI } from "cheerio";

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
    type Task = { node: DomNode } | { end: string };
    const tasks: Task[] = [{ node: root }];
    for (;;) {
      const task = tasks.pop();
      if (task === undefined) break;
      if ("end" in task) {
        if (task.end === "") this.#flush();
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

  /** What is below a node and still to be walked; undefined when it was dealt with. */
  #enter(node: DomNode): { nodes: DomNode[]; after: string } | undefined {
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
      if (!shown) return { nodes, after: " ".repeat(0) };
      this.#line += `[${text}](${to})`;
      return undefined;
    }
    if (!BLOCKS.has(name)) return { nodes, after: name === "td" || name === "th" ? " " : "\u0000" };
    this.#flush();
    if (name === "li") this.#line = "- ";
    if (name === "dt") this.#line = "**";
    return { nodes, after: name === "dt" ? "**\n" : "" };
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
  const { load } = await import("cheerio");
  const $ = load(html);
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
    .replaceAll("\u0000", "")
    .replace(/\n{3,}/g, "\n\n")
    .trim();
  return { title, markdown };
}
