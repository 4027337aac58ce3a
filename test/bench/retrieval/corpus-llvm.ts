import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { htmlToMarkdown } from "../../../src/knowledge/ingest/html.ts";
import { cacheHome } from "../../../src/platform/paths.ts";

const PACKAGE = "llvm-19-doc";
const PAGES = "usr/share/doc/llvm-19-doc/html";

/** A page of the manual as Markdown. */
export interface Page {
  /** Path below html/ without the ending. */
  readonly name: string;
  readonly target: "amd" | "nvidia";
  readonly title: string;
  readonly markdown: string;
}

function must(command: string, args: readonly string[], folder: string): void {
  const result = spawnSync(command, args, { cwd: folder, encoding: "utf8" });
  if (result.status === 0) return;
  const why = result.error?.message ?? result.stderr.trim().split("\n").at(-1) ?? "";
  throw new Error(
    `${PACKAGE} cannot be had: ${command} ${args[0] ?? ""} failed (${why}). This benchmark needs a Debian system whose package list has ${PACKAGE} (apt-get update), and dpkg; or unpack the package into ${join(cacheHome(), PACKAGE)} yourself.`,
  );
}

/** Fetches and unpacks the package into the cache folder, once. @returns the folder of the pages. */
function unpacked(): string {
  const folder = join(cacheHome(), PACKAGE);
  if (existsSync(join(folder, PAGES))) return join(folder, PAGES);
  mkdirSync(cacheHome(), { recursive: true });
  const temporary = mkdtempSync(join(cacheHome(), `${PACKAGE}-`));
  try {
    must("apt-get", ["download", PACKAGE], temporary);
    const file = readdirSync(temporary).find((name) => name.endsWith(".deb"));
    if (file === undefined) throw new Error(`apt-get download ${PACKAGE} wrote no file`);
    must("dpkg", ["-x", file, "tree"], temporary);
    rmSync(folder, { recursive: true, force: true });
    renameSync(join(temporary, "tree"), folder);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  return join(folder, PAGES);
}

/** The pages of LLVM 19 about AMDGPU and NVPTX, through the project's own reading of HTML. */
export async function llvmPages(): Promise<Page[]> {
  const folder = unpacked();
  const names = [
    ...readdirSync(folder).filter((name) => /^(AMDGPU\w*|NVPTXUsage)\.html$/.test(name)),
    ...readdirSync(join(folder, "AMDGPU")).map((name) => `AMDGPU/${name}`),
  ]
    .filter((name) => name.endsWith(".html"))
    .sort();
  const pages: Page[] = [];
  for (const file of names) {
    const name = file.replace(/\.html$/, "");
    const { title, markdown } = await htmlToMarkdown(readFileSync(join(folder, file), "utf8"));
    pages.push({ name, target: name.startsWith("NVPTX") ? "nvidia" : "amd", title: title || name, markdown });
  }
  return pages;
}
