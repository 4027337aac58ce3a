import { readFileSync } from "node:fs";
import { z } from "zod";
import { errorMessage, KernelEvolveError } from "../../domain/index.ts";

const tokenizerSchema = z.object({
  model: z.object({
    type: z.string().optional(),
    vocab: z.record(z.string(), z.int()),
    unk_token: z.string().nullish(),
    continuing_subword_prefix: z.string().optional(),
    max_input_chars_per_word: z.int().optional(),
  }),
  normalizer: z
    .object({ type: z.string(), lowercase: z.boolean().optional(), strip_accents: z.boolean().nullish() })
    .nullish(),
});

/** Splits texts into the ids of a WordPiece vocabulary, as BERT's tokenizer does. */
export class WordPiece {
  readonly #vocab: ReadonlyMap<string, number>;
  readonly #prefix: string;
  readonly #longest: number;
  readonly #lower: boolean;

  /** @throws unsupported for another kind of tokenizer, corrupt for a file that is none. */
  constructor(file: string) {
    let json: unknown;
    try {
      json = JSON.parse(readFileSync(file, "utf8"));
    } catch (error) {
      throw new KernelEvolveError("corrupt", `${file}: ${errorMessage(error)}`, {
        fix: "fetch the model again",
      });
    }
    const parsed = tokenizerSchema.safeParse(json);
    const type = parsed.success ? (parsed.data.model.type ?? "WordPiece") : "unknown";
    if (!parsed.success || type !== "WordPiece") {
      throw new KernelEvolveError(
        "unsupported",
        `${file}: only WordPiece tokenizers are read here, not ${type}`,
        {
          fix: "choose a model with a BERT vocabulary, such as minishlab/potion-base-8M",
        },
      );
    }
    const { model, normalizer } = parsed.data;
    this.#vocab = new Map(Object.entries(model.vocab));
    this.#prefix = model.continuing_subword_prefix ?? "##";
    this.#longest = model.max_input_chars_per_word ?? 100;
    this.#lower = normalizer?.lowercase ?? true;
  }

  /** Ids in order; a word that the vocabulary cannot spell is left out. */
  ids(text: string): number[] {
    const clean = this.#lower
      ? text
          .toLowerCase()
          .normalize("NFD")
          .replace(/\p{Mn}/gu, "")
      : text;
    const words = clean.match(/[\p{L}\p{N}]+|[^\s\p{L}\p{N}]/gu) ?? [];
    return words.flatMap((word) => this.#pieces(word));
  }

  #pieces(word: string): number[] {
    if (word.length > this.#longest) return [];
    const found: number[] = [];
    for (let from = 0; from < word.length; ) {
      let to = word.length;
      let id: number | undefined;
      for (; to > from; to -= 1) {
        id = this.#vocab.get((from === 0 ? "" : this.#prefix) + word.slice(from, to));
        if (id !== undefined) break;
      }
      if (id === undefined) return [];
      found.push(id);
      from = to;
    }
    return found;
  }
}
