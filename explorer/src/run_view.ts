// The run: counts, what was refused, what the components explain, time, money, place, and what changed since before.

import { readColumns, type About } from "./dataset";
import { fill, h } from "./element";
import { readFile } from "./files";
import { showMore, table } from "./parts";
import { count, decimal, duration, moment, percent, pictures, usd } from "./words";

type Facts = Record<string, any>;
const REJECTS_SHOWN = 100;
const REASONS: Record<string, string> = {
  gone: "deleted since it was listed",
  forbidden: "may not be read",
  unreadable: "the store failed",
  too_many_bytes: "file too large",
  unsupported_key: "its key cannot be read",
  empty: "empty file",
  not_an_image: "no picture",
  unsupported_format: "format not supported",
  truncated: "cut off",
  corrupt: "damaged",
  too_large: "too many pixels",
  not_finite: "no finite numbers came out",
};

export function runView(about: About, run: Facts | null): HTMLElement {
  const element = h("section", { className: "page run", aria: { label: "The run" } });
  const rejects = h("div", { className: "panel" }, h("h2", {}, "Pictures that could not be used"), h("p", {}, "Loading …"));
  fill(
    element,
    h("h1", {}, "The run"),
    h(
      "p",
      { className: "soft" },
      h("span", { className: "address" }, about.run_id),
      run ? `, published ${moment(run["published_at"])}` : null,
    ),
    run ? numbers(run) : h("p", { className: "panel" }, "run.json beside this page could not be read: its facts are missing here."),
    h("div", { className: "two" }, changes(about, run), scree(about, run)),
    run ? h("div", { className: "two" }, time(run), cost(run)) : null,
    run ? sameBytes(about, run) : null,
    rejects,
    run ? leftOut(run) : null,
    run ? place(run) : null,
  );
  void showRejects(about, rejects);
  return element;
}

function numbers(run: Facts): HTMLElement {
  const { counts, featurize, pca } = run;
  const figures: [string, string][] = [
    [count(counts.listed), "pictures listed"],
    [count(counts.featurized), "in the matrix"],
    [count(counts.rejected), "could not be used"],
    ...(run["left_out"] ? [[count(run["left_out"].files), "left out"] as [string, string]] : []),
    [count(featurize.featurized + featurize.rejected), "computed in this run"],
    [count(pca.k), "components kept"],
    [percent(pca.variance_reached), "of the variance"],
  ];
  return h(
    "ul",
    { className: "figures" },
    ...figures.map(([value, name]) => h("li", {}, h("b", {}, value), h("span", {}, name))),
  );
}

const KINDS: [string, string][] = [
  ["added", "new"],
  ["changed", "changed"],
  ["gone", "gone"],
];
const VALUES: Record<string, [string, (value: any) => string]> = {
  featurized: ["in the matrix", count],
  rejected: ["could not be used", count],
  k: ["components", count],
  variance_reached: ["variance explained", (value) => `${(value * 100).toFixed(1)} %`],
  images_per_second: ["pictures per second", decimal],
  model: ["model", String],
  weights: ["weights", String],
  usd: ["cost", usd],
  usd_per_1000_images: ["cost for 1,000 pictures", usd],
};

function changes(about: About, run: Facts | null): HTMLElement {
  const found = run?.["changes"];
  if (!found) {
    return h("div", { className: "panel" }, h("h2", {}, "Since the run before"), h("p", {}, "There is no run before this one."));
  }
  const images = found.images;
  const same = images && KINDS.every(([key]) => images[key] === 0);
  return h(
    "div",
    { className: "panel" },
    h("h2", {}, "Since the run before"),
    h("p", { className: "soft address" }, found.since.run_id),
    ...(images
      ? KINDS.map(([key, name]) => named(name, images[key], images.examples[key], about.images_uri))
      : [h("p", {}, "The list of pictures of the run before was deleted.")]),
    same ? h("p", {}, "The same pictures.") : null,
    differences(found),
  );
}

function named(kind: string, found: number, examples: string[], root: string): HTMLElement | null {
  if (!found) return null;
  const left = found - examples.length;
  return h(
    "details",
    {},
    h("summary", {}, h("b", {}, count(found)), ` ${kind}`),
    h(
      "ul",
      { className: "names" },
      ...examples.map((path) => h("li", {}, path.startsWith(root) ? path.slice(root.length) : path)),
      left ? h("li", {}, `and ${count(left)} more`) : null,
    ),
  );
}

function sameBytes(about: About, run: Facts): HTMLElement | null {
  const same = run["plan"]?.["same_bytes"];
  if (!same?.images) return null;
  const short = (path: string): string => (path.startsWith(about.images_uri) ? path.slice(about.images_uri.length) : path);
  return h(
    "div",
    { className: "panel" },
    h("h2", {}, "The same bytes under two labels"),
    h("p", {}, `${pictures(same.images)}; some of them:`),
    h("ul", { className: "names" }, ...(same.examples as string[][]).map((paths) => h("li", {}, paths.map(short).join(" = ")))),
  );
}

/** What was not even listed: files of systems, what is not a picture by its name, what could not be copied. */
function leftOut(run: Facts): HTMLElement | null {
  const found = run["left_out"];
  if (!found) return null; // a run of an earlier version
  const title = h("h2", {}, "Files that were left out");
  if (!found.files) return h("div", { className: "panel" }, title, h("p", {}, "None."));
  const rows = ["source", "bucket"].flatMap((place) =>
    (found[place].reasons as Facts[]).map((one): [string, string, string] => {
      const more = one["files"] > one["examples"].length ? ", …" : "";
      return [`${place}: ${one["reason"]}`, count(one["files"]), one["examples"].join(", ") + more];
    }),
  );
  return h(
    "div",
    { className: "panel" },
    title,
    h("p", {}, `${count(found.files)} ${found.files === 1 ? "file" : "files"} beside the pictures. The run's folder names all of them: sync.json those of the source, left_out.json those of the bucket.`),
    table(["because", "files", "for example"], rows, [1]),
  );
}

function differences(found: Facts): HTMLElement {
  const words = (value: unknown, show: (value: any) => string): string => (value == null || value === "" ? "–" : show(value));
  const rows: [string, string, string][] = [];
  for (const [key, pair] of Object.entries<Facts>(found["values"])) {
    const [name, show] = VALUES[key] ?? [key, String];
    const [old, fresh] = [words(pair["before"], show), words(pair["now"], show)];
    if (old !== fresh) rows.push([name, old, fresh]);
  }
  for (const [name, pair] of Object.entries<Facts>(found["settings"])) {
    rows.push([`setting “${name}”`, words(pair["before"], String), words(pair["now"], String)]);
  }
  return rows.length ? table(["", "before", "now"], rows) : h("p", { className: "soft" }, "The same settings and figures.");
}

function scree(about: About, run: Facts | null): HTMLElement {
  const bars = about.scree;
  const most = Math.max(...bars.map((bar) => bar.share), 1e-9);
  let together = 0;
  const kept = run?.["pca"].k ?? about.k;
  return h(
    "div",
    { className: "panel" },
    h("h2", {}, "What each component explains"),
    bars.length
      ? h(
          "ol",
          { className: "scree", aria: { label: "Share of the variance of each component" } },
          ...bars.map((bar) => {
            together += bar.share;
            const words = `Component ${bar.component}: ${(bar.share * 100).toFixed(1)} % of the variance, ${(together * 100).toFixed(1)} % together with those before${bar.kept ? "" : "; not kept"}`;
            const column = h("span", { className: "scree-bar" });
            column.style.height = `${Math.max(0.5, (bar.share / most) * 100)}%`;
            return h(
              "li",
              { className: bar.kept ? "kept" : "", title: words },
              column,
              h("span", { className: "visually-hidden" }, words),
            );
          }),
        )
      : h("p", {}, "explained_variance.csv could not be read."),
    h(
      "p",
      {},
      `${count(kept)} components are kept (k = ${count(kept)})`,
      run ? `; together they explain ${(run["pca"].variance_reached * 100).toFixed(1)} % of the variance.` : ".",
      bars.length ? h("span", { className: "soft" }, ` The first one alone explains ${(bars[0]!.share * 100).toFixed(1)} %.`) : null,
    ),
  );
}

function time(run: Facts): HTMLElement {
  const { featurize, pca, cluster } = run;
  const seconds = featurize.seconds;
  const rows: [string, string][] = [["Featurize, in all", duration(seconds.total)]];
  const parts: [string, string][] = [["start", "start"], ["fetch", "fetch"], ["decode", "decode"], ["infer", "infer"], ["write", "write"]];
  for (const [key, name] of parts) {
    if (seconds[key] !== undefined) rows.push([`  ${name}${key === "start" ? "" : " (added up over the workers)"}`, duration(seconds[key])]);
  }
  rows.push(["Images per second", decimal(featurize.images_per_second)], ["PCA", duration(pca.seconds.total)]);
  const ready = cluster?.ready_at ? (Date.parse(cluster.ready_at) - Date.parse(cluster.created_at)) / 1000 : NaN;
  if (Number.isFinite(ready)) rows.push(["Until the cluster was ready", duration(ready)]);
  return h("div", { className: "panel" }, h("h2", {}, "Where the time went"), table([], rows, [1]));
}

function cost(run: Facts): HTMLElement {
  const found = run["cost"];
  const panel = (...children: Node[]): HTMLElement => h("div", { className: "panel" }, h("h2", {}, "What it cost"), ...children);
  if (!found) return panel(h("p", {}, "The cost is calculated when the run has ended; look again a few minutes after it."));
  const rows: [string, string][] = [["Actual", usd(found.usd)]];
  if (found.estimate) rows.push(["Estimated before", usd(found.estimate.usd)]);
  if (found.usd_per_1000_images != null) rows.push(["For 1,000 pictures", usd(found.usd_per_1000_images)]);
  if (found.here) rows.push(["Work on Airflow's machine", duration(found.here.seconds)]);
  if (found.clusters?.length) {
    rows.push(["Lifetime of the cluster", duration(found.cluster_hours * 3600)]);
    if (found.idle_minutes != null) rows.push(["Of which idle", duration(found.idle_minutes * 60)]);
  }
  for (const one of found.clusters ?? []) rows.push([`Cluster ${one.cluster_id}`, `${one.state}`]);
  return panel(table([], rows, [1]), h("p", { className: "soft" }, found.note ?? ""));
}

function where(run: Facts): [string, string][] {
  const rows: [string, string][] = [];
  if (run["here"]) rows.push(["Airflow's machine", `${run["here"].processes} processes`]);
  if (run["cluster"]) rows.push(["Cluster", `${run["cluster"].id}, ${run["cluster"].release_label}`]);
  return rows;
}

function place(run: Facts): HTMLElement {
  const rows: [string, string][] = [
    ...where(run),
    ...Object.entries(run["regions"] as Record<string, string>).map(([what, region]): [string, string] => [`Region of the ${what}`, region]),
    ["Model", run["model"].fingerprint],
    ["Weights", run["model"].weights],
    ["Engine", run["featurize"].engine ?? "–"],
  ];
  return h("div", { className: "panel" }, h("h2", {}, "Where it ran, and with what"), table([], rows));
}

async function showRejects(about: About, panel: HTMLElement): Promise<void> {
  const title = h("h2", {}, "Pictures that could not be used");
  const all = (about.of_rejects ?? 0) > about.rejects ? ` The first ${count(about.rejects)} are listed here; rejects.csv has all.` : "";
  if (!about.rejects) return fill(panel, title, h("p", {}, "None."));
  try {
    const found = await readColumns(await readFile("rejects.parquet"));
    const column = (name: string, at: number): string => String(found[name]![at] ?? "");
    const list = h("div", {});
    let most = REJECTS_SHOWN;
    const show = (): void => {
      const rows = Array.from({ length: Math.min(most, about.rejects) }, (_, at) => [
        column("path", at).slice(about.images_uri.length),
        REASONS[column("reason", at)] ?? column("reason", at),
        column("stage", at),
        column("detail", at),
      ]);
      const more = showMore(() => ((most += REJECTS_SHOWN), show()));
      fill(list, table(["picture", "reason", "while", "detail"], rows), most < about.rejects ? more : null);
    };
    show();
    fill(panel, title, h("p", {}, `${pictures(about.of_rejects ?? about.rejects)}; the rest of the run is not affected.${all}`), list);
  } catch (error) {
    fill(panel, title, h("p", {}, `They could not be read: ${String(error)}`));
  }
}
