import { mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join, parse, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The package's own root, in the source tree and when installed (`dist/platform/` and `src/platform/` alike). */
export const packageRoot: string = resolve(fileURLToPath(new URL("../..", import.meta.url)));

/** Where run-time data lies: KERNELEVOLVE_HOME, else `.kernelevolve/` in the working directory. Nothing is created. */
export function dataHomePath(): string {
  return resolve(process.env["KERNELEVOLVE_HOME"] ?? join(process.cwd(), ".kernelevolve"));
}

/** Run-time data, see `dataHomePath`. Created when missing. */
export function dataHome(): string {
  const home = dataHomePath();
  mkdirSync(home, { recursive: true });
  return home;
}

/**
 * Facts about the machine (peaks, built harness) are shared by all data homes:
 * KERNELEVOLVE_CACHE, else XDG_CACHE_HOME/kernelevolve, else ~/.cache/kernelevolve.
 */
export function cacheHome(): string {
  const base = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const home = resolve(process.env["KERNELEVOLVE_CACHE"] ?? join(base, "kernelevolve"));
  mkdirSync(home, { recursive: true });
  return home;
}

/**
 * Folders that tools may read and write below: the working directory, the data home, and those of KERNELEVOLVE_ALLOWED_PATHS.
 * A server started in / may not reach everywhere.
 */
export function allowedFolders(): string[] {
  const extra = (process.env["KERNELEVOLVE_ALLOWED_PATHS"] ?? "")
    .split(delimiter)
    .filter((path) => path !== "");
  const here = process.cwd() === parse(process.cwd()).root ? [] : [process.cwd()];
  return [...here, dataHomePath(), ...extra].map((path) => resolve(path));
}
