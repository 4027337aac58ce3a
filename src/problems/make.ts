import {
  type Definition,
  type Judging,
  KernelEvolveError,
  type Origin,
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
 * Makes a problem that only the torch harness runs, from the form it was published in. `workloads` are those that its
 * format names, in order.
 */
export function makeOriginProblem(
  origin: Origin,
  described: { readonly name: string; readonly workloads: readonly { uuid: string; timed: boolean }[] },
  options: { cache?: "cold" | "warm"; judging?: Judging } = {},
): Problem {
  const cache = options.cache ?? "cold";
  const definition: Definition = {
    name: slug(described.name),
    op_type:
      origin.format === "aten" || origin.format === "backendbench" ? slug(origin.overload) : origin.format,
    description: originText(origin),
    axes: {},
    inputs: {},
    outputs: {},
    ...(origin.format === "kernelbench" ? { reference: origin.source } : {}),
    ...(origin.format === "kernelbot" && origin.files["reference.py"] !== undefined
      ? { reference: origin.files["reference.py"] }
      : {}),
  };
  const workloads = described.workloads.map(
    ({ uuid, timed }): Workload => ({ uuid, axes: {}, inputs: {}, role: timed ? "timed" : "edge" }),
  );
  const judging = options.judging === undefined ? {} : { judging: options.judging };
  const hash = sha256(canonicalJson({ origin, cache, ...judging }));
  const made = { definition, workloads, cache, origin, ...judging, source: "registered" };
  return checked(
    problemSchema,
    { id: `${definition.name}@${hash.slice(0, 12)}`, content_hash: hash, ...made },
    `problem ${definition.name}`,
  );
}

function slug(name: string): string {
  const plain = name.toLowerCase().replace(/[^a-z0-9._-]+/g, "_");
  return (
    plain
      .replace(/^[^a-z0-9]+/, "")
      .slice(0, 96)
      .replace(/[^a-z0-9]+$/, "") || "problem"
  );
}

function originText(origin: Origin): string {
  switch (origin.format) {
    case "kernelbench":
      return "KernelBench problem: the module Model of the reference, with the inputs that it makes itself.";
    case "aten":
      return `ATen operator ${origin.overload} on PyTorch's own OpInfo samples (${origin.dtype}).`;
    case "backendbench":
      return `ATen operator ${origin.overload} on the calls of a BackendBench trace.`;
    case "kernelbot":
      return "kernelbot task: ref_kernel of the reference, with the inputs of generate_input.";
  }
}

/**
 * Makes a problem of its parts: checks the definition and every workload against it, and names the problem by content.
 * One with a `reference_c` must be fit for native targets; one without need not be.
 * @throws invalid_argument or unsupported naming the workload and field.
 */
export function makeProblem(
  definition: Definition,
  workloads: readonly Workload[],
  options: { cache?: "cold" | "warm"; judging?: Judging; source: Problem["source"] },
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
  const { judging } = options;
  const hash =
    judging === undefined
      ? contentHash(definition, workloads, cache)
      : sha256(canonicalJson([contentHash(definition, workloads, cache), judging]));
  return checked(
    problemSchema,
    {
      id: `${definition.name}@${hash.slice(0, 12)}`,
      content_hash: hash,
      definition,
      workloads,
      cache,
      ...(judging === undefined ? {} : { judging }),
      source: options.source,
    },
    `problem ${definition.name}`,
  );
}
