import { COMMON_PARAMETERS, type Policy } from "./policy.ts";

/** One draft and no second try: what a proposer makes of the prompt alone. The least that a search is compared with. */
export const oneShot: Policy = {
  name: "one-shot",
  title: "One shot: a single draft, the run ends with it",
  parameters: { ...COMMON_PARAMETERS, seeds: { ...COMMON_PARAMETERS.seeds, default: 0 } },
  bounds: { nodes: 1 },
  rootIsland: () => 0,
  select: () => ({ phase: "draft", parents: [], island: 0 }),
};
