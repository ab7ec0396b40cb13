// Prepares the configuration file, then becomes OpenClaw in this same process.
// OpenClaw writes its configuration itself (agents, channels, skills), so the file belongs to the instance. At each start
// the hub's values are laid over it: `defaults` lose against what the file says, `enforced` wins (RFC 7396 merge patches).
import { randomBytes } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

const merge = (target, patch) => {
  if (!isObject(patch)) return patch;
  const merged = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key];
    else merged[key] = merge(merged[key], value);
  }
  return merged;
};

const { entry, defaults, enforced } = JSON.parse(readFileSync(new URL("start.json", import.meta.url), "utf8"));
const path = process.env.OPENCLAW_CONFIG_PATH;

const current = () => {
  let text;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (error.code === "ENOENT") return {};
    throw error;
  }
  try {
    // The format is JSON5; the parser is OpenClaw's own.
    const config = createRequire(entry)("json5").parse(text);
    if (isObject(config)) return config;
  } catch {
    // Handled like any other text that is not a configuration.
  }
  const aside = `${path}.unreadable-${Date.now()}`;
  renameSync(path, aside);
  console.error(`the configuration could not be read; it was kept as ${aside}, and a new one was made`);
  return {};
};

const config = merge(merge(defaults, current()), enforced);
const fresh = `${path}.${randomBytes(6).toString("hex")}`;
writeFileSync(fresh, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600, flag: "wx" });
renameSync(fresh, path);

process.argv[1] = entry;
await import(entry);
