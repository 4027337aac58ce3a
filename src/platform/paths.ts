import { homedir } from "node:os";
import { delimiter, join, parse, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { errorMessage, KernelEvolveError } from "../domain/errors.ts";
import { makeFolder } from "./folder.ts";

/** The package's own root, in the source tree and when installed (`dist/platform/` and `src/platform/` alike). */
export const packageRoot: string = resolve(fileURLToPath(new URL("../..", import.meta.url)));

/** The path that a variable of the environment names; one that is set to nothing names none. */
function named(variable: string): string | undefined {
  const value = process.env[variable];
  return value === "" ? undefined : value;
}

/** @throws infrastructure, saying which variable chooses another folder */
function made(folder: string, variable: string): string {
  try {
    makeFolder(folder);
  } catch (error) {
    throw new KernelEvolveError(
      "infrastructure",
      `cannot make the folder ${folder}: ${errorMessage(error)}`,
      {
        fix: `set ${variable} to a folder that can be made and written`,
        cause: error,
      },
    );
  }
  return folder;
}

/** Where run-time data lies: KERNELEVOLVE_HOME, else `.kernelevolve/` in the working directory. Nothing is created. */
export function dataHomePath(): string {
  return resolve(named("KERNELEVOLVE_HOME") ?? join(process.cwd(), ".kernelevolve"));
}

/**
 * Run-time data, see `dataHomePath`. Created when missing.
 * @throws infrastructure when it cannot be
 */
export function dataHome(): string {
  return made(dataHomePath(), "KERNELEVOLVE_HOME");
}

/**
 * Facts about the machine (peaks, built harness) are shared by all data homes:
 * KERNELEVOLVE_CACHE, else XDG_CACHE_HOME/kernelevolve, else ~/.cache/kernelevolve.
 * @throws infrastructure when it cannot be created
 */
export function cacheHome(): string {
  const base = named("XDG_CACHE_HOME") ?? join(homedir(), ".cache");
  return made(resolve(named("KERNELEVOLVE_CACHE") ?? join(base, "kernelevolve")), "KERNELEVOLVE_CACHE");
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
