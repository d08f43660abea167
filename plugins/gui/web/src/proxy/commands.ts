/** Commands that work as they stand, with the host and the ports of this control plane. */

/** What of `GET /config` matters here. */
export interface Configuration {
  environment: string;
  general: { advertisedHostname: string };
  apiServer: { port: number };
  adminServer: { apis: { dataplaneToken: { enabled: boolean; requireServices?: boolean } } };
}

/** Where the control plane is for a proxy. */
export interface Place {
  host: string;
  apiUrl: string;
  /** Whether it tells proxies to look for it on their own machine. */
  isLocal: boolean;
  needsToken: boolean;
  /** Whether a token has to say for which services its proxy may speak. */
  bindsServices: boolean;
}

const LOOPBACK = new Set(["localhost", "127.0.0.1", "::1", "[::1]"]);
const DEFAULT_URL = "http://localhost:5681";

/** `here` is the host in the address of these pages, which reached the control plane at least for the reader. */
export function placeOf(config: Configuration, here: string): Place {
  const told = config.general.advertisedHostname || "localhost";
  const isLocal = LOOPBACK.has(told);
  const tokens = config.adminServer.apis.dataplaneToken;
  const host = isLocal && LOOPBACK.has(here) ? "localhost" : told;
  return {
    host,
    apiUrl: `http://${host}:${config.apiServer.port}`,
    isLocal,
    needsToken: tokens.enabled && config.environment === "universal",
    bindsServices: tokens.requireServices ?? false,
  };
}

/** On which machines the commands work. */
export function whereFrom({ isLocal, host }: Place): string {
  if (isLocal)
    return (
      "On the control plane’s own machine. It tells proxies to look for it at localhost; set " +
      "general.advertisedHostname to its name, so that proxies of other machines find it."
    );
  return `On any machine that reaches ${host}. Tokens are made on the control plane’s own machine.`;
}

/** Names and meshes are letters, digits, `-` and `_`; whatever else a shell reads is quoted. */
export function quoted(text: string): string {
  return /^[\w./:=@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** How kumactl is told of the control plane; nothing where it finds it by itself. */
export function connectCommand({ apiUrl }: Place): string {
  if (apiUrl === DEFAULT_URL) return "";
  return `kumactl config control-planes add --name=mine --overwrite --address=${quoted(apiUrl)}`;
}

/** Titles and commands that start the proxy of a dataplane of these services, token first. */
export function startCommands(place: Place, mesh: string, name: string, services: string[]): [title: string, text: string][] {
  const file = `"$HOME"/${quoted(`${name}.token`)}`;
  const words = ["kuma-dp run", `--name=${quoted(name)}`, `--mesh=${quoted(mesh)}`, `--cp-address=${quoted(place.apiUrl)}`];
  if (!place.needsToken) return [["Start the proxy", words.join(" ")]];
  const bound = place.bindsServices ? services.map((service) => ` --service=${quoted(service)}`).join("") : "";
  const token = `kumactl generate dataplane-token --dataplane=${quoted(name)} --mesh=${quoted(mesh)}${bound} > ${file}`;
  return [
    ["Make a token, by which the proxy proves who it is", token],
    ["Start the proxy", [...words, `--dataplane-token-file=${file}`].join(" ")],
  ];
}
