import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { KernelEvolveError, type WorkContext } from "../domain/index.ts";
import { installCommand } from "../platform/install.ts";
import { runProcess } from "../platform/subprocess.ts";
import { plainText } from "../platform/text.ts";
import {
  privateTorchFolder,
  probeTorch,
  type TorchEnvironment,
  torchTools,
} from "../platform/torch-environment.ts";
import { which } from "../platform/which.ts";

const PACKAGE_MS = 45 * 60_000;
const VENV = {
  apt: "python3-venv",
  dnf: "python3",
  zypper: "python3",
  pacman: "python",
  apk: "python3",
  brew: "python",
};

export interface TorchSetupOptions {
  /** Make the environment anew although it is there. */
  readonly force?: boolean;
  /** What the Python tests need too: pytest, ruff, mypy. */
  readonly dev?: boolean;
  /** Interpreter to make it with; default python3 of PATH. */
  readonly python?: string;
  /** Where packages come from, as pip's --index-url: PyTorch's own index for the processor is far smaller than the default. */
  readonly indexUrl?: string;
}

export interface TorchSetupResult {
  readonly environment: TorchEnvironment;
  readonly folder: string;
  /** Of the whole environment on disk. */
  readonly bytes: number;
  readonly made: boolean;
  readonly seconds: number;
}

/** Packages with their versions, from a file of tools/torch. */
export function torchRequirements(file = "requirements.txt"): string[] {
  return readFileSync(join(torchTools, file), "utf8")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
}

/**
 * Makes the private Python environment with torch and triton: with uv where it is present, else venv and pip, beside the old one, which
 * it replaces when it is whole. pip's and uv's own settings (PIP_*, UV_*, proxies) hold.
 * @throws missing_tool without Python or its venv module, infrastructure when packages cannot be had.
 */
export async function setupTorch(
  options: TorchSetupOptions,
  context: WorkContext,
): Promise<TorchSetupResult> {
  const started = performance.now();
  const folder = privateTorchFolder();
  const done = async (made: boolean): Promise<TorchSetupResult> => ({
    environment: await probeTorch({ fresh: true }),
    folder,
    bytes: sizeOf(folder),
    made,
    seconds: (performance.now() - started) / 1000,
  });
  const wanted = ["torch", "triton", "numpy", ...(options.dev === true ? ["pytest", "ruff", "mypy"] : [])];
  if (options.force !== true && (await whole(folder, wanted))) return await done(false);
  // A virtual environment knows its own place, so it is made there; the old one waits beside it until the new one is whole.
  const old = `${folder}.old`;
  rmSync(old, { recursive: true, force: true });
  if (existsSync(folder)) renameSync(folder, old);
  try {
    await make(folder, options, context);
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    if (existsSync(old)) renameSync(old, folder);
    throw error;
  }
  rmSync(old, { recursive: true, force: true });
  return await done(true);
}

async function make(folder: string, options: TorchSetupOptions, context: WorkContext): Promise<void> {
  const python = options.python ?? which("python3");
  if (python === undefined)
    throw new KernelEvolveError("missing_tool", "python3 is not installed", {
      fix: installCommand({ ...VENV, apt: "python3 python3-venv" }) ?? "install Python 3.10 or later",
    });
  mkdirSync(join(folder, ".."), { recursive: true });
  const uv = which("uv");
  const step = (progress: number, message: string): void => context.report({ progress, total: 3, message });
  step(0, `making an environment in ${folder} with ${uv === undefined ? python : "uv"}`);
  const venv = uv === undefined ? [python, "-m", "venv", folder] : [uv, "venv", "--python", python, folder];
  const made = await run(venv, context);
  if (made.code !== 0) {
    throw new KernelEvolveError(
      "missing_tool",
      `no virtual environment can be made: ${lastLine(made.stderr || made.stdout)}`,
      {
        fix: installCommand(VENV) ?? "install Python's venv module, or uv",
      },
    );
  }
  const inside = join(folder, "bin", "python");
  const install = async (progress: number, packages: readonly string[]): Promise<void> => {
    step(progress, `installing ${packages.join(", ")}`);
    const index = options.indexUrl === undefined ? [] : ["--index-url", options.indexUrl];
    const argv =
      uv === undefined
        ? [inside, "-m", "pip", "install", "--no-input", "--progress-bar", "off", ...index, ...packages]
        : [uv, "pip", "install", "--python", inside, ...index, ...packages];
    const result = await run(argv, context, (line) => {
      const told = /^(Collecting|Downloading|Installing|Using cached|Prepared|Resolved)\b.*/.exec(
        line.trim(),
      );
      if (told !== null) step(progress, plainText(told[0], 160));
    });
    if (result.code !== 0)
      throw new KernelEvolveError(
        "infrastructure",
        `${packages.join(", ")} cannot be installed: ${lastLine(result.stderr || result.stdout)}`,
        { fix: "check the network and pip's settings (PIP_INDEX_URL, proxies), then run it again" },
      );
  };
  const wanted = torchRequirements();
  const triton = wanted.filter((one) => one.startsWith("triton"));
  await install(
    1,
    wanted.filter((one) => !triton.includes(one)),
  );
  // Builds of torch for devices bring the Triton that they were made with.
  const has = await run([inside, "-c", "import importlib.metadata as m; m.version('triton')"], context);
  if (has.code !== 0) await install(2, triton);
  if (options.dev === true) await install(2, torchRequirements("requirements-dev.txt"));
  step(3, "done");
}

async function whole(folder: string, packages: readonly string[]): Promise<boolean> {
  const python = join(folder, "bin", "python");
  if (!existsSync(python)) return false;
  const check = "import importlib.metadata as m, sys; [m.version(p) for p in sys.argv[1:]]";
  return (await runProcess({ argv: [python, "-c", check, ...packages], timeoutMs: 60_000 })).code === 0;
}

/** The settings of the user that concern where packages come from. */
function packageEnvironment(): Record<string, string> {
  const wanted =
    /^(PIP_|UV_|SSL_CERT|REQUESTS_CA_BUNDLE|HTTPS?_PROXY|NO_PROXY|https?_proxy|no_proxy|HOME|XDG_)/;
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value !== undefined && wanted.test(name) ? [[name, value]] : [],
    ),
  );
}

async function run(argv: readonly string[], context: WorkContext, onLine?: (line: string) => void) {
  context.signal.throwIfAborted();
  const result = await runProcess({
    argv,
    timeoutMs: PACKAGE_MS,
    signal: context.signal,
    env: packageEnvironment(),
    ...(onLine === undefined ? {} : { onLine }),
  });
  context.signal.throwIfAborted();
  return result;
}

function lastLine(text: string): string {
  const lines = plainText(text, 8000)
    .split("\n")
    .filter((line) => line.trim() !== "");
  return (lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1) ?? "no message").trim().slice(0, 300);
}

/** Bytes on disk below a folder; links are not followed. */
function sizeOf(folder: string): number {
  if (!existsSync(folder)) return 0;
  let bytes = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) bytes += sizeOf(path);
    else if (entry.isFile()) bytes += (lstatSync(path, { throwIfNoEntry: false })?.blocks ?? 0) * 512;
  }
  return bytes;
}
