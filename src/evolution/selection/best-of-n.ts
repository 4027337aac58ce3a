import { COMMON_PARAMETERS, type Policy } from "./policy.ts";

/** Independent drafts without feedback: the control that every search has to beat at an equal budget. */
export const bestOfN: Policy = {
  name: "best-of-n",
  title: "Best of N: independent drafts, no feedback; the control for the other policies",
  parameters: COMMON_PARAMETERS,
  rootIsland: () => 0,
  select: () => ({ phase: "draft", parents: [], island: 0 }),
};
