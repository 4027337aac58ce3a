import type { Definition } from "../../domain/problem.ts";
import { chooseKernels, type DispatchChoice, type ExportFile } from "./dispatch.ts";
import type { ReportModel, ReportNode } from "./model.ts";

/** Where each variable axis can be read from: an input and the place in its shape. */
function axisSources(definition: Definition): { axis: string; input: string; dimension: number }[] {
  return Object.entries(definition.axes).flatMap(([axis, spec]) => {
    if (spec.type !== "var") return [];
    for (const [input, tensor] of Object.entries(definition.inputs)) {
      const dimension = (tensor.shape ?? []).indexOf(axis);
      if (dimension >= 0) return [{ axis, input, dimension }];
    }
    return [];
  });
}

function rows(
  choices: readonly DispatchChoice[],
  axes: readonly string[],
  numberOf: (node: ReportNode | undefined) => number,
): string {
  return choices
    .map(({ workload, axes: bound, node, speedup }) => {
      const sizes = axes.map((axis) => bound[axis] ?? 1);
      const note =
        speedup === undefined
          ? "the reference: no kernel is credited here"
          : `${speedup.ratio.toFixed(2)}x [${speedup.low.toFixed(2)}, ${speedup.high.toFixed(2)}]`;
      return `    ((${sizes.map((size) => `${size},`).join(" ")}), ${numberOf(node)}),  # ${workload}: ${note}`;
    })
    .join("\n");
}

/**
 * A Python package that calls, for the shape at hand, the kernel that was measured fastest at the nearest measured shape, and the
 * reference where none won. For definitions with a Python reference on targets with PyTorch, and candidates in Python; empty when
 * nothing won anywhere.
 */
export function pythonDispatcher(model: ReportModel): ExportFile[] {
  const { definition, origin } = model.problem;
  const { extension } = model.target.abstractions[model.overview.run.abstraction] ?? {};
  if (
    model.target.run?.harness !== "torch" ||
    extension !== ".py" ||
    origin !== undefined ||
    definition.reference === undefined
  )
    return [];
  const choices = chooseKernels(model);
  const kernels = [...new Set(choices.flatMap(({ node }) => (node === undefined ? [] : [node])))];
  if (kernels.length === 0) return [];
  const numberOf = (node: ReportNode | undefined): number =>
    node === undefined ? 0 : kernels.indexOf(node) + 1;
  const sources = axisSources(definition);
  const names = Object.keys(definition.inputs).join(", ");
  const text = `"""${definition.name.replaceAll('"""', "")}: for each shape the kernel that was measured fastest at the nearest measured shape.

Measured on ${model.best?.record.device ?? "an unknown device"}; other devices may order the kernels otherwise.
"""

import math

from . import ${["reference", ...kernels.map((_, index) => `kernel_${index + 1}`)].join(", ")}

# Sizes of the variable axes (${sources.map((one) => one.axis).join(", ") || "none"}), and the kernel: its number, or 0 for the reference.
MEASURED = (
${rows(
  choices,
  sources.map((one) => one.axis),
  numberOf,
)}
)
KERNELS = (${["reference", ...kernels.map((_, index) => `kernel_${index + 1}`)].map((one) => `${one}.run`).join(", ")},)


def choice(${names}):
    """The number of the kernel that these inputs get."""
    here = (${sources.map(({ input, dimension }) => `${input}.shape[${dimension}],`).join(" ")})

    def distance(row):
        return sum(math.log((a + 1) / (b + 1)) ** 2 for a, b in zip(here, row[0]))

    return min(MEASURED, key=distance)[1]


def run(${names}):
    """The answer of the definition, by the kernel for this shape."""
    return KERNELS[choice(${names})](${names})
`;
  const folder = `dispatch/${definition.name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "_")}`;
  return [
    { name: `${folder}/__init__.py`, what: "the dispatcher: import it and call run", text },
    {
      name: `${folder}/reference.py`,
      what: "the fallback: the definition's reference",
      text: definition.reference,
    },
    ...kernels.map((node, index) => ({
      name: `${folder}/kernel_${index + 1}.py`,
      what: `kernel of node ${node.node.id}`,
      text: node.source,
    })),
  ];
}
