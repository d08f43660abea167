/** Commands that readers run as they stand: `npm test`. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { exampleCommands } from "../first-run/example.ts";
import { type Configuration, connectCommand, placeOf, quoted, startCommands } from "./commands.ts";

function configuration(host: string, { port = 5681, environment = "universal", tokens = true, requireServices = false } = {}): Configuration {
  return {
    environment,
    general: { advertisedHostname: host },
    apiServer: { port },
    adminServer: { apis: { dataplaneToken: { enabled: tokens, requireServices } } },
  };
}

test("a control plane of this machine is at localhost, and needs no introduction at its own port", () => {
  const place = placeOf(configuration("localhost"), "127.0.0.1");
  assert.equal(place.apiUrl, "http://localhost:5681");
  assert.equal(connectCommand(place), "");
  assert.match(connectCommand(placeOf(configuration("localhost", { port: 7000 }), "localhost")), /--address=http:\/\/localhost:7000$/);
});

test("one that tells its name is called by it, from wherever one looks", () => {
  for (const here of ["localhost", "cp.example.com", "10.0.0.1"]) {
    const place = placeOf(configuration("cp.example.com"), here);
    assert.equal(place.apiUrl, "http://cp.example.com:5681");
    assert.equal(place.isLocal, false);
  }
});

test("a proxy gets a token where one is asked for", () => {
  const [[, token], [, start]] = startCommands(placeOf(configuration("localhost"), "localhost"), "shop", "web-1", ["web"]) as [
    [string, string],
    [string, string],
  ];
  assert.equal(token, 'kumactl generate dataplane-token --dataplane=web-1 --mesh=shop > "$HOME"/web-1.token');
  assert.equal(
    start,
    'kuma-dp run --name=web-1 --mesh=shop --cp-address=http://localhost:5681 --dataplane-token-file="$HOME"/web-1.token',
  );
  for (const without of [{ tokens: false }, { environment: "kubernetes" }]) {
    const commands = startCommands(placeOf(configuration("localhost", without), "localhost"), "shop", "web-1", ["web"]);
    assert.equal(commands.length, 1);
    assert.doesNotMatch(commands[0]?.[1] ?? "", /token/);
  }
});

test("a token names the services of its proxy where it has to", () => {
  const place = placeOf(configuration("localhost", { requireServices: true }), "localhost");
  const [[, token] = ["", ""]] = startCommands(place, "shop", "web-1", ["web", "a b"]);
  assert.match(token, /--mesh=shop --service=web --service='a b' >/);
});

test("what a shell would obey is quoted", () => {
  assert.equal(quoted("web-1"), "web-1");
  assert.equal(quoted("a b"), "'a b'");
  assert.equal(quoted("$(reboot)'x"), `'$(reboot)'\\''x'`);
});

test("the example names the mesh as YAML does", () => {
  const commands = exampleCommands(placeOf(configuration("localhost"), "localhost"), "123").map(([, text]) => text);
  assert.ok(commands.some((text) => text.includes('mesh: "123"')));
});
