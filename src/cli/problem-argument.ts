import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import {
  definitionSchema,
  errorMessage,
  KernelEvolveError,
  type Problem,
  type Services,
  type WorkContext,
  workloadSchema,
} from "../domain/index.ts";

const fileSchema = z.object({
  definition: definitionSchema,
  workloads: z.array(workloadSchema),
  cache: z.enum(["cold", "warm"]).optional(),
});

/** A problem by name or id, or from a JSON file {definition, workloads} or a problem folder, which is then registered. */
export async function problemArgument(
  value: string,
  target: string,
  services: Services,
  work: WorkContext,
): Promise<Problem> {
  if (!existsSync(value) || !/[./]/.test(value)) return await services.problems.get(value);
  const read = (file: string): unknown => {
    try {
      return JSON.parse(readFileSync(file, "utf8"));
    } catch (error) {
      throw new KernelEvolveError("invalid_argument", `${file}: ${errorMessage(error)}`);
    }
  };
  let raw: unknown;
  if (statSync(value).isDirectory()) {
    const definition = z.record(z.string(), z.unknown()).parse(read(join(value, "definition.json")));
    const reference = join(value, "reference.c");
    if (existsSync(reference)) definition["reference_c"] = readFileSync(reference, "utf8");
    raw = { definition, workloads: read(join(value, "workloads.json")) };
  } else raw = read(value);
  const parsed = fileSchema.safeParse(raw);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new KernelEvolveError(
      "invalid_argument",
      `${value}: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}`,
    );
  }
  const { definition, workloads, cache } = parsed.data;
  return await services.problems.register(
    { definition, workloads, ...(cache === undefined ? {} : { cache }) },
    target,
    work,
  );
}
