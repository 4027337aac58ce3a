/** What the evaluation needs of problems on native targets. */
export { checkNativeDefinition, kernelHeader, prototype, shimSource } from "./abi.ts";
export {
  type ResolvedInput,
  type ResolvedOutput,
  type ResolvedWorkload,
  resolveWorkload,
} from "./resolve.ts";
