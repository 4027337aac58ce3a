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
import { CELL_KEEPS, type Member, type Population } from "./population.ts";
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
  diversity: {
    default: 0.1,
    min: 0,
    max: 1,
    meaning:
      "probability that the parent is an elite of a MAP-Elites cell (arithmetic, tiling, threads, unrolling, bottleneck), cells drawn evenly, instead of a tournament's winner",
  },
  cell_elites: {
    default: 2,
    min: 1,
    max: CELL_KEEPS,
    integer: true,
    meaning: "best nodes of a cell that may be its parents",
  },
  stagnation: {
    // As long as between migrations: a run of forty nodes must be able to stagnate, too.
    default: 12,
    min: 1,
    max: 1_000_000,
    integer: true,
    meaning: "nodes in a row without a better one after which a new island begins with a draft",
  },
  islands_most: {
    default: 8,
    min: 1,
    max: 64,
    integer: true,
    meaning: "islands in all; from `islands` on none is added",
  },
} as const satisfies Record<string, ParameterSpec>;

/** How many of an island's best compete for the second place of a crossover. */
const MATES = 32;

/** Nodes that a new island is given ahead of its turn, to catch up a little. */
const HEAD_START = 8;

/**
 * Islands in a ring. The emptiest island is served next; within it a tournament names the parent, or, for variety, a cell of
 * its MAP-Elites archive (J.-B. Mouret, J. Clune, 2015) does, whose elites are the best of their kind rather than the best.
 * Migration copies nothing (nodes are insert-only): from each migration on, the best nodes that the previous island had at
 * that moment take part in the tournaments of the next one. When the whole run stagnates, a new island begins with a draft
 * of its own.
 */
export const islands: Policy = {
  name: "islands",
  title:
    "Evolutionary islands: tournament selection, MAP-Elites cells, crossover, migration along a ring, new islands on stagnation",
  parameters,
  cells: true,
  rootIsland: (index, given) => index % parameter(given, "islands"),
  select(view, given): Selection {
    const count = islandsOf(view.population, given);
    const wanting = drafting(view, parameter(given, "drafts"));
    const fresh = wanting ? undefined : toFound(view, count, parameter(given, "islands"));
    if (fresh !== undefined) return { phase: "draft", parents: [], island: fresh };
    const island = emptiest(view, count, parameter(given, "islands"));
    if (wanting) return { phase: "draft", parents: [], island };
    const pool = poolOf(view.population, island, count, given);
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
    const first =
      (view.random.next() < parameter(given, "diversity") ? cellElite(view, island, given) : undefined) ??
      tournament(parents, parameter(given, "tournament"), view.random);
    if (view.random.next() < parameter(given, "crossover")) {
      const second = mate(view, first, parents);
      if (second !== undefined) return { phase: "expand", parents: [first.id, second.id], island };
    }
    return { phase: "expand", parents: [first.id], island };
  },
};

/** How many islands the run has by now, those among them that have no node yet. */
function islandsOf(population: Population, given: Parameters): number {
  const first = parameter(given, "islands");
  const most = Math.max(first, parameter(given, "islands_most"));
  return Math.min(most, first + population.stalls(parameter(given, "stagnation")));
}

/** The first island beyond those of the beginning that has no node; its draft may be under way once. */
function toFound(view: SelectionView, count: number, first: number): number | undefined {
  for (let island = first; island < count; island += 1) {
    if (view.population.sizeOf(island) > 0) continue;
    return view.open.some((claim) => claim.island === island) ? undefined : island;
  }
  return undefined;
}

/**
 * The island with the fewest nodes and claims under way; the lowest number among equals. One that began later counts as if
 * it had as many as the others had then, less a head start.
 */
function emptiest(view: SelectionView, count: number, first: number): number {
  const before: number[] = [];
  const load: number[] = [];
  for (let island = 0; island < count; island += 1) {
    const sizes = island < first ? [] : view.population.founding(island);
    // Not begun: it waits for its draft.
    const then = sizes?.map((size, other) => size + (before[other] ?? 0)) ?? [];
    const mean = then.reduce((sum, size) => sum + size, 0) / Math.max(1, then.length);
    before.push(Math.max(0, mean - HEAD_START));
    load.push(
      sizes === undefined
        ? Number.POSITIVE_INFINITY
        : view.population.sizeOf(island) + Math.max(0, mean - HEAD_START),
    );
  }
  for (const claim of view.open) if (claim.island < count) load[claim.island] = (load[claim.island] ?? 0) + 1;
  return load.indexOf(Math.min(...load));
}

/**
 * The island's passed nodes, the beginnings that it shares with the others (every island of the beginning starts from the same
 * seeds, wherever they are counted), and the migrants that it may use since the last migration.
 */
function poolOf(population: Population, island: number, count: number, given: Parameters): readonly Member[] {
  const own = population.elite(island);
  if (count === 1) return own;
  const shared = island < parameter(given, "islands") ? beginnings(population, island, given) : [];
  const wanted = parameter(given, "migrants");
  const interval = parameter(given, "migration_interval");
  const moment = Math.floor((population.lastStep + 1) / interval) * interval;
  const migrants: Member[] = [];
  for (const member of population.elite((island + count - 1) % count)) {
    if (migrants.length >= wanted) break;
    if (member.step < moment && !shared.includes(member)) migrants.push(member);
  }
  return migrants.length + shared.length === 0 ? own : [...own, ...shared, ...migrants];
}

/** Seeds and first drafts that passed, of the other islands of the beginning. */
function beginnings(population: Population, island: number, given: Parameters): Member[] {
  const out: Member[] = [];
  for (const id of population.rootIds) {
    const member = population.get(id);
    if (member === undefined || member.standing !== "elite" || member.merit === 0) continue;
    if (member.island !== island && member.island < parameter(given, "islands")) out.push(member);
  }
  return out;
}

/** One of the best of a cell of the island, cells drawn evenly; undefined while it has none. */
function cellElite(view: SelectionView, island: number, given: Parameters): Member | undefined {
  const cell = view.random.pick([...view.population.cells(island).values()]);
  return cell === undefined ? undefined : view.random.pick(cell.slice(0, parameter(given, "cell_elites")));
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
