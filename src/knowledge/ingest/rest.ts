const PUNCTUATION = /^([!-/:-@[-`{-~])\1{2,}\s*$/;

function inline(line: string): string {
  return line
    .replace(/``([^`]+)``/g, "`$1`")
    .replace(/:[\w:+.-]+:`([^`<]*?)\s*<[^>`]*>`/g, "$1")
    .replace(/:[\w:+.-]+:`([^`]*)`/g, "`$1`")
    .replace(/`([^`<]+?)\s*<(https?:[^>]+)>`__?/g, "[$1]($2)")
    .replace(/`([^`<]+)`__?(?!\w)/g, "$1")
    .replace(/\|([\w-]+)\|_?/g, "$1");
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length;
}

/** The lines that are indented deeper than `indent` from `from` on, blank ones between included; where they end. */
function indented(lines: readonly string[], from: number, indent: number): { body: string[]; next: number } {
  let next = from;
  while (next < lines.length) {
    const line = lines[next] ?? "";
    if (line.trim() !== "" && indentOf(line) <= indent) break;
    next += 1;
  }
  const body = lines.slice(from, next);
  while ((body[0] ?? "x").trim() === "") body.shift();
  while ((body.at(-1) ?? "x").trim() === "") body.pop();
  const margin = Math.min(...body.filter((line) => line.trim() !== "").map(indentOf));
  return { body: body.map((line) => line.slice(Number.isFinite(margin) ? margin : 0)), next };
}

function piped(rows: readonly (readonly string[])[]): string[] {
  const width = Math.max(0, ...rows.map((row) => row.length));
  const line = (row: readonly string[]): string =>
    `| ${Array.from({ length: width }, (_, at) => (row[at] ?? "").trim().replaceAll("|", "\\|")).join(" | ")} |`;
  const [head, ...rest] = rows;
  return head === undefined ? [] : ["", line(head), `|${"---|".repeat(width)}`, ...rest.map(line), ""];
}

/** Cells cut at the columns that a rule of `=` or `+---+` draws; a row's further lines are joined to it. */
function cutAt(line: string, starts: readonly number[]): string[] {
  return starts.map((start, at) =>
    line
      .slice(start, starts[at + 1] ?? line.length)
      .replace(/[|+\s]+$/, "")
      .trim(),
  );
}

function simpleTable(lines: readonly string[]): string[] {
  const rule = lines[0] ?? "";
  const starts = [...rule.matchAll(/=+/g)].map((match) => match.index);
  const rows: string[][] = [];
  for (const line of lines.slice(1)) {
    if (/^[=\s-]+$/.test(line)) continue;
    const cells = cutAt(line, starts);
    const last = rows.at(-1);
    if ((cells[0] ?? "") === "" && last !== undefined) {
      for (const [at, cell] of cells.entries()) if (cell !== "") last[at] = `${last[at] ?? ""} ${cell}`;
    } else rows.push(cells);
  }
  return piped(rows);
}

function gridTable(lines: readonly string[]): string[] {
  const starts = [...(lines[0] ?? "").matchAll(/\+(?=[-=])/g)].map((match) => match.index + 1);
  const rows: string[][] = [];
  let open = false;
  for (const line of lines) {
    if (/^\s*\+[-=+]+\+?\s*$/.test(line)) {
      open = false;
      continue;
    }
    const cells = cutAt(line, starts);
    const last = rows.at(-1);
    if (open && last !== undefined) {
      for (const [at, cell] of cells.entries()) last[at] = `${last[at] ?? ""} ${cell}`.trim();
    } else rows.push(cells);
    open = true;
  }
  return piped(rows);
}

function listTable(body: readonly string[]): string[] {
  const rows: string[][] = [];
  for (const line of body) {
    const start = /^\*\s+-\s?(.*)$/.exec(line);
    const cell = /^\s+-\s?(.*)$/.exec(line);
    const last = rows.at(-1);
    if (start !== null) rows.push([inline(start[1] ?? "")]);
    else if (cell !== null) last?.push(inline(cell[1] ?? ""));
    else if (last !== undefined && line.trim() !== "" && !/^:\w/.test(line)) {
      last[last.length - 1] = `${last.at(-1) ?? ""} ${inline(line.trim())}`;
    }
  }
  return piped(rows);
}

function directive(name: string, argument: string, body: string[]): string[] {
  if (["code-block", "code", "sourcecode", "highlight", "parsed-literal", "literalinclude"].includes(name)) {
    const code = body.filter((line, at) => !(/^:[\w-]+:/.test(line) && at < 6));
    while ((code[0] ?? "x").trim() === "") code.shift();
    return code.length === 0 ? [] : ["", `\`\`\`${argument}`, ...code, "```", ""];
  }
  if (name === "list-table") return listTable(body);
  if (name === "math")
    return ["", "```math", argument, ...body, "```", ""].filter((line, at) => line !== "" || at !== 2);
  if (
    ["image", "toctree", "contents", "index", "only", "raw", "include", "role", "default-domain"].includes(
      name,
    )
  )
    return [];
  const label = /^(note|warning|important|tip|caution|attention|hint|danger|error|seealso)$/.test(name)
    ? `**${name}:** `
    : "";
  const lead = argument === "" ? [] : [`${label}${inline(argument)}`];
  return [
    "",
    ...lead,
    ...(lead.length === 0 && label !== "" ? [label.trim()] : []),
    ...restToMarkdown(body.filter((line) => !/^:[\w-]+:/.test(line)).join("\n")).split("\n"),
    "",
  ];
}

/** reStructuredText as Markdown: headings by their underlines, code, tables and notes kept; other directives unwrapped. */
export function restToMarkdown(text: string): string {
  const lines = text.split(/\r?\n/);
  const out: string[] = [];
  const levels: string[] = [];
  const heading = (style: string, title: string): void => {
    if (!levels.includes(style)) levels.push(style);
    out.push(`${"#".repeat(Math.min(6, levels.indexOf(style) + 1))} ${inline(title.trim())}`, "");
  };
  for (let at = 0; at < lines.length; ) {
    const line = lines[at] ?? "";
    const next = lines[at + 1] ?? "";
    const under = lines[at + 2] ?? "";
    if (PUNCTUATION.test(line) && next.trim() !== "" && line.trim() === under.trim()) {
      heading(`over${line.charAt(0)}`, next);
      at += 3;
      continue;
    }
    if (
      line.trim() !== "" &&
      /^\S/.test(line) &&
      PUNCTUATION.test(next) &&
      next.trim().length >= Math.min(line.trim().length, 4) &&
      !/^[=+][=\s+-]+$/.test(line)
    ) {
      heading(next.charAt(0), line);
      at += 2;
      continue;
    }
    if (/^={2,}(\s+={2,})+\s*$/.test(line)) {
      let end = at + 1;
      while (end < lines.length && !((lines[end] ?? "") === "" && /^[=\s]+$/.test(lines[end - 1] ?? "")))
        end += 1;
      out.push(...simpleTable(lines.slice(at, end).map(inline)));
      at = end;
      continue;
    }
    if (/^\s*\+[-=]+(\+[-=]+)*\+\s*$/.test(line)) {
      let end = at;
      while (end < lines.length && /^\s*[+|]/.test(lines[end] ?? "")) end += 1;
      out.push(...gridTable(lines.slice(at, end)));
      at = end;
      continue;
    }
    const marked = /^(\s*)\.\.\s+(?:\|[^|]+\|\s+)?([\w-]+)::\s*(.*)$/.exec(line);
    if (marked !== null) {
      const { body, next: after } = indented(lines, at + 1, marked[1]?.length ?? 0);
      out.push(...directive(marked[2] ?? "", (marked[3] ?? "").trim(), body));
      at = after;
      continue;
    }
    if (/^\s*\.\.(\s|$)/.test(line)) {
      // A comment, a target or a footnote.
      const { body, next: after } = indented(lines, at + 1, indentOf(line));
      const note = /^\s*\.\.\s+\[[^\]]+\]\s+(.*)$/.exec(line)?.[1];
      if (note !== undefined) out.push([note, ...body].map(inline).join(" "));
      at = after;
      continue;
    }
    if (/::\s*$/.test(line) && (next.trim() === "" || indentOf(next) > indentOf(line))) {
      const { body, next: after } = indented(lines, at + 1, indentOf(line));
      const lead = inline(line.replace(/\s*::\s*$/, line.trim() === "::" ? "" : ":"));
      out.push(
        ...(lead.trim() === "" ? [] : [lead]),
        ...(body.length === 0 ? [] : ["", "```", ...body, "```", ""]),
      );
      at = after;
      continue;
    }
    out.push(inline(line));
    at += 1;
  }
  return out.join("\n").replace(/\n{3,}/g, "\n\n");
}
