/** Lines that open and close verbatim blocks: listing, literal, passthrough, comment. */
const VERBATIM = /^(-{4,}|\.{4,}|\+{4,}|\/{4,}|`{3,}.*)$/;

/** Inline markup that hides words from a search: cross references, links, attributes, anchors. */
function inline(line: string, attributes: ReadonlyMap<string, string>): string {
  return line
    .replace(/\{([\w-]+)\}/g, (whole, name: string) => attributes.get(name) ?? whole)
    .replace(/<<([^,>]+),([^>]+)>>/g, "$2")
    .replace(/<<([^>]+)>>/g, "$1")
    .replace(/xref:([^[\s]+)\[([^\]]*)\]/g, (_whole, to: string, text: string) => text || to)
    .replace(/(?:link:)?(https?:\/\/[^\s[]+)\[([^\]]*)\]/g, (_whole, url: string, text: string) =>
      text === "" ? url : `[${text}](${url})`,
    )
    .replace(/\[\[[^\]]+\]\]/g, "")
    .replace(/(?:indexterm:\[[^\]]*\]|\(\(\([^)]*\)\)\))/g, "")
    .replace(/\bstem:\[([^\]]*)\]/g, "$1");
}

/** Rows of a `|===` table: a cell begins at each `|`; a row has as many as the first line of cells, or as `cols` says. */
function table(lines: readonly string[], columns: number | undefined): string[] {
  const cells: string[] = [];
  let first = 0;
  for (const line of lines) {
    if (line.trim() === "") {
      if (first === 0 && cells.length > 0) first = cells.length;
      continue;
    }
    const parts = line.split(/(?:^|\s)(?:\d*(?:\.\d+)?[+*])?[<^>.]*[aehlmsvd]?\|/);
    const [lead = "", ...more] = parts;
    if (lead.trim() !== "" && cells.length > 0)
      cells[cells.length - 1] = `${cells.at(-1) ?? ""} ${lead.trim()}`;
    cells.push(...more.map((cell) => cell.trim()));
    if (first === 0 && more.length > 1) first = cells.length;
  }
  const width = columns ?? (first === 0 ? 1 : first);
  const rows: string[] = [];
  for (let at = 0; at < cells.length; at += width) {
    rows.push(
      `| ${cells
        .slice(at, at + width)
        .map((cell) => cell.replaceAll("|", "\\|"))
        .join(" | ")} |`,
    );
    if (at === 0) rows.push(`|${"---|".repeat(width)}`);
  }
  return rows;
}

function columnsOf(options: string): number | undefined {
  const cols = /cols="?([^"\]]+)"?/.exec(options)?.[1];
  if (cols === undefined) return undefined;
  const times = /^(\d+)\*/.exec(cols)?.[1];
  return times === undefined ? cols.split(/[,;]/).length : Number(times);
}

/** AsciiDoc as Markdown: headings, code, tables and links kept; includes, comments and attributes left out. */
export function asciidocToMarkdown(text: string): string {
  const out: string[] = [];
  const attributes = new Map<string, string>();
  const lines = text.split(/\r?\n/);
  let language = "";
  let options = "";
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? "";
    const verbatim = VERBATIM.exec(line.trimEnd());
    if (verbatim !== null) {
      const mark = verbatim[1] ?? "";
      const close = mark.startsWith("`") ? "```" : mark;
      const end = lines.findIndex((one, index) => index > at && one.trimEnd() === close);
      const stop = end < 0 ? lines.length : end;
      if (!mark.startsWith("/")) {
        const body = lines.slice(at + 1, stop);
        const fence = body.some((one) => one.startsWith("```")) ? "````" : "```";
        out.push(fence + (mark.startsWith("`") ? mark.replace(/^`+/, "") : language), ...body, fence);
      }
      at = stop;
      language = "";
      continue;
    }
    if (/^[|,!]={3,}\s*$/.test(line)) {
      const end = lines.findIndex((one, index) => index > at && one.trimEnd() === line.trimEnd());
      const stop = end < 0 ? lines.length : end;
      out.push(
        "",
        ...table(
          lines.slice(at + 1, stop).map((one) => inline(one, attributes)),
          columnsOf(options),
        ),
        "",
      );
      at = stop;
      options = "";
      continue;
    }
    const attribute = /^:([\w-]+):\s*(.*)$/.exec(line);
    if (attribute !== null) {
      attributes.set(attribute[1] ?? "", attribute[2] ?? "");
      continue;
    }
    const block = /^\[([^\]]*)\]\s*$/.exec(line);
    if (block !== null) {
      options = block[1] ?? "";
      language = /^source(?:%\w+)?,\s*"?([\w+-]+)/.exec(options)?.[1] ?? "";
      continue;
    }
    if (/^\/\/(?!\/)/.test(line) || /^(include|ifdef|ifndef|endif|ifeval|toc|image)::/.test(line)) continue;
    const heading = /^(={1,6})\s+(\S.*)$/.exec(line);
    if (heading !== null) {
      out.push(`${"#".repeat(heading[1]?.length ?? 1)} ${inline(heading[2] ?? "", attributes)}`);
      continue;
    }
    // Example, sidebar, quote and open blocks only frame what is in them.
    if (/^(={4,}|\*{4,}|_{4,}|--)$/.test(line.trimEnd())) continue;
    const item = /^(\*+|\.+|-)\s+(.*)$/.exec(line);
    if (item !== null) {
      const depth = item[1] === "-" ? 0 : (item[1]?.length ?? 1) - 1;
      const bullet = item[1]?.startsWith(".") === true ? "1." : "-";
      out.push(`${"  ".repeat(depth)}${bullet} ${inline(item[2] ?? "", attributes)}`);
      continue;
    }
    const title = /^\.([^\s.].*)$/.exec(line);
    if (title !== null) {
      out.push("", `**${inline(title[1] ?? "", attributes)}**`, "");
      continue;
    }
    out.push(line.trim() === "+" ? "" : inline(line, attributes));
  }
  return out.join("\n").replace(/\n{3,}/g, "\n\n");
}
