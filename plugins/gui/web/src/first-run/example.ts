/** The commands of the first dataplane. */

import { toYaml } from "../parts/to-yaml.ts";
import { connectCommand, type Place, startCommands } from "../proxy/commands.ts";

export type Titled = [title: string, text: string];

const NAME = "echo-1";
const SERVICE = "echo";
const SERVICE_PORT = 9001;
const PROXY_PORT = 10001;

/** From a machine with the programs to a service whose proxy is online. */
export function exampleCommands(place: Place, mesh: string): Titled[] {
  const connect = connectCommand(place);
  const service: Titled = [
    "Start a service, in a terminal of its own; yours will do as well",
    `kuma-tcp-echo -port ${SERVICE_PORT} -name ${NAME}`,
  ];
  return [
    ...(connect ? [["Tell kumactl where the control plane is", connect] satisfies Titled] : []),
    service,
    ["Say where its proxy listens", applied(mesh)],
    ...startCommands(place, mesh, NAME, [SERVICE]),
  ];
}

function applied(mesh: string): string {
  const networking = { inbound: [{ interface: `127.0.0.1:${PROXY_PORT}:${SERVICE_PORT}`, tags: { service: SERVICE } }] };
  return `kumactl apply -f - <<'END'\n${toYaml({ type: "Dataplane", mesh, name: NAME, networking })}END`;
}

export const KUBERNETES: Titled[] = [
  ["Say which namespace gets sidecars", "kubectl label namespace default kuma.io/sidecar-injection=enabled"],
  ["Have its Pods made anew", "kubectl delete pods --all --namespace default"],
];
