/** A run of text on a page, as pdf.js gives it. */
export interface TextItem {
  readonly text: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** A line of a page. */
export interface Row {
  readonly text: string;
  readonly y: number;
  readonly height: number;
  /** Cells were joined: it is a row of a table, a register diagram or the like. */
  readonly cells: readonly string[];
}

/** Items of one page as rows from top to bottom; a gap of more than a character's height parts two cells. */
export function rowsOf(items: readonly TextItem[]): Row[] {
  const lines: { y: number; height: number; items: TextItem[] }[] = [];
  const sorted = items.filter((item) => item.text.trim() !== "").toSorted((a, b) => b.y - a.y || a.x - b.x);
  for (const item of sorted) {
    const last = lines.at(-1);
    if (last !== undefined && Math.abs(last.y - item.y) <= 0.45 * Math.max(last.height, item.height, 1)) {
      last.items.push(item);
      last.height = Math.max(last.height, item.height);
    } else lines.push({ y: item.y, height: item.height, items: [item] });
  }
  return lines.map(({ y, height, items: line }) => {
    const cells: string[] = [];
    let end = Number.NEGATIVE_INFINITY;
    for (const item of line.toSorted((a, b) => a.x - b.x)) {
      const gap = item.x - end;
      const size = Math.max(height, 1);
      const before = cells.at(-1);
      if (before === undefined || gap > size) cells.push(item.text.trim());
      else {
        const space = gap > 0.15 * size || /\s$/.test(before) || /^\s/.test(item.text) ? " " : "";
        cells[cells.length - 1] = `${before.trimEnd()}${space}${item.text.trim()}`;
      }
      end = Math.max(end, item.x + item.width);
    }
    return { text: cells.join(" | "), y, height, cells };
  });
}

/** A row without what changes from page to page: by it running heads are known. */
export function rowShape(text: string): string {
  return text
    .toLowerCase()
    .replace(/\d+/g, "#")
    .replace(/\b[ivxlc]+\b/g, "#")
    .replace(/\s+/g, " ")
    .trim();
}

/** Rows as Markdown lines: rows of cells that follow each other are a table, far ones are parted by a blank line. */
export function rowsToLines(rows: readonly (Row & { readonly level?: number })[]): string[] {
  const lines: string[] = [];
  let before: Row | undefined;
  for (const [at, row] of rows.entries()) {
    if (row.level !== undefined) {
      lines.push("", `${"#".repeat(Math.min(6, row.level))} ${row.cells.join(" ")}`, "");
      before = undefined;
      continue;
    }
    const gap = before === undefined ? 0 : before.y - row.y;
    if (gap > 1.9 * Math.max(row.height, 1) && row.cells.length < 2) lines.push("");
    const isRow = (one: Row | undefined): boolean => (one?.cells.length ?? 0) > 1;
    const table = isRow(row) && (isRow(rows[at - 1]) || isRow(rows[at + 1]));
    // Signs of Markdown at the start of a line are the manual's own text here.
    const plain = row.text.replace(/^(\s*)(#{1,6}\s|```|~~~|---+\s*$|===+\s*$)/, "$1\\$2");
    lines.push(table ? `| ${row.cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |` : plain);
    before = row;
  }
  return lines;
}
