import {
  type Definition,
  KernelEvolveError,
  type Problem,
  problemSchema,
  type Workload,
} from "../domain/index.ts";
import { canonicalJson, sha256 } from "../platform/hash.ts";
import { checkDefinition, checkNativeDefinition } from "./check.ts";
import { checked } from "./files.ts";
import { bindWorkload, resolveWorkload } from "./resolve.ts";

/**
 * The content hash of a problem. The order of inputs, outputs and axes counts, for it is the order of the arguments;
 * the order of other keys does not.
 */
export function contentHash(
  definition: Definition,
  workloads: readonly Workload[],
  cache: "cold" | "warm",
): string {
  const order = [definition.inputs, definition.outputs, definition.axes].map((group) => Object.keys(group));
  return sha256(canonicalJson({ definition, workloads, cache, order }));
}

/**
 * Makes a problem of its parts: checks the definition and every workload against it, and names the problem by content.
 * One with a `reference_c` must be fit for native targets; one without need not be.
 * @throws invalid_argument or unsupported naming the workload and field.
 */
export function makeProblem(
  definition: Definition,
  workloads: readonly Workload[],
  options: { cache?: "cold" | "warm"; source: Problem["source"] },
): Problem {
  const native = definition.reference_c !== undefined;
  if (native) checkNativeDefinition(definition);
  else checkDefinition(definition);
  const uuids = new Set<string>();
  for (const workload of workloads) {
    if (uuids.has(workload.uuid))
      throw new KernelEvolveError("invalid_argument", `workloads: the uuid ${workload.uuid} stands twice`);
    uuids.add(workload.uuid);
    if (native) resolveWorkload(definition, workload);
    else bindWorkload(definition, workload);
  }
  const cache = options.cache ?? "cold";
  const hash = contentHash(definition, workloads, cache);
  return checked(
    problemSchema,
    {
      id: `${definition.name}@${hash.slice(0, 12)}`,
      content_hash: hash,
      definition,
      workloads,
      cache,
      source: options.source,
    },
    `problem ${definition.name}`,
  );
}
