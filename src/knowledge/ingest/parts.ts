import { FenceTracker } from "../sections/blocks.ts";

/** A document larger than this becomes several, cut at headings. */
export const PART_CHARACTERS = 300_000;

/** Cuts a long Markdown text at headings, else at blank lines, into parts of at most about `limit` characters. */
export function cutIntoParts(markdown: string, limit = PART_CHARACTERS): string[] {
  if (markdown.length <= limit) return [markdown];
  const parts: string[] = [];
  const fences = new FenceTracker();
  let open: string[] = [];
  let size = 0;
  const end = (): void => {
    if (open.some((line) => line.trim() !== "")) parts.push(open.join("\n"));
    open = [];
    size = 0;
  };
  for (const line of markdown.split("\n")) {
    const code = fences.inside(line);
    const heading = !code && /^#{1,3}\s/.test(line);
    if (size > limit || (heading && size > limit / 2) || (!code && line === "" && size > 0.9 * limit)) end();
    open.push(line);
    size += line.length + 1;
  }
  end();
  return parts;
}
