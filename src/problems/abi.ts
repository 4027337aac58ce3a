import { type Definition, type Dtype, isFloat, KernelEvolveError, type TensorSpec } from "../domain/index.ts";

/**
 * The C interface of a candidate on native targets: `void kernel(<inputs>, <outputs>, <axes>)`.
 * Tensors are row-major pointers (64-byte aligned, inputs const), scalars come by value, every axis is an int64_t.
 */

const C_TYPES: Partial<Record<Dtype, string>> = {
  float32: "float",
  float64: "double",
  int32: "int32_t",
  int64: "int64_t",
  uint8: "uint8_t",
  int8: "int8_t",
  bool: "uint8_t",
};

/** Words that cannot be the name of a tensor or an axis in the generated C. */
const RESERVED = new Set(
  (
    "alignas alignof asm auto bool break case catch char class const constexpr continue default delete do double else enum explicit " +
    "export extern false float for friend goto if inline int long mutable namespace new noexcept nullptr operator private protected " +
    "public register restrict return short signed sizeof static struct switch template this throw true try typedef typeid typename " +
    "union unsigned using virtual void volatile while kernel main real_t ke_entry int8_t int32_t int64_t uint8_t size_t NULL errno " +
    "and or not xor bitand bitor compl unix linux"
  ).split(" "),
);

/** The C type of `dtype`. @throws unsupported for types that native C has not. */
export function cType(dtype: Dtype): string {
  const type = C_TYPES[dtype];
  if (type === undefined) {
    throw new KernelEvolveError("unsupported", `dtype ${dtype} is not supported on native targets`, {
      fix: `use one of ${Object.keys(C_TYPES).join(", ")}`,
    });
  }
  return type;
}

/**
 * Checks that a definition can be compiled as C: names, dtypes, one float width.
 * @throws invalid_argument or unsupported naming the field.
 */
export function checkNativeDefinition(definition: Definition): void {
  const names = [
    ...Object.keys(definition.inputs),
    ...Object.keys(definition.outputs),
    ...Object.keys(definition.axes),
  ];
  const seen = new Set<string>();
  for (const name of names) {
    if (RESERVED.has(name) || name.startsWith("__") || name.startsWith("ke_") || name.startsWith("KE_")) {
      throw new KernelEvolveError(
        "invalid_argument",
        `"${name}" is reserved in C and cannot name a tensor or an axis`,
        {
          fix: "rename it",
        },
      );
    }
    if (seen.has(name)) {
      throw new KernelEvolveError(
        "invalid_argument",
        `"${name}" names two things: inputs, outputs and axes share one namespace`,
      );
    }
    seen.add(name);
  }
  const floats = new Set<Dtype>();
  for (const [name, spec] of tensors(definition)) {
    cType(spec.dtype);
    if (isFloat(spec.dtype)) floats.add(spec.dtype);
    if (spec.shape === null && name in definition.outputs) {
      throw new KernelEvolveError(
        "unsupported",
        `outputs.${name}: a scalar output is not supported on native targets`,
        {
          fix: 'give it a shape, e.g. ["one"] with the axis one of value 1',
        },
      );
    }
    for (const axis of spec.shape ?? []) {
      if (!Object.hasOwn(definition.axes, axis)) {
        throw new KernelEvolveError(
          "invalid_argument",
          `${name}.shape names the axis "${axis}", which axes does not declare`,
        );
      }
    }
  }
  if (floats.size > 1) {
    throw new KernelEvolveError(
      "unsupported",
      `a native definition has one float type; this one mixes ${[...floats].join(" and ")}`,
    );
  }
  if (Object.keys(definition.outputs).length === 0) {
    throw new KernelEvolveError("invalid_argument", "outputs is empty: a kernel must compute something");
  }
}

/** Inputs then outputs, in the definition's order. */
export function tensors(definition: Definition): [string, TensorSpec][] {
  return [...Object.entries(definition.inputs), ...Object.entries(definition.outputs)];
}

function parameter(name: string, spec: TensorSpec, output: boolean, real: boolean): string {
  const type = real && isFloat(spec.dtype) ? "real_t" : cType(spec.dtype);
  if (spec.shape === null) return `${type} ${name}`;
  return output ? `${type} *${name}` : `const ${type} *${name}`;
}

function parameters(definition: Definition, real: boolean): string[] {
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

/** The prototype a candidate must define, with a comment for every argument, for people and agents. */
export function prototype(definition: Definition, abstraction: string): string {
  const lines: string[] = ['#include "kernel.h"', ""];
  const describe = (name: string, spec: TensorSpec, role: string): string => {
    const shape = spec.shape === null ? "scalar" : `[${spec.shape.join(", ")}]`;
    return ` *   ${name}: ${role}, ${spec.dtype} ${shape}${spec.description === undefined ? "" : `; ${spec.description}`}`;
  };
  lines.push("/*");
  for (const [name, spec] of Object.entries(definition.inputs)) lines.push(describe(name, spec, "input"));
  for (const [name, spec] of Object.entries(definition.outputs)) lines.push(describe(name, spec, "output"));
  for (const [name, axis] of Object.entries(definition.axes)) {
    const value = axis.type === "const" ? `always ${axis.value}` : "varies";
    lines.push(
      ` *   ${name}: axis, ${value}${axis.description === undefined ? "" : `; ${axis.description}`}`,
    );
  }
  for (const constraint of definition.constraints ?? []) lines.push(` *   holds: ${constraint}`);
  lines.push(
    " * Tensors are row-major and contiguous, 64-byte aligned; inputs are read-only memory; every element of every",
  );
  lines.push(" * output must be written. Any axis that varies may be 0, 1 or a prime.", " */");
  const signature = `void kernel(${parameters(definition, false).join(", ")})`;
  lines.push(abstraction === "cpp" ? `extern "C" ${signature};` : `${signature};`);
  return lines.join("\n");
}
