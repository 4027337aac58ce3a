import { z } from "zod";
import { errorMessage, KernelEvolveError, type WorkContext } from "../../domain/index.ts";
import { pageMark } from "../sections/markdown.ts";
import { guardAgainstBombs } from "./pdf-guard.ts";
import { type Row, rowShape, rowsOf, rowsToLines, type TextItem } from "./pdf-rows.ts";

const itemSchema = z.object({
  str: z.string(),
  transform: z.array(z.number()).min(6),
  width: z.number(),
  height: z.number(),
});
interface OutlineItem {
  readonly title: string;
  readonly dest: unknown;
  readonly items: readonly OutlineItem[];
}
const outlineSchema: z.ZodType<OutlineItem> = z.lazy(() =>
  z.object({ title: z.string(), dest: z.unknown(), items: z.array(outlineSchema) }),
);
const refSchema = z.object({ num: z.int(), gen: z.int() });

const SAMPLE = 40;
/** Running heads stand in the uppermost or lowest part of a page, and there among the first rows. */
const BAND = 0.1;
const EDGE = 3;
/** A page with more runs of text than this is no page of a manual. */
const MAX_ITEMS = 200_000;
const MAX_OUTLINE = 20_000;
/** Fewer characters a page than this, on average: pictures of pages. */
const SCANNED = 25;

/** A PDF that can be read page by page. */
export interface PdfReader {
  readonly pages: number;
  readonly title: string;
  /** Markdown of the pages `from` to `to` (from 1, both included), with page marks and the headings that are open at the start. */
  markdown(from: number, to: number, context: WorkContext): Promise<string>;
  close(): Promise<void>;
}

function refuse(message: string, fix: string, cause?: unknown): KernelEvolveError {
  return new KernelEvolveError("invalid_argument", message, {
    fix,
    ...(cause === undefined ? {} : { cause }),
  });
}

async function openDocument(
  bytes: Uint8Array,
  name: string,
): Promise<Awaited<ReturnType<typeof import("unpdf")["getDocumentProxy"]>>> {
  let unpdf: typeof import("unpdf");
  try {
    unpdf = await import("unpdf");
  } catch (error) {
    throw new KernelEvolveError("missing_tool", `unpdf cannot be loaded: ${errorMessage(error)}`, {
      fix: "npm install unpdf",
      cause: error,
    });
  }
  try {
    // The library keeps what it is given: it gets a copy.
    return await unpdf.getDocumentProxy(new Uint8Array(bytes), {
      verbosity: 0,
      isEvalSupported: false,
      stopAtErrors: false,
    });
  } catch (error) {
    const kind = error instanceof Error ? error.name : "";
    if (kind === "PasswordException") {
      throw refuse(
        `${name} is encrypted and needs a password`,
        "save a copy without one, for example: qpdf --decrypt --password=… in.pdf out.pdf",
        error,
      );
    }
    throw refuse(
      `${name} is no PDF that can be read: ${errorMessage(error)}`,
      "open it in a viewer and print it to a new PDF",
      error,
    );
  }
}

type Pdf = Awaited<ReturnType<typeof openDocument>>;

interface PageText {
  readonly rows: Row[];
  /** Above and below these heights running heads may stand. */
  readonly top: number;
  readonly bottom: number;
}

async function pageOf(pdf: Pdf, number: number, name: string): Promise<PageText> {
  const page = await pdf.getPage(number);
  try {
    const content = await page.getTextContent();
    if (content.items.length > MAX_ITEMS) {
      throw refuse(
        `${name}: page ${number} has ${content.items.length} runs of text`,
        "leave the page out, or add the HTML edition",
      );
    }
    const items = content.items.flatMap((item): TextItem[] => {
      const { data } = itemSchema.safeParse(item);
      if (data === undefined) return [];
      const [a = 1, b = 0, c = 0, d = 1, x = 0, y = 0] = data.transform;
      // Text along the margin reads upwards: watermarks and the like.
      if (Math.abs(b) > Math.abs(a) && Math.abs(c) > Math.abs(d)) return [];
      return [{ text: data.str, x, y, width: data.width, height: Math.hypot(c, d) || data.height }];
    });
    const [, low = 0, , high = 792] = page.view;
    const band = BAND * (high - low);
    return { rows: rowsOf(items), top: high - band, bottom: low + band };
  } finally {
    page.cleanup();
  }
}

/** Rows of a page where running heads may stand, with what is the same about them on every page. */
function edgesOf({ rows, top, bottom }: PageText): Map<Row, string[]> {
  const edges = [
    ...rows.slice(0, EDGE).filter((row) => row.y > top),
    ...rows.slice(-EDGE).filter((row) => row.y < bottom),
  ];
  return new Map(
    edges.map((row) => {
      const place = `@${Math.round(row.y / 3)}`;
      // A chapter's title beside the page's number changes with the chapter, but stands where it always stands.
      const numbered = [row.cells[0], row.cells.at(-1)].some((cell) => /^(\d+|[ivxlc]+)$/i.test(cell ?? ""));
      return [row, [`${rowShape(row.text)}${place}`, ...(numbered ? [`#${place}`] : [])]];
    }),
  );
}

/** Titles of the outline by the page that they point to. */
async function headingsByPage(pdf: Pdf): Promise<Map<number, { title: string; level: number }[]>> {
  const byPage = new Map<number, { title: string; level: number }[]>();
  const parsed = z.array(outlineSchema).safeParse(await pdf.getOutline().catch(() => null));
  if (!parsed.success) return byPage;
  const tasks = parsed.data.map((item) => ({ item, level: 2 })).toReversed();
  for (let seen = 0; seen < MAX_OUTLINE; seen += 1) {
    const task = tasks.pop();
    if (task === undefined) break;
    const { item, level } = task;
    for (const child of item.items.toReversed()) tasks.push({ item: child, level: Math.min(5, level + 1) });
    try {
      const to: unknown = typeof item.dest === "string" ? await pdf.getDestination(item.dest) : item.dest;
      const target: unknown = Array.isArray(to) ? to[0] : undefined;
      const ref = refSchema.safeParse(target);
      const index = ref.success
        ? await pdf.getPageIndex(ref.data)
        : typeof target === "number"
          ? target
          : undefined;
      if (index === undefined) continue;
      const list = byPage.get(index + 1) ?? [];
      list.push({ title: item.title.replace(/\s+/g, " ").trim(), level });
      byPage.set(index + 1, list);
    } catch {
      // An entry that points nowhere.
    }
  }
  return byPage;
}

interface Looks {
  /** Shapes of rows that repeat at the edges of pages. */
  readonly running: ReadonlySet<string>;
  readonly bodyHeight: number;
  /** Heights of headings, largest first; empty when the outline tells them. */
  readonly headingHeights: readonly number[];
}

/** What running heads and headings look like, from a sample of pages. */
async function lookAt(pdf: Pdf, name: string, outlined: boolean, signal: AbortSignal): Promise<Looks> {
  const step = Math.max(1, pdf.numPages / SAMPLE);
  const shapes = new Map<string, number>();
  const heights = new Map<number, number>();
  let characters = 0;
  let sampled = 0;
  for (let at = 1; at <= pdf.numPages; at += step) {
    signal.throwIfAborted();
    let page: PageText;
    try {
      page = await pageOf(pdf, Math.floor(at), name);
    } catch (error) {
      if (error instanceof KernelEvolveError) throw error;
      continue;
    }
    sampled += 1;
    const edges = new Set([...edgesOf(page).values()].flat());
    for (const shape of edges) shapes.set(shape, (shapes.get(shape) ?? 0) + 1);
    for (const row of page.rows) {
      characters += row.text.length;
      const height = Math.round(row.height * 2) / 2;
      heights.set(height, (heights.get(height) ?? 0) + row.text.length);
    }
  }
  if (characters < SCANNED * Math.max(1, sampled)) {
    throw refuse(
      `${name} has no text: its ${pdf.numPages} pages are pictures`,
      "recognise the text first, for example: ocrmypdf in.pdf out.pdf",
    );
  }
  const [body = 10] = [...heights].toSorted((a, b) => b[1] - a[1]).map(([height]) => height);
  const larger = [...heights]
    .filter(([height, count]) => height >= 1.15 * body && count < 0.2 * characters)
    .map(([height]) => height)
    .toSorted((a, b) => b - a);
  const often = Math.max(3, 0.25 * sampled);
  return {
    running: new Set([...shapes].filter(([, count]) => count >= often).map(([shape]) => shape)),
    bodyHeight: body,
    headingHeights: outlined ? [] : larger.slice(0, 4),
  };
}

const key = (text: string): string =>
  text
    .toLowerCase()
    .replace(/^[\d.\s]+/, "")
    .replace(/[^\p{L}\p{N}]+/gu, "");

type Marked = Row & { readonly level?: number };

/** Rows of a page with running heads dropped and headings marked. */
function markRows(
  page: PageText,
  looks: Looks,
  outline: readonly { title: string; level: number }[],
): Marked[] {
  const edges = edgesOf(page);
  const kept = page.rows.filter((row) => {
    const shapes = edges.get(row);
    return (
      shapes === undefined || !(shapes.some((one) => looks.running.has(one)) || /^\W*\d+\W*$/.test(row.text))
    );
  });
  const open = [...outline];
  const marked = kept.map((row): Marked => {
    const text = key(row.cells.join(" "));
    const found = text === "" ? -1 : open.findIndex(({ title }) => key(title) === text);
    const entry = open[found];
    if (entry !== undefined) {
      open.splice(found, 1);
      return { ...row, cells: [entry.title], level: entry.level };
    }
    const height = Math.round(row.height * 2) / 2;
    const at = looks.headingHeights.indexOf(height);
    const heading = at >= 0 && row.text.length < 120 && row.cells.length <= 2 && /\p{L}{2}/u.test(row.text);
    return heading ? { ...row, level: at + 2 } : row;
  });
  // Titles that stand differently on the page than in the outline begin with the page.
  const lead = open.map(
    ({ title, level }): Marked => ({ text: title, cells: [title], y: 0, height: 0, level }),
  );
  return [...lead, ...marked];
}

/**
 * Opens a PDF for reading by rows.
 * @throws invalid_argument for one that is encrypted, damaged, a scan, or would blow up; each with the way out.
 */
export async function openPdf(bytes: Uint8Array, name: string, signal: AbortSignal): Promise<PdfReader> {
  guardAgainstBombs(bytes, name);
  const pdf = await openDocument(bytes, name);
  try {
    const outline = await headingsByPage(pdf);
    const looks = await lookAt(pdf, name, outline.size > 0, signal);
    const info: unknown = (await pdf.getMetadata().catch(() => undefined))?.info;
    const named = z.object({ Title: z.string() }).safeParse(info);
    return {
      pages: pdf.numPages,
      title: named.success ? named.data.Title.trim() : "",
      markdown: (from, to, context) => pagesToMarkdown(pdf, name, { from, to }, outline, looks, context),
      close: async () => {
        await pdf.destroy();
      },
    };
  } catch (error) {
    await pdf.destroy();
    throw error;
  }
}

async function pagesToMarkdown(
  pdf: Pdf,
  name: string,
  pages: { from: number; to: number },
  outline: ReadonlyMap<number, readonly { title: string; level: number }[]>,
  looks: Looks,
  context: WorkContext,
): Promise<string> {
  const lines: string[] = [];
  // The headings that are open where this part begins.
  const open: { title: string; level: number }[] = [];
  for (const [page, entries] of [...outline].toSorted((a, b) => a[0] - b[0])) {
    if (page >= pages.from) break;
    for (const entry of entries) {
      while ((open.at(-1)?.level ?? 0) >= entry.level) open.pop();
      open.push(entry);
    }
  }
  lines.push(pageMark(pages.from));
  for (const { title, level } of open) lines.push("", `${"#".repeat(level)} ${title}`, "");
  for (let number = pages.from; number <= pages.to; number += 1) {
    context.signal.throwIfAborted();
    context.report({
      progress: number,
      total: pdf.numPages,
      message: `reading page ${number} of ${pdf.numPages}`,
    });
    if (number > pages.from) lines.push("", pageMark(number));
    try {
      const page = await pageOf(pdf, number, name);
      lines.push(...rowsToLines(markRows(page, looks, outline.get(number) ?? [])));
    } catch (error) {
      if (error instanceof KernelEvolveError) throw error;
      // One bad page of a manual does not lose the others.
      lines.push("", `(Page ${number} could not be read: ${errorMessage(error).slice(0, 120)})`, "");
    }
  }
  return lines.join("\n").replace(/\n{3,}/g, "\n\n");
}
