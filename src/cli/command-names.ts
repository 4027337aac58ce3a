/** What the services' errors say to an agent, and what a user of the command line does instead. The longer phrase comes first. */
const INSTEAD: readonly (readonly [RegExp, string])[] = [
  [/register it with problem_register/g, "give a file or folder with its definition"],
  [/\bevolve_status without a run\b/g, "kernelevolve runs"],
  [/\bevolve_status\b/g, "kernelevolve runs"],
  [/\bevolve_start\b/g, "kernelevolve evolve"],
  [/\bevolve_export\b/g, "kernelevolve report"],
  [/\bproblem_describe\b/g, "kernelevolve problems"],
  [/\btarget_list\b/g, "kernelevolve doctor"],
  [/\btarget_describe\b/g, "kernelevolve targets"],
  [/\bkernel_compile\b/g, "kernelevolve evaluate --compile-only"],
  [/\bknowledge_add\b/g, "kernelevolve docs add"],
  [/\bknowledge_search\b/g, "kernelevolve docs search"],
  [/\bknowledge_read\b/g, "kernelevolve docs read"],
];

/** The advice of an error in the words of the command line. Tools that no command stands for keep their names. */
export function forCommandLine(advice: string): string {
  return INSTEAD.reduce((text, [tool, command]) => text.replace(tool, command), advice);
}
