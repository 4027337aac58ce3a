import { type Definition, isFloat, type TensorSpec } from "../domain/index.ts";
import { cType, tensors } from "./check.ts";

/**
 * The C interface of a candidate on native targets: `void kernel(<inputs>, <outputs>, <axes>)`.
 * Tensors are row-major pointers (64-byte aligned, inputs const), scalars come by value, every axis is an int64_t.
 */

function parameter(name: string, spec: TensorSpec, output: boolean, real: boolean): string {
  const type = real && isFloat(spec.dtype) ? "real_t" : cType(spec.dtype);
  if (spec.shape === null) return `${type} ${name}`;
  return output ? `${type} *${name}` : `const ${type} *${name}`;
}

/** The parameters of `kernel` in order: inputs, outputs, axes. */
export function parameters(definition: Definition, real: boolean): string[] {
  return [
    ...Object.entries(definition.inputs).map(([name, spec]) => parameter(name, spec, false, real)),
    ...Object.entries(definition.outputs).map(([name, spec]) => parameter(name, spec, true, real)),
    ...Object.keys(definition.axes).map((axis) => `int64_t ${axis}`),
  ];
}

/** The problem's own float type in C, or double where it has none. */
function floatType(definition: Definition): string {
  const spec = tensors(definition).find(([, tensor]) => isFloat(tensor.dtype));
  return spec === undefined ? "double" : cType(spec[1].dtype);
}

/**
 * `kernel.h`: what a candidate and the reference include.
 * With KE_REFERENCE the prototype is in `real_t`, which is wider than the problem's type when KE_ORACLE is defined too.
 */
export function kernelHeader(definition: Definition): string {
  const own = floatType(definition);
  const wide = own === "double" ? "long double" : "double";
  return `#ifndef KE_KERNEL_H
#define KE_KERNEL_H
/* ${commentText(definition.name)}
${argumentLines(definition).join("\n")}
 */
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
#define KE_RESTRICT __restrict__
extern "C" {
#else
#define KE_RESTRICT restrict
#endif
#ifdef KE_ORACLE
typedef ${wide} real_t;
#else
typedef ${own} real_t;
#endif
#ifdef KE_REFERENCE
void kernel(${parameters(definition, true).join(", ")});
#else
void kernel(${parameters(definition, false).join(", ")});
#endif
#ifdef __cplusplus
}
#endif
#endif
`;
}

/** `shim.c`: the one entry point the host calls; unpacks buffers (inputs, outputs) and axes for `kernel`. */
export function shimSource(definition: Definition): string {
  const args: string[] = [];
  let index = 0;
  for (const [name, spec] of tensors(definition)) {
    const output = !Object.hasOwn(definition.inputs, name);
    const own = isFloat(spec.dtype) ? "KE_REAL" : cType(spec.dtype);
    if (spec.shape === null) args.push(`*(const ${own} *)buffers[${index}]`);
    else args.push(output ? `(${own} *)buffers[${index}]` : `(const ${own} *)buffers[${index}]`);
    index += 1;
  }
  Object.keys(definition.axes).forEach((_axis, axis) => {
    args.push(`axes[${axis}]`);
  });
  return `#include "kernel.h"
#ifdef KE_REFERENCE
#define KE_REAL real_t
#else
#define KE_REAL ${floatType(definition)}
#endif
#ifdef __cplusplus
extern "C"
#endif
__attribute__((visibility("default"))) void ke_entry(void *const *buffers, const int64_t *axes);
void ke_entry(void *const *buffers, const int64_t *axes) {
  (void)axes;
  kernel(${args.join(", ")});
}
`;
}

/** Text from a definition inside a C comment: one line that cannot end it. */
function commentText(text: string): string {
  return text
    .replace(/[\p{Cc}\s]+/gu, " ")
    .replaceAll("*/", "* /")
    .replaceAll("/*", "/ *")
    .trim();
}

/** What every argument is, as the lines of a C comment. */
function argumentLines(definition: Definition): string[] {
  const note = (text: string | undefined): string => (text === undefined ? "" : `; ${commentText(text)}`);
  const tensor = (name: string, spec: TensorSpec, role: string): string => {
    const shape = spec.shape === null ? "scalar" : `[${spec.shape.join(", ")}]`;
    return ` *   ${name}: ${role}, ${spec.dtype} ${shape}${note(spec.description)}`;
  };
  return [
    ...Object.entries(definition.inputs).map(([name, spec]) => tensor(name, spec, "input")),
    ...Object.entries(definition.outputs).map(([name, spec]) => tensor(name, spec, "output")),
    ...Object.entries(definition.axes).map(([name, axis]) => {
      const value = axis.type === "const" ? `always ${axis.value}` : "varies";
      return ` *   ${name}: axis, ${value}${note(axis.description)}`;
    }),
    ...(definition.constraints ?? []).map((constraint) => ` *   holds: ${commentText(constraint)}`),
  ];
}

/** The prototype a candidate must define, with a comment for every argument, for people and agents. */
export function prototype(definition: Definition, abstraction: string): string {
  const signature = `void kernel(${parameters(definition, false).join(", ")});`;
  return [
    '#include "kernel.h"',
    "",
    "/*",
    ...argumentLines(definition),
    " * Tensors are row-major and contiguous, 64-byte aligned; inputs are read-only memory; every element of every",
    " * output must be written. Any axis that varies may be 0, 1 or a prime where the constraints allow it.",
    " */",
    abstraction === "cpp" ? `extern "C" ${signature}` : signature,
  ].join("\n");
}
