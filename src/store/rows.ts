import { z } from "zod";
import { KernelEvolveError } from "../domain/index.ts";

/** Rows as SQLite gives them; the JSON columns are checked against the domain's schemas by `parseJson`. */
export const jsonRow = z.object({ json: z.string() });
export const countRow = z.object({ n: z.number() });
export const valueRow = z.object({ value: z.number().nullable() });

/** JSON text of a column, checked. @throws corrupt naming what it should be. */
export function parseJson<T>(schema: z.ZodType<T>, text: string, what: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new KernelEvolveError("corrupt", `the stored ${what} is not JSON`, { cause: error });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new KernelEvolveError(
    "corrupt",
    `the stored ${what} does not fit its schema at ${issue?.path.join(".") ?? "?"}: ${issue?.message ?? ""}`,
  );
}

/** JSON text of a value that fits its schema: what is stored can be read back. @throws invalid_argument naming the field. */
export function toJson<T>(schema: z.ZodType<T>, value: T, what: string): string {
  const parsed = schema.safeParse(value);
  if (parsed.success) return JSON.stringify(parsed.data);
  const issue = parsed.error.issues[0];
  throw new KernelEvolveError(
    "invalid_argument",
    `${what} cannot be stored: ${issue?.path.join(".") || "it"}: ${issue?.message ?? "malformed"}`,
  );
}
