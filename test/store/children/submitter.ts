import { openStore } from "../../../src/store/index.ts";
import { claimOf, newNode } from "../fixtures.ts";

/**
 * Claims and submits until killed, or until the budget of the run is claimed; one line on stdout for each node that the store
 * has acknowledged. Arguments: home, name, budget (nodes).
 */
const [home = "", name = "", budget = "1000000"] = process.argv.slice(2);
const store = openStore(home);
for (let count = 0; ; count += 1) {
  const claim = claimOf(`claim_${name}_${count}`, "run_a");
  const booked = store.graph.atomically(() => {
    const nodes = store.graph.totals("run_a").nodes;
    if (nodes + store.graph.countOpenClaims("run_a") >= Number(budget)) return false;
    store.graph.createClaim(claim, "prompt");
    return true;
  });
  if (!booked) break;
  const parent = store.graph.best("run_a");
  const { node } = store.graph.insertNode(
    newNode(
      `node_${name}_${count}`,
      "run_a",
      { claim: claim.id, fitness: count, parents: parent === undefined ? [] : [parent.id] },
      `int ${name}_${count};`.padEnd(2000),
    ),
  );
  process.stdout.write(`${node.id} ${node.step}\n`);
}
store.close();
