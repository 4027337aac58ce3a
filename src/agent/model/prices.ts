import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { z } from "zod";
import { errorMessage, KernelEvolveError } from "../../domain/errors.ts";

const perMillion = z.number().min(0).max(1e6);
/** What a model costs, per million tokens, in the currency of the run's budget (US dollars by convention). */
const priceSchema = z.strictObject({
  input: perMillion,
  output: perMillion,
  /** Of input that the endpoint had cached; default `input`. */
  cached_input: perMillion.optional(),
});
const tableSchema = z.strictObject({ models: z.record(z.string().min(1), priceSchema) });
export type PriceTable = z.infer<typeof tableSchema>;

/** Tokens of one call or of several. `cached` is a part of `input`. */
export interface Tokens {
  readonly input: number;
  readonly output: number;
  readonly cached: number;
}

export const NO_TOKENS: Tokens = { input: 0, output: 0, cached: 0 };

export function addTokens(a: Tokens, b: Tokens): Tokens {
  return { input: a.input + b.input, output: a.output + b.output, cached: a.cached + b.cached };
}

/**
 * A price table, YAML or JSON: `models: {NAME: {input: 2.5, output: 10, cached_input: 1.25}}`.
 * @throws invalid_argument naming the file and the field
 */
export function readPrices(path: string): PriceTable {
  const refuse = (why: string): KernelEvolveError =>
    new KernelEvolveError("invalid_argument", `price table ${path}: ${why}`, {
      fix: "write `models: { NAME: { input: 2.5, output: 10, cached_input: 1.25 } }`, prices per million tokens",
    });
  let parsed: unknown;
  try {
    parsed = parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw refuse(errorMessage(error));
  }
  const table = tableSchema.safeParse(parsed);
  if (table.success) return table.data;
  const issue = table.error.issues[0];
  throw refuse(`${issue?.path.join(".") || "content"}: ${issue?.message ?? "malformed"}`);
}

/** What tokens of a model cost; undefined where the table does not name it. */
export function costOf(
  prices: PriceTable | undefined,
  model: string,
  { input, output, cached }: Tokens,
): number | undefined {
  const price =
    prices !== undefined && Object.hasOwn(prices.models, model) ? prices.models[model] : undefined;
  if (price === undefined) return undefined;
  const known = Math.min(cached, input);
  return (
    ((input - known) * price.input + known * (price.cached_input ?? price.input) + output * price.output) /
    1e6
  );
}
