// Loads the data and starts the page.

import { loadDataset } from "./dataset";
import { fill, h } from "./element";
import { Explorer } from "./explorer";
import { readRun } from "./files";
import { loadQuality } from "./quality";

async function start(): Promise<void> {
  const root = document.getElementById("app")!;
  try {
    const [data, run, quality] = await Promise.all([loadDataset(), readRun().catch(() => null), loadQuality()]);
    new Explorer(data, run as Record<string, any> | null, quality, root);
    document.documentElement.dataset["ready"] = "yes";
  } catch (error) {
    fill(
      root,
      h("p", { className: "loud", aria: { role: "alert" } }, "The pictures could not be loaded."),
      h("p", { className: "loading" }, `${String(error)} The results themselves are in matrix.csv and run.json beside this folder.`),
    );
  }
}

void start();
