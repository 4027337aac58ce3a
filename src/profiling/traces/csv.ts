/** Rows of a CSV text; quotes may hold commas, quotes and line ends. Lines of the profiler's own log (`==`) are left out. */
export function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let field = "";
  let quoted = false;
  const clean = text.replace(/^==.*$/gm, "");
  for (let at = 0; at < clean.length; at += 1) {
    const sign = clean.charAt(at);
    if (quoted) {
      if (sign === '"' && clean.charAt(at + 1) === '"') {
        field += '"';
        at += 1;
      } else if (sign === '"') quoted = false;
      else field += sign;
      continue;
    }
    if (sign === '"') quoted = true;
    else if (sign === ",") {
      row.push(field);
      field = "";
    } else if (sign === "\n") {
      row.push(field.replace(/\r$/, ""));
      if (row.some((one) => one.trim() !== "")) rows.push(row);
      row = [];
      field = "";
    } else field += sign;
  }
  row.push(field);
  if (row.some((one) => one.trim() !== "")) rows.push(row);
  return rows;
}
