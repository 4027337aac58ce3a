import { nearest } from "../platform/nearest.ts";
import { type SpecDocument, type SpecIssue, specError } from "./document.ts";

/** What a target says about itself alone. */
const OWN = new Set(["id", "title", "description", "inherits", "family"]);

type Mapping = Readonly<Record<string, unknown>>;

function isMapping(value: unknown): value is Mapping {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

/** Mappings are joined key by key, `null` takes a key away, anything else replaces what was inherited. */
function merge(inherited: unknown, own: unknown): unknown {
  if (!isMapping(inherited) || !isMapping(own)) return own;
  const joined = new Map(Object.entries(inherited));
  for (const [key, value] of Object.entries(own)) {
    if (value === null) joined.delete(key);
    else joined.set(key, merge(joined.get(key), value));
  }
  return Object.fromEntries(joined);
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === "string") : [];
}

/** A target's spec with that of a farther one beneath it. Constraints of both hold. */
function over(base: Mapping, own: Mapping): Mapping {
  const below = Object.fromEntries(Object.entries(base).filter(([key]) => !OWN.has(key)));
  const constraints = [...new Set([...strings(own["constraints"]), ...strings(base["constraints"])])];
  const joined = merge(below, own);
  return {
    ...(isMapping(joined) ? joined : own),
    ...(Array.isArray(own["constraints"]) || own["constraints"] === undefined ? { constraints } : {}),
  };
}

/** How one target's parents are found; `undefined` for one that is broken or unknown. */
export interface Family {
  readonly ids: readonly string[];
  /** The parent's raw spec with everything that it inherits, or why it cannot be had. */
  resolved(id: string, line: readonly string[]): { value: Mapping } | { reason: string };
}

/**
 * A target's raw spec with all that it inherits: nearest parent over farther ones, its own words over all.
 * `inherits` becomes the whole chain, nearest first.
 * @throws invalid_argument at the line that names a parent which is unknown, broken, or a descendant.
 */
export function inherit(document: SpecDocument, family: Family, line: readonly string[]): Mapping {
  const own = document.value;
  const parents = own["inherits"];
  if (!Array.isArray(parents) || parents.length === 0) return own;
  const id = typeof own["id"] === "string" ? own["id"] : "";
  const issues: SpecIssue[] = [];
  const chain: string[] = [];
  let base: Mapping = {};
  for (const [index, parent] of parents.entries()) {
    if (typeof parent !== "string") continue;
    const path = ["inherits", index];
    if (parent === id || line.includes(parent)) {
      issues.push({ path, message: `a circle: ${[...line, id, parent].join(" inherits ")}` });
      continue;
    }
    if (!family.ids.includes(parent)) {
      const close = nearest(parent, family.ids);
      const hint = close.length > 0 ? `; did you mean ${close.join(" or ")}?` : "";
      issues.push({ path, message: `there is no target "${parent}"${hint}` });
      continue;
    }
    const found = family.resolved(parent, [...line, id]);
    if ("reason" in found) {
      issues.push({ path, message: `"${parent}" cannot be read: ${found.reason}` });
      continue;
    }
    base = over(found.value, base);
    chain.push(parent, ...strings(found.value["inherits"]));
  }
  if (issues.length > 0) throw specError(document, issues);
  const whole = over(base, own);
  // Something that is no text stays where it is, so that the schema names it.
  return {
    ...whole,
    inherits: parents.every((one) => typeof one === "string") ? [...new Set(chain)] : parents,
  };
}
