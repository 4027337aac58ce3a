import {
  type DocumentSection,
  KernelEvolveError,
  type KnowledgePage,
  type ReadOptions,
} from "../../domain/index.ts";
import { nearest } from "../../platform/nearest.ts";
import type { IndexReader, StoredDocument, StoredSection } from "../index/reader.ts";

const PAGE_CHARACTERS = 12_000;

/** @throws not_found with the nearest ids. */
export function findDocument(reader: IndexReader, id: string): StoredDocument {
  const found = reader.documents.get(id);
  if (found !== undefined) return found;
  const ids = [...reader.documents.keys()];
  const tail = id.split("/").at(-1) ?? id;
  const close = [
    ...new Set([...ids.filter((one) => one.endsWith(`/${tail}`)).slice(0, 3), ...nearest(id, ids)]),
  ].slice(0, 3);
  throw new KernelEvolveError("not_found", `document "${id.slice(0, 200)}" is unknown`, {
    fix: close.length > 0 ? `did you mean ${close.join(" or ")}?` : "list the documents first, or search",
  });
}

/** Headings that a section's path adds to the one before it, as Markdown. */
function headingLines(path: readonly string[], before: readonly string[]): string {
  let same = 0;
  while (same < path.length && path[same] === before[same]) same += 1;
  return path
    .slice(same)
    .map((title, at) => `${"#".repeat(Math.min(6, same + at + 1))} ${title}\n\n`)
    .join("");
}

/** A document put together from its sections; where each begins. */
function assembled(sections: readonly StoredSection[]): {
  text: string;
  starts: { id: string; at: number }[];
} {
  let text = "";
  let before: readonly string[] = [];
  const starts: { id: string; at: number }[] = [];
  for (const section of sections) {
    const heading = headingLines(section.path, before);
    if (text !== "") text += "\n\n";
    starts.push({ id: idOf(section), at: text.length });
    text += heading + section.text;
    before = section.path;
  }
  return { text, starts };
}

function idOf(section: StoredSection): string {
  return `${section.document.summary.id}#${section.slug}`;
}

function shown(section: StoredSection): DocumentSection {
  return {
    id: idOf(section),
    path: [...section.path],
    text: section.text,
    ...(section.page === undefined ? {} : { page: section.page }),
  };
}

/**
 * A section with its neighbours, or a page of a document.
 * @throws not_found with the nearest ids, invalid_argument for an offset beyond the end.
 */
export function readIndex(reader: IndexReader, id: string, options: ReadOptions): KnowledgePage {
  const hash = id.indexOf("#");
  const document = findDocument(reader, hash < 0 ? id : id.slice(0, hash));
  const sections = reader.sectionsOf(document);
  const whole = assembled(sections);
  if (hash >= 0) {
    const slug = id.slice(hash + 1);
    const at = sections.findIndex((section) => section.slug === slug);
    const section = sections[at];
    if (section === undefined) {
      const close = nearest(
        slug,
        sections.map((one) => one.slug),
      );
      throw new KernelEvolveError(
        "not_found",
        `${document.summary.id} has no section "${slug.slice(0, 120)}"`,
        {
          fix:
            close.length > 0
              ? `did you mean ${close.join(" or ")}?`
              : "read the document without the section",
        },
      );
    }
    const around = Math.max(0, options.neighbours ?? 0);
    const part = sections.slice(Math.max(0, at - around), at + around + 1);
    return {
      document: document.summary,
      section: shown(section),
      text: assembled(part).text,
      sections: part.map(idOf),
      next_offset: null,
      total: whole.text.length,
    };
  }
  const offset = Math.max(0, options.offset ?? 0);
  if (offset > 0 && offset >= whole.text.length) {
    throw new KernelEvolveError(
      "invalid_argument",
      `offset: the document has ${whole.text.length} characters`,
      {
        fix: "begin at 0, or at the next_offset of the page before",
      },
    );
  }
  const end = pageEnd(whole.text, offset, Math.max(200, options.limit ?? PAGE_CHARACTERS));
  return {
    document: document.summary,
    section: null,
    text: whole.text.slice(offset, end),
    sections: whole.starts.filter(({ at }) => at >= offset && at < end).map((one) => one.id),
    next_offset: end >= whole.text.length ? null : end,
    total: whole.text.length,
  };
}

/** The end of a page: at a blank line or the end of a line where one is near. */
function pageEnd(text: string, offset: number, limit: number): number {
  const most = offset + limit;
  if (most >= text.length) return text.length;
  const blank = text.lastIndexOf("\n\n", most);
  if (blank > offset + limit / 2) return blank + 2;
  const line = text.lastIndexOf("\n", most);
  if (line > offset + limit / 2) return line + 1;
  return /[\ud800-\udbff]/.test(text.charAt(most - 1)) ? most - 1 : most;
}
