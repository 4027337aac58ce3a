import groups from "./concepts.json" with { type: "json" };

/**
 * One thing under the names that different vendors give it, from the glossaries of NVIDIA (CUDA C++ Programming Guide, PTX ISA), AMD
 * (HIP and ROCm documentation), Intel (oneAPI, SYCL, optimisation manual), Arm (ACLE, SVE), RISC-V (V extension), Khronos (OpenCL,
 * Vulkan), Apple (Metal), Google (Pallas), AWS (NKI), Huawei (Ascend C) and Triton.
 * The order is that of the vector's dimensions: add at the end, never reorder. At most 64 groups.
 */
export const CONCEPTS: readonly (readonly string[])[] = groups;
