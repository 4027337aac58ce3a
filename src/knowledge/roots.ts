import { join } from "node:path";
import { packageRoot } from "../platform/paths.ts";
import type { DocumentRoot } from "./index/sources.ts";

/**
 * The package's documents, which are ours, and those of further folders of targets (as `targetFolders()` of targets/ gives them,
 * the package's first), which are quoted, never trusted.
 */
export function documentRoots(targetFolders: readonly string[]): DocumentRoot[] {
  const own = join(packageRoot, "hardware-docs");
  return [
    { path: own, layout: "targets", trusted: true },
    { path: join(packageRoot, "knowledge"), layout: "general", trusted: true },
    ...targetFolders
      .filter((path) => path !== own)
      .map((path): DocumentRoot => ({ path, layout: "targets", trusted: false })),
  ];
}
