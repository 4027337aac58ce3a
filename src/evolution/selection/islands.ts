import type { Random } from "../random.ts";
import { weightedIndex } from "../random.ts";
import {
  drafting,
  EXPANSION_PARAMETERS,
  type ParameterSpec,
  type Parameters,
  type Policy,
  parameter,
  repairTarget,
  type Selection,
  type SelectionView,
} from "./policy.ts";
import type { Member, Population } from "./population.ts";
import { parentWeights } from "./weights.ts";

const parameters = {
  ...EXPANSION_PARAMETERS,
  islands: { default: 3, min: 1, max: 64, integer: true, meaning: "populations that evolve apart" },
  tournament: {
    default: 3,
    min: 1,
    max: 100,
    integer: true,
    meaning: "nodes drawn for a tournament; the best of them is the parent",
  },
  crossover: { default: 0.2, min: 0, max: 1, meaning: "probability of two parents instead of one" },
  migration_interval: {
    default: 12,
    min: 1,
    max: 100_000,
    integer: true,
    meaning: "nodes between migrations",
  },
  migrants: {
    default: 1,
    min: 0,
    max: 100,
    integer: true,
    meaning: "best nodes of each island that the next island may use after a migration",
  },
} as const satisfies Record<string, ParameterSpec>;

/** How many of an island's best compete for the second place of a crossover. */
const MATES = 32;

/**
 * Islands in a ring. The emptiest island is served next; within it a tournament names the parent. Migration copies
 * nothing (nodes are insert-only): from each migration on, the best nodes that the previous island had at that moment
 * take part in the tournaments of the next one.
 */
export const islands: Policy = {
  name: "islands",
  title: "Evolutionary islands: tournament selection, crossover, migration along a ring",
  parameters,
  rootIsland: (index, given) => index % parameter(given, "islands"),
  select(view, given): Selection {
    const island = emptiest(view, parameter(given, "islands"));
    if (drafting(view, parameter(given, "drafts"))) return { phase: "draft", parents: [], island };
    const pool = poolOf(view.population, island, given);
    if (pool.length === 0 || view.random.next() < parameter(given, "repair")) {
      const depth = parameter(given, "repair_depth");
      const target = repairTarget(view, depth, island);
      if (target !== undefined) return { phase: "expand", parents: [target.id], island };
    }
    // An island whose own nodes all failed borrows from everywhere before it starts anew.
    const parents = pool.length > 0 ? pool : view.population.elite();
    if (parents.length === 0) {
      const target = repairTarget(view, parameter(given, "repair_depth"));
      if (target !== undefined) return { phase: "expand", parents: [target.id], island };
      return { phase: "draft", parents: [], island };
    }
    const first = tournament(parents, parameter(given, "tournament"), view.random);
    if (view.random.next() < parameter(given, "crossover")) {
      const second = mate(view, first, parents);
      if (second !== undefined) return { phase: "expand", parents: [first.id, second.id], island };
    }
    return { phase: "expand", parents: [first.id], island };
  },
};

/** The island with the fewest nodes and claims under way; the lowest number among equals. */
function emptiest(view: SelectionView, count: number): number {
  const load = Array.from({ length: count }, (_, island) => view.population.sizeOf(island));
  for (const claim of view.open) if (claim.island < count) load[claim.island] = (load[claim.island] ?? 0) + 1;
  return load.indexOf(Math.min(...load));
}

/** The island's passed nodes and the migrants that it may use since the last migration. */
function poolOf(population: Population, island: number, given: Parameters): readonly Member[] {
  const own = population.elite(island);
  const count = parameter(given, "islands");
  const wanted = parameter(given, "migrants");
  if (count === 1 || wanted === 0) return own;
  const interval = parameter(given, "migration_interval");
  const moment = Math.floor((population.lastStep + 1) / interval) * interval;
  const migrants: Member[] = [];
  for (const member of population.elite((island + count - 1) % count)) {
    if (migrants.length === wanted) break;
    if (member.step < moment) migrants.push(member);
  }
  return migrants.length === 0 ? own : [...own, ...migrants];
}

/** The best of `size` nodes drawn with replacement; the earlier one among equals. */
export function tournament(pool: readonly Member[], size: number, random: Random): Member {
  let best = random.pick(pool);
  for (let round = 1; round < size; round += 1) {
    const rival = random.pick(pool);
    if (rival !== undefined && (best === undefined || rival.merit > best.merit)) best = rival;
  }
  if (best === undefined) throw new RangeError("a tournament needs at least one node");
  return best;
}

/** A second parent: from the island's pool or, every second time, from the whole run, weighted by merit. */
function mate(view: SelectionView, first: Member, pool: readonly Member[]): Member | undefined {
  const wide = view.random.next() < 0.5 ? view.population.elite() : pool;
  const candidates = wide.slice(0, MATES).filter((member) => member.id !== first.id);
  const weights = parentWeights(
    candidates.map((member) => member.merit),
    candidates.map((member) => view.population.childrenOf(member.id)),
  );
  return candidates[weightedIndex(weights, view.random)];
}
