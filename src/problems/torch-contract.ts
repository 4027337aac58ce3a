import type { Problem } from "../domain/index.ts";

/** Abstractions whose candidates are C or C++ sources with the native interface. */
const NATIVE = new Set(["c", "cpp"]);

/**
 * What a Python candidate must define, by the problem's format; undefined where the native interface applies.
 * For definitions in the FlashInfer-Trace schema it is a function `run` that returns its outputs.
 */
export function torchPrototype(problem: Problem, abstraction: string): string | undefined {
  const { origin, definition } = problem;
  const language =
    abstraction === "triton"
      ? "import triton\nimport triton.language as tl  # kernels: functions under @triton.jit\n"
      : "";
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
  const shapes = (entries: typeof definition.inputs): string =>
    Object.entries(entries)
      .map(
        ([name, spec]) =>
          `${name}: ${spec.dtype} ${spec.shape === null ? "scalar" : `[${spec.shape.join(", ")}]`}`,
      )
      .join("; ");
  const outputs = Object.keys(definition.outputs);
  return `import torch
${language}
# in: ${shapes(definition.inputs)}
# out: ${shapes(definition.outputs)}
def run(${Object.keys(definition.inputs).join(", ")}):
    ...
    return ${outputs.join(", ")}  # new tensors`;
}
