import { lstatSync, realpathSync } from "node:fs";
import { basename, delimiter, dirname, isAbsolute, join, parse, relative, resolve } from "node:path";
import { KernelEvolveError } from "../domain/index.ts";
import { dataHomePath } from "../platform/paths.ts";

/**
 * The path with every link resolved, the part that does not exist yet as it stands.
 * @throws what the file system says, a link that leads nowhere included: nobody knows what it will name.
 */
function real(path: string): string {
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) return realpathSync(path);
  const parent = dirname(path);
  return parent === path ? path : join(real(parent), basename(path));
}

function inside(root: string, path: string): boolean {
  const way = relative(root, path);
  return way === "" || (way !== ".." && !way.startsWith("../") && !isAbsolute(way));
}

/** Folders that tools may write below. A server started in / may not write everywhere. */
function allowedRoots(): string[] {
  const extra = (process.env["KERNELEVOLVE_ALLOWED_PATHS"] ?? "")
    .split(delimiter)
    .filter((path) => path !== "");
  const here = process.cwd() === parse(process.cwd()).root ? [] : [process.cwd()];
  return [...here, dataHomePath(), ...extra].map((path) => real(resolve(path)));
}

/**
 * A folder that a tool may write: inside the working directory, the data home, or a folder of KERNELEVOLVE_ALLOWED_PATHS.
 * Nothing is created.
 * @throws invalid_argument, naming `directory`, otherwise.
 */
export function exportFolder(directory: string): string {
  const refuse = (why: string): KernelEvolveError =>
    new KernelEvolveError(
      "invalid_argument",
      `directory: ${JSON.stringify(directory.slice(0, 200))} ${why}`,
      {
        fix: "choose a folder in the working directory, or start the server with KERNELEVOLVE_ALLOWED_PATHS naming it",
      },
    );
  let wanted: string;
  try {
    wanted = real(resolve(directory));
  } catch {
    throw refuse("cannot be resolved");
  }
  if (!allowedRoots().some((root) => inside(root, wanted)))
    throw refuse("is outside the folders that may be written");
  const found = lstatSync(wanted, { throwIfNoEntry: false });
  if (found !== undefined && !found.isDirectory()) throw refuse("is not a folder");
  return wanted;
}
