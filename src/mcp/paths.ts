import { existsSync, realpathSync } from "node:fs";
import { basename, delimiter, dirname, join, relative, resolve } from "node:path";
import { KernelEvolveError } from "../domain/index.ts";
import { dataHome } from "../platform/paths.ts";

/** The path with every link in the part that exists resolved. */
function real(path: string): string {
  if (existsSync(path)) return realpathSync(path);
  const parent = dirname(path);
  return parent === path ? path : join(real(parent), basename(path));
}

/**
 * A folder that a tool may write: inside the working directory, the data home, or a folder of KERNELEVOLVE_ALLOWED_PATHS.
 * @throws invalid_argument otherwise.
 */
export function allowedPath(directory: string | undefined, run: string): string {
  const home = dataHome();
  if (directory === undefined) return join(home, "exports", run.replace(/[^A-Za-z0-9_-]/g, "_"));
  if (directory.includes("\0"))
    throw new KernelEvolveError("invalid_argument", "directory: contains a NUL byte");
  const wanted = real(resolve(directory));
  const extra = (process.env["KERNELEVOLVE_ALLOWED_PATHS"] ?? "")
    .split(delimiter)
    .filter((path) => path !== "");
  const allowed = [process.cwd(), home, ...extra].map((path) => real(resolve(path)));
  const inside = allowed.some((root) => {
    const way = relative(root, wanted);
    return way === "" || (!way.startsWith("..") && !way.startsWith("/"));
  });
  if (!inside) {
    throw new KernelEvolveError(
      "invalid_argument",
      `directory: ${wanted.slice(0, 200)} is outside the folders that may be written`,
      {
        fix: "choose a folder in the working directory, or start the server with KERNELEVOLVE_ALLOWED_PATHS naming it",
      },
    );
  }
  return wanted;
}
