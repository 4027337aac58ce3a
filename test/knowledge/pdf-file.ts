import { deflateSync } from "node:zlib";

/** Text at a place of a page, in points from the lower left corner. */
export interface PdfText {
  readonly x: number;
  readonly y: number;
  readonly size: number;
  readonly text: string;
}

/** A small PDF of the given pages, with an outline of titles and the pages that they point to. */
export function pdfFile(
  pages: readonly (readonly PdfText[])[],
  options: { outline?: readonly { title: string; page: number }[]; extra?: Buffer; trailer?: string } = {},
): Buffer {
  const objects: Buffer[] = [];
  const put = (text: string | Buffer): number =>
    objects.push(Buffer.isBuffer(text) ? text : Buffer.from(text, "latin1"));
  const escaped = (text: string): string => text.replace(/[\\()]/g, "\\$&");
  const { outline = [] } = options;
  const pageNumber = (at: number): number => 4 + 2 * at;
  const outlineAt = 4 + 2 * pages.length;
  put(`<< /Type /Catalog /Pages 2 0 R ${outline.length > 0 ? `/Outlines ${outlineAt} 0 R` : ""} >>`);
  put(
    `<< /Type /Pages /Count ${pages.length} /Kids [${pages.map((_, at) => `${pageNumber(at)} 0 R`).join(" ")}] >>`,
  );
  put("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>");
  for (const [at, texts] of pages.entries()) {
    put(
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents ${pageNumber(at) + 1} 0 R /Resources << /Font << /F 3 0 R >> >> >>`,
    );
    const content = texts
      .map(({ x, y, size, text }) => `BT /F ${size} Tf ${x} ${y} Td (${escaped(text)}) Tj ET`)
      .join("\n");
    const packed = deflateSync(Buffer.from(content, "latin1"));
    put(
      Buffer.concat([
        Buffer.from(`<< /Length ${packed.length} /Filter /FlateDecode >>\nstream\n`),
        packed,
        Buffer.from("\nendstream"),
      ]),
    );
  }
  if (outline.length > 0) {
    put(
      `<< /Type /Outlines /First ${outlineAt + 1} 0 R /Last ${outlineAt + outline.length} 0 R /Count ${outline.length} >>`,
    );
    for (const [at, { title, page }] of outline.entries()) {
      const next = at + 1 < outline.length ? `/Next ${outlineAt + 2 + at} 0 R` : "";
      const previous = at > 0 ? `/Prev ${outlineAt + at} 0 R` : "";
      put(
        `<< /Title (${escaped(title)}) /Parent ${outlineAt} 0 R ${next} ${previous} /Dest [${pageNumber(page - 1)} 0 R /XYZ 0 792 0] >>`,
      );
    }
  }
  if (options.extra !== undefined) put(options.extra);
  const parts: Buffer[] = [Buffer.from("%PDF-1.7\n")];
  const offsets: number[] = [];
  let length = parts[0]?.length ?? 0;
  const write = (part: Buffer): void => {
    parts.push(part);
    length += part.length;
  };
  for (const [at, object] of objects.entries()) {
    offsets.push(length);
    write(Buffer.concat([Buffer.from(`${at + 1} 0 obj\n`), object, Buffer.from("\nendobj\n")]));
  }
  const xref = length;
  const rows = offsets.map((offset) => `${String(offset).padStart(10, "0")} 00000 n \n`).join("");
  write(
    Buffer.from(
      `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${rows}trailer\n<< /Size ${objects.length + 1} /Root 1 0 R ${options.trailer ?? ""} >>\nstartxref\n${xref}\n%%EOF\n`,
    ),
  );
  return Buffer.concat(parts);
}
