import { type Definition, type Dtype, isFloat, KernelEvolveError, type TensorSpec } from "../domain/index.ts";

/** What a definition must satisfy beyond its schema: names, axes, and what native C can express. */

const C_TYPES: ReadonlyMap<Dtype, string> = new Map([
  ["float32", "float"],
  ["float64", "double"],
  ["int32", "int32_t"],
  ["int64", "int64_t"],
  ["uint8", "uint8_t"],
  ["int8", "int8_t"],
  ["bool", "uint8_t"],
]);

/** The C type of `dtype`. @throws unsupported for types that native targets have not. */
export function cType(dtype: Dtype): string {
  const type = C_TYPES.get(dtype);
  if (type === undefined) {
    throw new KernelEvolveError("unsupported", `dtype ${dtype} is not supported on native targets`, {
      fix: `use one of ${[...C_TYPES.keys()].join(", ")}`,
    });
  }
  return type;
}

/** Keywords of C and C++, macros of the headers that kernels include, and the words of the generated files. */
const RESERVED = new Set(
  (
    "alignas alignof asm auto bool break case catch char class concept const const_cast consteval constexpr constinit continue co_await " +
    "co_return co_yield decltype default delete do double dynamic_cast else enum explicit export extern false float for friend goto if " +
    "import inline int long module mutable namespace new noexcept nullptr operator private protected public register reinterpret_cast " +
    "requires restrict return short signed sizeof static static_assert static_cast struct switch template this thread_local throw true " +
    "try typedef typeid typename typeof union unsigned using virtual void volatile while " +
    "and and_eq bitand bitor compl not not_eq or or_eq xor xor_eq " +
    "NULL EOF NAN INFINITY HUGE_VAL HUGE_VALF HUGE_VALL I complex imaginary assert errno stdin stdout stderr offsetof unix linux i386 " +
    "kernel main real_t size_t ssize_t ptrdiff_t wchar_t char8_t char16_t char32_t"
  ).split(" "),
);

function isReserved(name: string): boolean {
  return (
    RESERVED.has(name) ||
    // Identifiers the C implementation keeps, and our own prefix.
    /^(?:__|_[A-Z]|ke_|KE_)/.test(name) ||
    /^u?int(?:_least|_fast)?(?:\d+|max|ptr)_t$/.test(name) ||
    /^U?INT(?:_LEAST|_FAST)?(?:\d+|MAX|PTR)_(?:MIN|MAX|C)$/.test(name) ||
    // "constructor", "toString": legal C, but every reader in a language with prototypes would trip over them.
    name in Object.prototype
  );
}

/** Inputs then outputs, in the definition's order. */
export function tensors(definition: Definition): [string, TensorSpec][] {
  return [...Object.entries(definition.inputs), ...Object.entries(definition.outputs)];
}

/**
 * Checks that hold on every target: names are distinct and usable, every shape axis is declared, tolerances belong to
 * floating outputs. @throws invalid_argument naming the field.
 */
export function checkDefinition(definition: Definition): void {
  const fail = (message: string, fix?: string): KernelEvolveError =>
    new KernelEvolveError("invalid_argument", message, fix === undefined ? {} : { fix });
  const seen = new Map<string, string>();
  for (const group of ["inputs", "outputs", "axes"] as const) {
    for (const name of Object.keys(definition[group])) {
      if (isReserved(name))
        throw fail(
          `${group}.${name}: "${name}" is reserved and cannot name a tensor or an axis`,
          "rename it",
        );
      const other = seen.get(name);
      if (other !== undefined) {
        throw fail(
          `${group}.${name}: the name is taken by ${other}.${name}; inputs, outputs and axes share one namespace`,
          "rename one of them",
        );
      }
      seen.set(name, group);
    }
  }
  if (Object.keys(definition.outputs).length === 0)
    throw fail("outputs is empty: a kernel must compute something");
  for (const group of ["inputs", "outputs"] as const) {
    for (const [name, spec] of Object.entries(definition[group])) {
      for (const axis of spec.shape ?? []) {
        if (!Object.hasOwn(definition.axes, axis))
          throw fail(`${group}.${name}.shape names the axis "${axis}", which axes does not declare`);
      }
    }
  }
  for (const name of Object.keys(definition.tolerance ?? {})) {
    const output = Object.hasOwn(definition.outputs, name) ? definition.outputs[name] : undefined;
    if (output === undefined) throw fail(`tolerance.${name} is not an output of ${definition.name}`);
    if (!isFloat(output.dtype))
      throw fail(`tolerance.${name}: ${output.dtype} outputs are compared exactly`, "leave it out");
  }
}

/**
 * Checks that a definition can be compiled as C and judged by the native harness: dtypes, one float width, no scalar
 * outputs. Includes `checkDefinition`. @throws invalid_argument or unsupported naming the field.
 */
export function checkNativeDefinition(definition: Definition): void {
  checkDefinition(definition);
  const floats = new Set<Dtype>();
  for (const [name, spec] of tensors(definition)) {
    cType(spec.dtype);
    if (isFloat(spec.dtype)) floats.add(spec.dtype);
    if (spec.shape === null && Object.hasOwn(definition.outputs, name)) {
      throw new KernelEvolveError(
        "unsupported",
        `outputs.${name}: a scalar output is not supported on native targets`,
        { fix: 'give it a shape, e.g. ["one"] with the axis one of value 1' },
      );
    }
  }
  if (floats.size > 1) {
    throw new KernelEvolveError(
      "unsupported",
      `a native definition has one float type; this one mixes ${[...floats].join(" and ")}`,
    );
  }
  if (definition.reference_c?.includes("\0") === true)
    throw new KernelEvolveError("invalid_argument", "reference_c contains a NUL byte");
}
