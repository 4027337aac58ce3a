import { type Policy, policies } from "../evolution/index.ts";

function section(policy: Policy): string {
  const rows = Object.entries(policy.parameters).map(
    ([name, { default: standard, min, max, meaning }]) =>
      `| \`${name}\` | ${standard} | ${min} to ${max} | ${meaning} |`,
  );
  const bound = policy.bounds === undefined ? "" : ` The run's budget is ${policy.bounds.nodes} node.`;
  return `## ${policy.name}\n\n${policy.title}.${bound}\n\n| parameter | default | range | meaning |\n| --- | --- | --- | --- |\n${rows.join("\n")}\n`;
}

/** docs/policies.md: every selection policy with its parameters. */
export function policiesPage(): string {
  return `# Selection policies\n\nGenerated from the policies by \`npm run gen\`; do not edit. Chosen with \`policy\` and \`policy_params\` of \`evolve_start\`, or \`--policy\` and \`--param name=value\` of \`kernelevolve evolve\`. Failed nodes are repair targets, never parents by merit.\n\n${Object.values(policies).map(section).join("\n")}`;
}
