import { KernelEvolveError } from "../domain/errors.ts";
import { type Node, type Run, type Usage, usageSchema } from "../domain/run.ts";

/** Reported usage, checked. @throws invalid_argument naming the field */
export function checkedUsage(usage: Usage): Usage {
  const parsed = usageSchema.safeParse(usage);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new KernelEvolveError(
    "invalid_argument",
    `${["usage", ...(issue?.path ?? [])].join(".")}: ${issue?.message ?? "malformed"}`,
    { fix: "give input_tokens and output_tokens as whole numbers, cost and model where they are known" },
  );
}

/**
 * What a child's proposer used. A bound on tokens or cost holds only when everybody reports, so agents must where there is
 * one; tuners use no model.
 * @throws invalid_argument
 */
export function requiredUsage(
  run: Run,
  operator: Node["operator"],
  usage: Usage | undefined,
): Usage | undefined {
  const { tokens, cost } = run.budget;
  const checked = usage === undefined ? undefined : checkedUsage(usage);
  if (operator !== "agent") return checked;
  if (tokens !== undefined && checked === undefined) {
    throw new KernelEvolveError("invalid_argument", "usage: the run is bounded by tokens, so it is needed", {
      fix: "give usage {input_tokens, output_tokens} of your model for this claim, or start a run bounded by nodes or seconds",
    });
  }
  if (cost !== undefined && checked?.cost === undefined) {
    throw new KernelEvolveError(
      "invalid_argument",
      "usage.cost: the run is bounded by cost, so it is needed",
      {
        fix: "give usage {input_tokens, output_tokens, cost} for this claim (cost 0 for a model that costs nothing), or start a run bounded by nodes or seconds",
      },
    );
  }
  return checked;
}

/** The name of a charge without a child. @throws invalid_argument */
export function checkedKey(key: string): string {
  if (/^[\w.:-]{1,160}$/.test(key) && !key.startsWith("claim_")) return key;
  throw new KernelEvolveError(
    "invalid_argument",
    "key: must be 1 to 160 letters, digits, '_', '.', ':' or '-', and not a claim's id",
  );
}
