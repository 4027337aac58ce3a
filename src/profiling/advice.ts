import type { Diagnosis } from "../domain/index.ts";

/** What is usually done about a bottleneck of a device, most gain first. */
export const ADVICE: Readonly<Record<Diagnosis["bottleneck"], string[]>> = {
  memory: [
    "move fewer bytes: fuse with what comes before or after, keep narrower types, do not write what is read back",
    "let neighbouring threads read neighbouring addresses, 16 bytes a thread",
  ],
  compute: [
    "feed the tensor cores: larger tiles, deeper pipelines, the layouts that they take",
    "do less arithmetic (algebra, skipping), or use a faster type where the tolerance allows",
  ],
  latency: [
    "more bytes in flight: wider and more loads a thread, more blocks, asynchronous copies",
    "more independent work between a load and its use: unroll, several accumulators, more stages",
  ],
  launch: [
    "fuse what is launched one after the other into one kernel",
    "avoid intermediate tensors: each costs an allocation, a write and a read",
  ],
  occupancy: [
    "fewer registers or less shared memory a block: smaller tiles, fewer stages",
    "or more independent work a warp, where few warps are wanted",
  ],
  register: [
    "smaller tiles, or the same tile over more warps (num_warps), so that accumulators fit",
    "shorter live ranges: load late, do not unroll as far",
  ],
  "bank-conflict": [
    "pad the rows of shared memory or swizzle its addresses, so that a warp's accesses hit different banks",
  ],
  divergence: ["make conditions uniform over a warp, or replace branches by masks and selects"],
  tail: [
    "more and smaller blocks: split the reduction (split-K), or let one block do several tiles (persistent kernel)",
  ],
  branch: ["make conditions uniform over a warp, or replace branches by masks and selects"],
  unvectorised: ["use wider loads and stores"],
  unknown: ["allow hardware counters (Nsight Compute): they tell what the kernel waits for"],
};
