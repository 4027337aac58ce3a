import type { Problem } from "../domain/index.ts";

/** Abstractions whose candidates are C or C++ sources with the native interface, unless the target's harness is torch. */
const NATIVE = new Set(["c", "cpp"]);
/** Abstractions whose candidates the torch harness builds before it loads them. */
const BUILT = new Set(["cpp", "cuda"]);

const IMPORTS: Readonly<Record<string, string>> = {
  triton: "import triton\nimport triton.language as tl  # kernels: functions under @triton.jit\n",
  cutedsl:
    "import cutlass\nimport cutlass.cute as cute  # kernels: functions under @cute.kernel, launched from @cute.jit\nfrom cutlass.cute.runtime import from_dlpack\n",
};

function shapesOf(entries: Problem["definition"]["inputs"]): string {
  return Object.entries(entries)
    .map(
      ([name, spec]) =>
        `${name}: ${spec.dtype} ${spec.shape === null ? "scalar" : `[${spec.shape.join(", ")}]`}`,
    )
    .join("; ");
}

/** What `run` of a CUDA or C++ candidate is given, by the problem's format (tools/torch/README.md, "CUDA and C++ candidates"). */
function givenText({ origin, definition }: Problem): string[] {
  switch (origin?.format) {
    case "kernelbench":
      return [
        "// run stands in ModelNew's place. It is called with as many as it declares, in this order, of:",
        "//   1. the arguments of Model.forward,",
        "//   2. Model's parameters and buffers in the order of its state_dict,",
        "//   3. the arguments of Model's constructor (get_init_inputs).",
        "// It returns what forward returns.",
      ];
    case "aten":
    case "backendbench":
      return [
        `// run takes all arguments of aten::${origin.overload} in the order of its schema, defaults filled in (or the first of them), and returns what it returns:`,
        "// broadcasting, strides, scalars (at::Scalar), optional arguments (std::optional), empty tensors.",
      ];
    case "kernelbot":
      return [
        "// run takes the parts of what generate_input of the task makes, one argument each, and returns what ref_kernel returns.",
      ];
    default:
      return [
        `// in, one argument each: ${shapesOf(definition.inputs)}`,
        `// out, as new tensors: ${shapesOf(definition.outputs)}`,
      ];
  }
}

function builtPrototype(problem: Problem, abstraction: string): string {
  const cuda = abstraction === "cuda";
  return [
    "#include <ATen/ATen.h>",
    ...(cuda ? ["#include <c10/cuda/CUDAException.h>", "#include <c10/cuda/CUDAStream.h>"] : []),
    "",
    ...givenText(problem),
    "// Types: at::Tensor, int64_t, double, bool, std::string, at::Scalar, at::IntArrayRef, std::optional of these; several outputs as std::tuple.",
    ...(cuda
      ? [
          "// Launch on c10::cuda::getCurrentCUDAStream(), then C10_CUDA_KERNEL_LAUNCH_CHECK(). No main, no bindings: run is bound for you.",
        ]
      : ["// No main, no bindings: run is bound for you."]),
    "at::Tensor run(const at::Tensor& x /* , … */);",
  ].join("\n");
}

/**
 * What a candidate for the torch harness must define, by the problem's format; undefined where the native interface applies.
 * For definitions in the FlashInfer-Trace schema it is a function `run` that returns its outputs. `harness` is the target's: `cpp` is
 * a language of both.
 */
export function torchPrototype(
  problem: Problem,
  abstraction: string,
  harness?: "native" | "torch",
): string | undefined {
  const { origin, definition } = problem;
  if (BUILT.has(abstraction) && (abstraction === "cuda" || harness === "torch" || origin !== undefined))
    return builtPrototype(problem, abstraction);
  const language = IMPORTS[abstraction] ?? "";
  switch (origin?.format) {
    case "kernelbench":
      return `import torch
${language}
class ModelNew(torch.nn.Module):
    # The constructor's arguments, the forward arguments and the answer are those of Model in the reference.
    # Weights come by load_state_dict: keep Model's parameter and buffer names and shapes (else both are made by the same seed).
    def __init__(self, *init_inputs): ...
    def forward(self, *inputs): ...`;
    case "aten":
    case "backendbench": {
      const name = origin.overload.replace(".", "__");
      return `import torch
${language}
# Takes what torch.ops.aten.${origin.overload} takes and returns what it returns: broadcasting, strides, scalars, empty tensors.
def ${name}_kernel_impl(*args, **kwargs): ...`;
    }
    case "kernelbot":
      return `${language}
# Takes what generate_input of the task makes and returns what ref_kernel returns.
def custom_kernel(data): ...`;
    default:
      break;
  }
  if (NATIVE.has(abstraction)) return undefined;
  const outputs = Object.keys(definition.outputs);
  return `import torch
${language}
# in: ${shapesOf(definition.inputs)}
# out: ${shapesOf(definition.outputs)}
def run(${Object.keys(definition.inputs).join(", ")}):
    ...
    return ${outputs.join(", ")}  # new tensors`;
}
