import { accessSync, constants } from "node:fs";
import { resolve } from "node:path";
import { InvalidArgumentError } from "commander";
import { errorMessage, KernelEvolveError } from "../domain/index.ts";
import { makeFolder } from "../platform/folder.ts";

/** Reads an option's folder: absolute; an empty one (a variable that is not set) is refused. */
export function folderFrom(text: string): string {
  if (text.trim() === "") throw new InvalidArgumentError("It is empty; a folder is needed, such as ./result");
  return resolve(text);
}

/**
 * Makes the folder that a long search will write to, before it begins.
 * @throws invalid_argument when it cannot be made or written
 */
export function writable(folder: string): void {
  try {
    makeFolder(folder);
    accessSync(folder, constants.W_OK);
  } catch (error) {
    throw new KernelEvolveError("invalid_argument", `--out ${folder}: ${errorMessage(error)}`, {
      fix: "give a folder that can be written; nothing was searched yet",
      cause: error,
    });
  }
}
