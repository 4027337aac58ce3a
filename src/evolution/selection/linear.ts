import {
  drafting,
  EXPANSION_PARAMETERS,
  type ParameterSpec,
  type Policy,
  parameter,
  type Selection,
} from "./policy.ts";

const parameters = {
  drafts: { ...EXPANSION_PARAMETERS.drafts, default: 1 },
  seeds: EXPANSION_PARAMETERS.seeds,
  repair_depth: EXPANSION_PARAMETERS.repair_depth,
} as const satisfies Record<string, ParameterSpec>;

/**
 * One chain, as a person would work: the newest node is improved when it passed and repaired when it failed. After `repair_depth`
 * failures in a row the chain goes on from the best node that passed.
 */
export const linear: Policy = {
  name: "linear",
  title: "Linear: always go on from the newest node; after failures in a row, from the best one",
  parameters,
  rootIsland: () => 0,
  select(view, given): Selection {
    if (drafting(view, parameter(given, "drafts"))) return { phase: "draft", parents: [], island: 0 };
    const { newest } = view.population;
    const best = view.population.elite()[0];
    const given_up = newest !== undefined && newest.failures > parameter(given, "repair_depth");
    const parent = newest === undefined || given_up ? best : newest;
    return parent === undefined
      ? { phase: "draft", parents: [], island: 0 }
      : { phase: "expand", parents: [parent.id], island: 0 };
  },
};
