/** Sections shorter than this are alike by nature. */
const MIN_WORDS = 40;
const SHINGLE = 5;
const ALIKE = 0.8;

/** Finds sections that say nearly the same words in the same order. */
export class SectionTwins {
  readonly #byShingle = new Map<string, number[]>();
  readonly #sections: { name: string; size: number }[] = [];

  /** @returns the name of an earlier section that is nearly the same. */
  add(text: string, name: string): string | undefined {
    const words = text.toLowerCase().match(/[\p{L}\p{N}_.]+/gu) ?? [];
    if (words.length < MIN_WORDS) return undefined;
    const shingles = new Set<string>();
    for (let at = 0; at + SHINGLE <= words.length; at += 1)
      shingles.add(words.slice(at, at + SHINGLE).join(" "));
    const common = new Map<number, number>();
    for (const shingle of shingles) {
      for (const other of this.#byShingle.get(shingle) ?? []) common.set(other, (common.get(other) ?? 0) + 1);
    }
    const [best] = [...common].sort((a, b) => b[1] - a[1]);
    const own = this.#sections.push({ name, size: shingles.size }) - 1;
    for (const shingle of shingles) {
      const list = this.#byShingle.get(shingle) ?? [];
      list.push(own);
      this.#byShingle.set(shingle, list);
    }
    const other = best === undefined ? undefined : this.#sections[best[0]];
    if (best === undefined || other === undefined) return undefined;
    return best[1] / (shingles.size + other.size - best[1]) >= ALIKE ? other.name : undefined;
  }
}
