import type { Definition } from "../../domain/problem.ts";
import { definesOf, parseHeader } from "../../evaluation/candidate/header.ts";
import { kernelHeader, parameters } from "../../problems/abi.ts";
import type { ReportModel, ReportNode } from "./model.ts";

/** Which kernel is called for one measured workload; undefined: the baseline, since none is credited there. */
export interface DispatchChoice {
  readonly workload: string;
  readonly axes: Readonly<Record<string, number>>;
  readonly node: ReportNode | undefined;
  readonly speedup: { readonly ratio: number; readonly low: number; readonly high: number } | undefined;
}

export interface ExportFile {
  readonly name: string;
  readonly what: string;
  readonly text: string;
}

/** For each timed workload the node with the highest lower bound of a credited speedup over the run's baseline. */
export function chooseKernels(model: ReportModel): DispatchChoice[] {
  const { baseline } = model.overview.run;
  return model.problem.workloads
    .filter((workload) => workload.role === "timed")
    .map((workload): DispatchChoice => {
      let chosen: Pick<DispatchChoice, "node" | "speedup"> = { node: undefined, speedup: undefined };
      for (const node of model.nodes) {
        if (node.record.verdict !== "passed") continue;
        const measured = node.record.stages.benchmark?.workloads.find(
          (one) => one.workload === workload.uuid,
        );
        const speedup = measured?.speedups.find((one) => one.baseline === baseline);
        if (speedup?.credited === true && speedup.low > (chosen.speedup?.low ?? 0))
          chosen = { node, speedup };
      }
      return { workload: workload.uuid, axes: workload.axes, ...chosen };
    });
}

/** A C identifier of a problem's name. */
function identifier(name: string): string {
  return `ke_${name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "_")}`;
}

function variableAxes(definition: Definition): string[] {
  return Object.entries(definition.axes).flatMap(([name, axis]) => (axis.type === "var" ? [name] : []));
}

const NOTHING_CHOSEN = "no kernel is credited on any timed workload";

/**
 * Sources of a small C library that calls, for the shape at hand, the kernel that was measured fastest at the nearest measured shape,
 * and the plain baseline where none won. For native problems; empty when nothing won anywhere.
 */
export function dispatcher(model: ReportModel): { files: ExportFile[]; note?: string } {
  const { definition } = model.problem;
  const { run } = model.overview;
  const toolchain = model.target.abstractions[run.abstraction];
  if (
    model.target.run?.harness !== "native" ||
    definition.reference_c === undefined ||
    toolchain === undefined
  )
    return { files: [] };
  const choices = chooseKernels(model);
  const kernels = [...new Set(choices.flatMap(({ node }) => (node === undefined ? [] : [node])))];
  if (kernels.length === 0) return { files: [], note: NOTHING_CHOSEN };
  const name = identifier(definition.name);
  const file = (path: string, what: string, text: string): ExportFile => ({
    name: `dispatch/${path}`,
    what,
    text,
  });
  const numberOf = (node: ReportNode | undefined): number =>
    node === undefined ? 0 : kernels.indexOf(node) + 1;
  return {
    files: [
      file(
        `${name}.h`,
        `the dispatcher's interface: include it, link lib${name}.a`,
        headerText(name, definition, choices, run.abstraction === "cpp"),
      ),
      file(
        "dispatch.c",
        "which kernel for which shape, from measured data",
        dispatchText(name, definition, choices, numberOf),
      ),
      file("kernel.h", "what the kernels include", kernelHeader(definition)),
      file("reference.c", "the fallback: the plain baseline", definition.reference_c),
      ...kernels.map((node, index) =>
        file(`kernel_${index + 1}${toolchain.extension}`, `kernel of node ${node.node.id}`, node.source),
      ),
      file("Makefile", "builds the library: make", makefileText(name, model, kernels)),
    ],
  };
}

function headerText(
  name: string,
  definition: Definition,
  choices: readonly DispatchChoice[],
  cpp: boolean,
): string {
  const table = choices.map(({ workload, axes, node, speedup }) => {
    const shape = Object.entries(axes)
      .map(([axis, size]) => `${axis}=${size}`)
      .join(" ");
    const what =
      node === undefined || speedup === undefined
        ? "the baseline: no kernel is credited here"
        : `node ${node.node.id}, ${speedup.ratio.toFixed(2)}x [${speedup.low.toFixed(2)}, ${speedup.high.toFixed(2)}]`;
    return ` *   ${workload} (${shape}): ${what}`;
  });
  return `#ifndef ${name.toUpperCase()}_H
#define ${name.toUpperCase()}_H
/* ${definition.name}: for each shape the kernel that was measured fastest at the nearest measured shape.
${table.join("\n").replaceAll("*/", "* /")}
 * Arguments are those of kernel.h. Link with libm${cpp ? ", libstdc++" : ""}, and with -fopenmp where a kernel is built with it.
 */
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
void ${name}(${parameters(definition, false).join(", ")});
/* Which kernel a shape gets: its number, or 0 for the baseline. */
int ${name}_choice(${
    variableAxes(definition)
      .map((axis) => `int64_t ${axis}`)
      .join(", ") || "void"
  });
#ifdef __cplusplus
}
#endif
#endif
`;
}

function dispatchText(
  name: string,
  definition: Definition,
  choices: readonly DispatchChoice[],
  numberOf: (node: ReportNode | undefined) => number,
): string {
  const axes = variableAxes(definition);
  const own = parameters(definition, false).join(", ");
  const names = [
    ...Object.keys(definition.inputs),
    ...Object.keys(definition.outputs),
    ...Object.keys(definition.axes),
  ].join(", ");
  const most = Math.max(...choices.map(({ node }) => numberOf(node)));
  const numbers = Array.from({ length: most }, (_, index) => index + 1);
  const rows = choices.map(
    (choice) =>
      `    {{${axes.map((axis) => choice.axes[axis] ?? 1).join(", ") || "0"}}, ${numberOf(choice.node)}},`,
  );
  return `#include "${name}.h"

#include <math.h>

void ke_reference(${own});
${numbers.map((number) => `void ke_kernel_${number}(${own});`).join("\n")}

static const struct {
  int64_t axes[${Math.max(1, axes.length)}];
  int kernel;
} measured[] = {
${rows.join("\n")}
};

int ${name}_choice(${axes.map((axis) => `int64_t ${axis}`).join(", ") || "void"}) {
  const int64_t here[] = {${axes.join(", ") || "0"}};
  double nearest = INFINITY;
  int kernel = 0;
  for (size_t i = 0; i < sizeof measured / sizeof *measured; i++) {
    double far = 0;
    for (size_t k = 0; k < ${axes.length}; k++) {
      double ratio = log(((double)here[k] + 1) / ((double)measured[i].axes[k] + 1));
      far += ratio * ratio;
    }
    if (far < nearest) {
      nearest = far;
      kernel = measured[i].kernel;
    }
  }
  return kernel;
}

void ${name}(${own}) {
  switch (${name}_choice(${axes.join(", ")})) {
${numbers.map((number) => `    case ${number}: ke_kernel_${number}(${names}); break;`).join("\n")}
    default: ke_reference(${names});
  }
}
`;
}

function makefileText(name: string, model: ReportModel, kernels: readonly ReportNode[]): string {
  const { run } = model.overview;
  const toolchain = model.target.abstractions[run.abstraction];
  const defaults = toolchain?.default_flags ?? [];
  const fallback = toolchain?.baselines[run.baseline] ?? [];
  const cpp = run.abstraction === "cpp";
  const compiler = cpp ? "$(CXX) -std=gnu++20" : "$(CC) -std=gnu17";
  const extension = toolchain?.extension ?? ".c";
  const objects = ["dispatch.o", "reference.o", ...kernels.map((_, index) => `kernel_${index + 1}.o`)];
  const rules = kernels.map((node, index) => {
    const header = parseHeader(node.source);
    const flags = [...(header.flags ?? defaults), ...definesOf(header)];
    const stem = `kernel_${index + 1}`;
    const all = [compiler, ...flags, "-fPIC", ...(cpp ? ["-fno-gnu-unique"] : [])].join(" ");
    return `${stem}.o: build = ${all}\n${stem}.o: name = ke_${stem}\n${stem}.o: ${stem}${extension} kernel.h\n\t$(object)`;
  });
  return `OBJCOPY ?= objcopy
# Leaves one name of each object for others to see, since kernels may name their own functions and templates alike.
define object
$(build) -Dkernel=$(name) -c -o $@.part $<
$(build) -r -nostdlib -flinker-output=nolto-rel -Wl,--force-group-allocation -o $@ $@.part
$(OBJCOPY) --keep-global-symbol=$(name) $@
rm $@.part
endef

# Each kernel is built with the flags and tunables that it was measured with.
lib${name}.a: ${objects.join(" ")}
\t$(AR) rcs $@ $^

dispatch.o: dispatch.c ${name}.h
\t$(CC) -std=gnu17 -O2 -fPIC -c -o $@ $<

reference.o: build = ${["$(CC) -std=gnu17", ...fallback, "-fPIC"].join(" ")} -DKE_REFERENCE -include kernel.h
reference.o: name = ke_reference
reference.o: reference.c kernel.h
\t$(object)

${rules.join("\n\n")}

clean:
\trm -f *.o *.part lib${name}.a
.PHONY: clean
`;
}
