import { lstatSync, realpathSync } from "node:fs";
import { basename, dirname, isAbsolute, join, relative, resolve } from "node:path";
import { KernelEvolveError } from "../domain/index.ts";
import { allowedFolders } from "../platform/paths.ts";

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
  if (!allowedFolders().some((root) => inside(real(root), wanted)))
    throw refuse("is outside the folders that may be written");
  const found = lstatSync(wanted, { throwIfNoEntry: false });
  if (found !== undefined && !found.isDirectory()) throw refuse("is not a folder");
  return wanted;
}

/**
 * A file that a tool may read: inside the working directory, the data home, or a folder of KERNELEVOLVE_ALLOWED_PATHS.
 * @throws invalid_argument, naming `path`, otherwise; not_found where there is none.
 */
export function readableFile(path: string): string {
  const refuse = (why: string): KernelEvolveError =>
    new KernelEvolveError("invalid_argument", `path: ${JSON.stringify(path.slice(0, 200))} ${why}`, {
      fix: "copy it into the working directory, or start the server with KERNELEVOLVE_ALLOWED_PATHS naming its folder",
    });
  let wanted: string;
  try {
    wanted = real(resolve(path));
  } catch {
    throw refuse("cannot be resolved");
  }
  if (!allowedFolders().some((root) => inside(real(root), wanted)))
    throw refuse("is outside the folders that may be read");
  const found = lstatSync(wanted, { throwIfNoEntry: false });
  if (found === undefined)
    throw new KernelEvolveError("not_found", `path: there is no file ${JSON.stringify(path.slice(0, 200))}`);
  if (!found.isFile()) throw refuse("is not a file");
  return wanted;
}
