/** A name for an address: lower-case letters and digits joined by `-`. */
export function slugOf(title: string, limit = 80): string {
  const slug = title
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^\p{L}\p{N}_.]+/gu, "-")
    .replace(/^[-.]+|[-.]+$/g, "")
    .slice(0, limit)
    .replace(/[-.]+$/, "");
  return slug === "" ? "section" : slug;
}

/** Slugs of one document: a title that comes again gets a number. */
export class Slugs {
  readonly #seen = new Map<string, number>();

  next(title: string): string {
    const base = slugOf(title);
    for (;;) {
      const count = (this.#seen.get(base) ?? 0) + 1;
      this.#seen.set(base, count);
      const slug = count === 1 ? base : `${base}-${count}`;
      if (count === 1 || !this.#seen.has(slug)) {
        if (count > 1) this.#seen.set(slug, 1);
        return slug;
      }
    }
  }
}
