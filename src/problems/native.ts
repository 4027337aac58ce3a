/** What the evaluation needs of problems on native targets. */
export { kernelHeader, prototype, shimSource } from "./abi.ts";
export { checkNativeDefinition } from "./check.ts";
export type { ResolvedFill } from "./fill.ts";
export {
  type ResolvedInput,
  type ResolvedOutput,
  type ResolvedWorkload,
  resolveWorkload,
} from "./resolve.ts";
