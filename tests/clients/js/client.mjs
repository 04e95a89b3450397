// The JavaScript client as the end-to-end tests drive it:
//
//     node client.mjs file HUB REPO PATH OUT
//     node client.mjs snapshot HUB REPO CACHE
//     node client.mjs upload HUB REPO FILE...
//
// Prints what it wrote, or the client's own error on standard error with exit status 1.
import { createWriteStream, readFileSync } from "node:fs";
import { basename } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { inspect } from "node:util";
import { createRepo, downloadFile, snapshotDownload, uploadFiles } from "@huggingface/hub";

if (process.env.HTTPS_PROXY) {
  // Node 20 does not look at the variable by itself.
  const { EnvHttpProxyAgent, setGlobalDispatcher } = await import("undici");
  setGlobalDispatcher(new EnvHttpProxyAgent());
}
const [verb, hubUrl, repo, ...rest] = process.argv.slice(2);
const accessToken = process.env.HF_TOKEN || undefined;
try {
  if (verb === "file") {
    const [path, out] = rest;
    const blob = await downloadFile({ repo, path, hubUrl, accessToken });
    if (!blob) throw new Error(`no such file: ${path}`);
    await pipeline(Readable.fromWeb(blob.stream()), createWriteStream(out));
    console.log(out);
  } else if (verb === "upload") {
    await createRepo({ repo, hubUrl, accessToken });
    const files = rest.map((path) => ({ path: basename(path), content: new Blob([readFileSync(path)]) }));
    const done = await uploadFiles({ repo, files, hubUrl, accessToken, commitTitle: "files" });
    console.log(done.commit.oid);
  } else {
    console.log(await snapshotDownload({ repo, hubUrl, accessToken, cacheDir: rest[0] }));
  }
} catch (error) {
  console.error(error instanceof Error ? String(error) + (error.cause ? ` (${error.cause})` : "") : inspect(error));
  process.exit(1);
}
