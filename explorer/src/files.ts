// Where the page's data comes from: fetched beside the page or, where a page may not fetch (on a disk), loaded as
// scripts that hold the same bytes as base64.

declare global {
  interface Window {
    vergerFiles?: Record<string, string>;
  }
}

/** Whether the page was opened from a disk, where it may fetch nothing. */
export const isOnDisk = location.protocol === "file:";
let scripts: Promise<unknown> | undefined;

/** A file of `data/`; throws an error that says which one is missing. */
export async function readFile(name: string): Promise<ArrayBuffer> {
  return isOnDisk ? readScript(name) : fetched(`data/${name}`);
}

/** The content of `run.json`, which lies beside the explorer's folder. */
export async function readRun(): Promise<unknown> {
  return parse(isOnDisk ? await readScript("run.json") : await fetched("../run.json"));
}

/** A JSON file of `data/`. */
export async function readJson(name: string): Promise<unknown> {
  return parse(await readFile(name));
}

function parse(bytes: ArrayBuffer): unknown {
  return JSON.parse(new TextDecoder().decode(bytes));
}

async function fetched(address: string): Promise<ArrayBuffer> {
  // Not from an old cache: a run's files are written again when its cost is known.
  const answer = await fetch(address, { cache: "no-cache", credentials: "same-origin" });
  if (!answer.ok) throw new Error(`${address}: the server answered ${answer.status}`);
  return answer.arrayBuffer();
}

async function readScript(name: string): Promise<ArrayBuffer> {
  scripts ??= Promise.all([loadScript("data/offline.js"), loadScript("data/run.js")]);
  await scripts;
  const encoded = window.vergerFiles?.[name];
  if (encoded === undefined) throw new Error(`${name} is missing from data/offline.js`);
  delete window.vergerFiles?.[name];
  const text = atob(encoded);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes.buffer;
}

function loadScript(address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = () => resolve();
    script.onerror = () => reject(new Error(`${address} could not be loaded: keep the whole folder together`));
    document.head.append(script);
  });
}
