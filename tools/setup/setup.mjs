// Sets up what the demo and the tests need, with Node's built-ins alone (any Node from 20): the npm packages, a C compiler,
// bubblewrap, valgrind, git, and the build. Says what it installs before it does; does nothing when nothing is missing.
// usage: node tools/setup/setup.mjs [--no-build] [--torch]
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(fileURLToPath(new URL("../..", import.meta.url)));
const say = (text) => process.stderr.write(`setup: ${text}\n`);

const NPM_MINUTES = 5;

/** The programs, what each is for, and its package by package manager. `required` ones stop the set-up when they cannot be had. */
const PROGRAMS = [
  {
    name: "gcc",
    packages: { apt: ["gcc", "libc6-dev"], dnf: ["gcc", "glibc-devel"], pacman: ["gcc"] },
    required: true,
    use: "compiles kernels",
  },
  {
    name: "g++",
    packages: { apt: ["g++"], dnf: ["gcc-c++"], pacman: ["gcc"] },
    required: true,
    use: "compiles C++ kernels",
  },
  {
    name: "git",
    packages: { apt: ["git"], dnf: ["git"], pacman: ["git"] },
    required: true,
    use: "archives the search",
  },
  {
    name: "bwrap",
    packages: { apt: ["bubblewrap"], dnf: ["bubblewrap"], pacman: ["bubblewrap"] },
    required: false,
    use: "sandboxes kernels (without it the sandbox is limited)",
  },
  {
    name: "valgrind",
    packages: { apt: ["valgrind"], dnf: ["valgrind"], pacman: ["valgrind"] },
    required: false,
    use: "profiles where there are no hardware counters",
  },
  {
    name: "make",
    packages: { apt: ["make"], dnf: ["make"], pacman: ["make"] },
    required: false,
    use: "builds the vector index's library (without it vectors are searched one by one)",
  },
  {
    name: "python3",
    packages: { apt: ["python3"], dnf: ["python3"], pacman: ["python"] },
    required: false,
    use: "builds the vector index's library, with make",
  },
  {
    name: "python3-venv",
    packages: { apt: ["python3-venv"], dnf: ["python3"], pacman: ["python"] },
    required: false,
    use: "makes the Python environment of PyTorch targets",
    present: () => spawnSync("python3", ["-c", "import ensurepip, venv"], { stdio: "ignore" }).status === 0,
  },
  {
    name: "objdump",
    packages: { apt: ["binutils"], dnf: ["binutils"], pacman: ["binutils"] },
    required: false,
    use: "shows assembly",
  },
];

function has(program) {
  return (process.env.PATH ?? "").split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function run(command, args, options = {}) {
  return spawnSync(command, args, { cwd: root, stdio: ["ignore", 2, 2], ...options }).status === 0;
}

/** gcc without the C library's headers compiles nothing. */
function compilerWorks() {
  const args = ["-x", "c", "-fsyntax-only", "-"];
  return (
    spawnSync("gcc", args, {
      input: "#include <stdio.h>\n#include <linux/seccomp.h>\n",
      stdio: ["pipe", "ignore", "ignore"],
    }).status === 0
  );
}

function installPrograms() {
  const missing = PROGRAMS.filter(
    (program) => !(program.present?.() ?? has(program.name)) || (program.name === "gcc" && !compilerWorks()),
  );
  if (missing.length === 0) return;
  for (const program of missing) say(`${program.name} is missing: it ${program.use}`);
  const manager = has("apt-get") ? "apt" : has("dnf") ? "dnf" : has("pacman") ? "pacman" : undefined;
  const packages =
    manager === undefined ? [] : [...new Set(missing.flatMap((program) => program.packages[manager]))];
  const isRoot = process.getuid?.() === 0;
  const sudo = isRoot ? [] : ["sudo", "-n"];
  const install = {
    apt: ["apt-get", "install", "-y", "--no-install-recommends", ...packages],
    dnf: ["dnf", "install", "-y", ...packages],
    pacman: ["pacman", "-S", "--noconfirm", ...packages],
  }[manager ?? "apt"];
  const may = isRoot || (has("sudo") && spawnSync("sudo", ["-n", "true"], { stdio: "ignore" }).status === 0);
  const required = missing.filter((program) => program.required);
  if (manager === undefined || !may) {
    const command =
      manager === undefined
        ? `install: ${missing.map((program) => program.name).join(", ")}`
        : `sudo ${install.join(" ")}`;
    say(`this needs root; run:\n\n    ${command}\n`);
    if (required.length > 0) process.exit(3);
    say("going on without: what is missing is optional");
    return;
  }
  say(`installing ${packages.join(" ")}`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const [program, ...args] = [...sudo, ...install];
  const done =
    run(program, args, { env }) ||
    (manager === "apt" &&
      run([...sudo, "apt-get"][0], [...sudo.slice(1), ...(sudo.length > 0 ? ["apt-get"] : []), "update"], {
        env,
      }) &&
      run(program, args, { env }));
  const still = PROGRAMS.filter((one) => one.required && !has(one.name));
  if (!done && still.length > 0) {
    say(`that failed; run it yourself:\n\n    ${isRoot ? "" : "sudo "}${install.join(" ")}\n`);
    process.exit(3);
  }
  if (!done) say("not everything could be installed; going on, since what is missing is optional");
}

function digest(files) {
  const hash = createHash("sha256");
  for (const file of files)
    hash
      .update(file)
      .update("\0")
      .update(readFileSync(join(root, file)))
      .update("\0");
  return hash.digest("hex");
}

function stamped(name, value) {
  const file = join(root, "node_modules", ".kernelevolve-setup", name);
  try {
    return readFileSync(file, "utf8") === value;
  } catch {
    return false;
  }
}

function stamp(name, value) {
  const folder = join(root, "node_modules", ".kernelevolve-setup");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, name), value);
}

function installPackages() {
  const wanted = digest(["package.json", "package-lock.json"]);
  if (existsSync(join(root, "node_modules", "node", "bin", "node")) && stamped("packages", wanted)) return;
  say("installing the npm packages (npm ci), Node 24 among them");
  const npm = process.env.npm_execpath;
  const [program, args] = npm === undefined ? ["npm", []] : [process.execPath, [npm]];
  // Where Debian put Node's headers, nothing need be fetched for native modules (they use the stable interface).
  const headers = existsSync("/usr/include/node/node_api.h") ? ["--nodedir=/usr"] : [];
  // The packages are pinned for the Node that comes with them, not for the one that runs npm now.
  const ci = [...args, "ci", "--no-audit", "--no-fund", "--loglevel=error", ...headers];
  // A download that stalls is begun anew: it takes half a minute as a rule, and npm itself waits for very long.
  if (!run(program, ci, { timeout: NPM_MINUTES * 60_000, killSignal: "SIGKILL" })) {
    say("npm ci failed or stalled; once more");
    if (!run(program, ci, { timeout: 4 * NPM_MINUTES * 60_000, killSignal: "SIGKILL" })) {
      say("npm ci failed; its messages stand above");
      process.exit(1);
    }
  }
  stamp("packages", wanted);
}

function sources(folder) {
  return readdirSync(join(root, folder)).flatMap((name) => {
    const path = join(folder, name);
    return statSync(join(root, path)).isDirectory() ? sources(path) : [path];
  });
}

function build() {
  const wanted = digest([...sources("src").sort(), "tsconfig.json", "tsconfig.build.json"]);
  if (existsSync(join(root, "dist", "main.js")) && stamped("build", wanted)) return;
  say("building (tsc)");
  const node = join(root, "node_modules", "node", "bin", "node");
  if (!run(node, [join(root, "node_modules", "typescript", "bin", "tsc"), "-p", "tsconfig.build.json"])) {
    say("the build failed; its messages stand above");
    process.exit(1);
  }
  stamp("build", wanted);
}

/** PyTorch and Triton in a Python environment of their own, for the tests of targets that need them. */
function installTorch() {
  const node = join(root, "node_modules", "node", "bin", "node");
  if (run(node, [join(root, "dist", "main.js"), "setup", "torch", "--dev"])) return;
  say("the Python environment could not be made; its message stands above");
  process.exit(1);
}

installPrograms();
installPackages();
if (!process.argv.includes("--no-build")) build();
if (process.argv.includes("--torch")) installTorch();
