// The page: it asks the program once a second and shows what it says. Text from the network is
// only ever set as text, never as markup.

import { Chart, timeText } from "/chart.js";
import { ask, needToken } from "/ask.js";
import { showExporters } from "/exporters.js";
import { showHealth } from "/health.js";
import { duration, grouped, rounded, scaled, words } from "/numbers.js";
import { showBoards, showIncidents } from "/security.js";
import { cell, fill, row } from "/table.js";

const byId = (id) => document.getElementById(id);
const PARTS = ["traffic", "security", "flows", "exporters", "health"];

/** Time between two questions, in ms. */
const PERIOD = 1000;

// What the user has chosen. It stays for the next visit.

const chosen = {
  measure: "octets", view: "class", span: "5m", "top-of": "source", "top-by": "octets",
};

function choice(id, onChange) {
  const group = byId(id);
  const stored = localStorage.getItem(id);
  const buttons = [...group.querySelectorAll("button")];
  if (buttons.some((button) => button.dataset.value === stored)) chosen[id] = stored;
  const mark = () => {
    for (const button of buttons) {
      button.setAttribute("aria-pressed", String(button.dataset.value === chosen[id]));
    }
  };
  group.addEventListener("click", (event) => {
    const value = event.target.dataset?.value;
    if (!value) return;
    chosen[id] = value;
    localStorage.setItem(id, value);
    mark();
    onChange();
  });
  mark();
}

function shownPart() {
  const part = location.hash.slice(1);
  return PARTS.includes(part) ? part : "traffic";
}

function showPart() {
  for (const part of PARTS) byId(part).classList.toggle("shown", part === shownPart());
  byId("span").hidden = !["traffic", "security"].includes(shownPart());
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.hash.slice(1) === shownPart();
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  update();
}

// Traffic.

const MEASURES = {
  octets: { unit: "b/s", short: "b/s", factor: 8 },
  packets: { unit: "packets/s", short: "/s", factor: 1 },
  flows: { unit: "flows/s", short: "/s", factor: 1 },
};

const measure = () => MEASURES[chosen.measure];

/** Counts of points as rates. */
function asRates(counts, step) {
  const { factor } = measure();
  return (counts?.[chosen.measure] ?? []).map((value) => (value * factor) / step);
}

const format = (value) => scaled(value, measure().unit);
const mark = (value) => rounded(value, measure().short);

const traffic = new Chart(byId("chart-traffic"), { stacked: true, label: "Traffic", format, mark });

const CLASS_COLORS = { tcp: "--c0", udp: "--c1", icmp: "--c2", other: "--c3" };
const COLORS = ["--c0", "--c1", "--c2", "--c3", "--c4"];

/** The names of interfaces, by their numbers in flow records. */
let interfaceNames = {};

const interfaceName = (number) => interfaceNames[number] ?? `interface ${number}`;

/** The interfaces with the most traffic, and the sum of the others. */
function byInterface({ interfaces, step }) {
  const all = Object.entries(interfaces).map(([name, counts]) => {
    const values = asRates(counts, step);
    return { name, values, sum: values.reduce((sum, value) => sum + value, 0) };
  });
  all.sort((a, b) => (a.name === "others") - (b.name === "others") || b.sum - a.sum);
  const first = all.slice(0, COLORS.length).map(({ name, values }, at) => (
    { name: name === "others" ? name : interfaceName(name), color: COLORS[at], values }));
  const others = all.slice(COLORS.length);
  if (others.length === 0) return first;
  const values = others[0].values.map((_, at) => (
    others.reduce((sum, one) => sum + one.values[at], 0)));
  return [...first, { name: `${others.length} others`, color: "--c5", values }];
}

function showTraffic(series) {
  const { start, step, classes, counted } = series;
  const values = asRates(counted, step);
  traffic.show({
    start,
    step: step * 1000,
    series: series.interfaces ? byInterface(series) : Object.entries(CLASS_COLORS)
      .map(([name, color]) => ({ name, color, values: asRates(classes[name], step) })),
    line: values.length > 0 ? { name: "packet counters", color: "--text", values } : null,
  });
}

/** What a list has, by what it is of: one, and several. */
const LISTED = {
  source: ["source", "sources"],
  destination: ["destination", "destinations"],
  conversation: ["conversation", "conversations"],
  session: ["session", "sessions"],
  port: ["port", "ports"],
  interface: ["interface", "interfaces"],
  "source-country": ["country of sources", "countries of sources"],
  "source-as": ["AS of sources", "AS of sources"],
};

function showTop(top) {
  const by = chosen["top-by"];
  const heads = [row(["#", words(chosen["top-of"]), "octets", "packets", "flows", "share"]
    .map((text, at) => cell(text, { head: true, number: at !== 1 })))];
  const whole = Math.max(1, top.all[by]);
  const rows = top.rows.map((one, at) => {
    const share = one[by] / whole;
    const name = cell(chosen["top-of"] === "interface" ? interfaceName(one.name) : one.name);
    const bar = document.createElement("span");
    bar.className = "bar";
    bar.style.width = `${Math.max(1, share * 100)}%`;
    const part = document.createElement("span");
    part.style.width = `${(100 * (one.in_table?.[by] ?? 0)) / Math.max(1, one[by])}%`;
    bar.append(part);
    name.append(bar);
    return row([
      cell(at + 1, { number: true, narrow: true }), name,
      cell(scaled(one.octets, "B"), { number: true, title: grouped(one.octets) }),
      cell(grouped(one.packets), { number: true }), cell(grouped(one.flows), { number: true }),
      cell(`${(share * 100).toFixed(1)} %`, { number: true }),
    ]);
  });
  fill(byId("top"), heads, rows, "No flow yet.");
  const since = top.since === null ? "" : ` that ended since ${timeText(top.since)} UTC`;
  const table = top.in_table;
  const heaviest = table
    ? `, and of the ${grouped(table.flows)} with the most octets of the ${
      grouped(table.of_flows)} flows that are still in the table (the light part of each bar)`
    : "";
  byId("top-cut").hidden = top.cut === null;
  if (top.cut !== null) {
    const span = byId("span").querySelector("[aria-pressed=true]").textContent;
    const seconds = (top.latest - top.cut) / 1000;
    const what = seconds < 1
      ? `The list does not have all flows of ${span}`
      : `The list has all flows of the last ${duration(seconds)}, but not of ${span}`;
    byId("top-cut").textContent = `${what}: this page keeps the last ${
      grouped(top.kept)} flow records. A larger --page-memory keeps more.`;
  }
  const [one, several] = LISTED[chosen["top-of"]];
  byId("top-note").textContent =
    `Of ${grouped(top.records)} flow records${since}${heaviest}; ${grouped(top.different)} ${
      top.different === 1 ? one : several} in all. `
    + `${table ? "Other flows appear" : "A flow appears"} here when a record of ${
      table ? "them" : "it"} leaves the table: at FIN or RST, after the idle timeout without a `
    + "packet, and at each active timeout while packets come.";
}

// Flows.

const FLAGS = [[1, "F"], [2, "S"], [4, "R"], [8, "P"], [16, "A"], [32, "U"], [64, "E"], [128, "C"]];

function endpoint(address, port, isIcmp) {
  if (isIcmp || port === 0) return address;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** The tunnel that a flow came through: its ends are told where there is room. */
function tunnelCell({ tunnel }) {
  if (!tunnel) return cell("");
  const title = `${tunnel.source} to ${tunnel.destination}`;
  return cell(tunnel.id ? `${tunnel.type} ${tunnel.id}` : tunnel.type, { title, label: "tunnel" });
}

/** Lines of their own on a narrow screen. */
const FLOW_ENDS = ["source", "destination"];

const located = (text, country) => (country ? `${text} (${country})` : text);

function showFlows({ flows, found, searched }) {
  const names = ["end (UTC)", "duration", "protocol", "source", "destination", "flags", "packets",
    "octets", "interface", "end reason", "tags"];
  const hasTunnels = flows.some((flow) => flow.tunnel);
  if (hasTunnels) names.push("tunnel");
  const hasNames = flows.some((flow) => flow.name);
  if (hasNames) names.push("name");
  const isNumber = [1, 6, 7, 8];
  const heads = [row(names.map((text, at) => (
    cell(text, { head: true, number: isNumber.includes(at) }))))];
  const rows = flows.map((flow) => {
    const isIcmp = flow.protocol.startsWith("icmp");
    const type = `type ${flow.destination_port >> 8} code ${flow.destination_port & 255}`;
    const flags = FLAGS.filter(([bit]) => flow.tcp_control_bits & bit).map(([, name]) => name);
    const columns = [
      timeText(flow.end), `${((flow.end - flow.start) / 1000).toFixed(1)} s`,
      isIcmp ? `${flow.protocol} ${type}` : flow.protocol,
      located(endpoint(flow.source, flow.source_port, isIcmp), flow.source_country),
      located(endpoint(flow.destination, flow.destination_port, isIcmp), flow.destination_country),
      flags.join(""), grouped(flow.packets), scaled(flow.octets, "B"),
      interfaceNames[flow.interface] ?? flow.interface,
      flow.end_reason, flow.tags.join(" "),
    ];
    const cells = columns.map((text, at) => {
      const main = FLOW_ENDS.includes(names[at]);
      return cell(text, { number: isNumber.includes(at), main, label: names[at] });
    });
    if (hasTunnels) cells.push(tunnelCell(flow));
    const application = { title: flow.application ?? "", label: "name" };
    if (hasNames) cells.push(cell(flow.name ?? "", application));
    return row(cells);
  });
  fill(byId("flow-table"), heads, rows, "No flow was found.");
  byId("found").textContent =
    `${grouped(found)} of the last ${grouped(searched)} flow records; ${flows.length} are shown.`;
}

let query = "";

byId("search").addEventListener("submit", (event) => {
  event.preventDefault();
  query = byId("query").value;
  update();
});

// The head of the page.

/** Whether detectors look for incidents. */
let detecting = false;

function showSummary(summary, config) {
  const { statistics, problems, rates: now, live } = summary;
  const state = byId("state");
  const good = problems.length === 0;
  state.textContent = `${live ? "live" : "replay"} · ${good ? "good" : "attention"}`;
  state.className = `pill ${good ? "good" : "bad"}`;
  const list = byId("problems");
  list.hidden = good;
  list.replaceChildren(...problems.map((text) => {
    const item = document.createElement("li");
    item.textContent = text;
    return item;
  }));
  const sum = (records) => Object.values(records ?? {}).reduce((all, one) => all + one.records, 0);
  const lost = (statistics.interfaces ?? []).reduce((all, one) => all + one.lost, 0);
  const parts = live
    ? [["packets", scaled(now.packets ?? 0, "/s")],
      ["traffic", scaled((now.octets ?? 0) * 8, "b/s")],
      ["records", scaled(now.records ?? 0, "/s")], ["lost", scaled(now.lost ?? 0, "/s")],
      ["up", duration(statistics.seconds ?? 0)]]
    : [["packets", grouped(statistics.metered?.packets)],
      ["octets", scaled(statistics.metered?.octets ?? 0, "B")],
      ["records", grouped(sum(statistics.ended))], ["lost", grouped(lost)]];
  byId("rates").replaceChildren(...parts.map(([name, value]) => {
    const pair = document.createElement("div");
    const term = document.createElement("dt");
    const text = document.createElement("dd");
    term.textContent = name;
    text.textContent = value;
    pair.append(term, text);
    return pair;
  }));
  byId("basis").textContent = live
    ? "The line is of the packet counters: all that was metered in each second. The areas are of"
      + " flow records: each is spread over the time of its flow, and comes when the flow ends or"
      + " after the active timeout."
    : "By packet time, from flow records: each is spread over the time of its flow.";
  byId("exporters-link").hidden = !statistics.collected;
  detecting = Boolean(statistics.alerts);
  interfaceNames = summary.interface_names;
  const alarms = byId("alarms");
  alarms.hidden = !summary.open_incidents;
  alarms.textContent = `${summary.open_incidents} open ${
    summary.open_incidents === 1 ? "incident" : "incidents"}`;
  if (shownPart() === "health") showHealth(summary, config);
}

// The round.

let turn = 0;

/** Asks for what is shown. An answer that comes after a later question is not shown. */
async function update() {
  turn += 1;
  const mine = turn;
  const part = shownPart();
  const config = ["security", "health"].includes(part) ? ask("/api/v1/config") : null;
  const show = async (path, shown) => {
    const [answer, known] = await Promise.all([ask(path), config]);
    if (mine === turn) shown(answer, known);
  };
  const span = chosen.span;
  const tasks = [show("/api/v1/summary", showSummary)];
  if (part === "traffic") {
    const top = `/api/v1/top?of=${chosen["top-of"]}&by=${chosen["top-by"]}&span=${span}&size=15`;
    const series = `/api/v1/series?span=${span}&by=${chosen.view}`;
    tasks.push(show(series, showTraffic), show(top, showTop));
  } else if (part === "security") {
    const incidents = ({ alerts, more }) => showIncidents({ alerts, more, detecting });
    tasks.push(show(`/api/v1/series?span=${span}`, showBoards), show("/api/v1/alerts", incidents));
  } else if (part === "flows") {
    tasks.push(show(`/api/v1/flows?size=200&q=${encodeURIComponent(query)}`, showFlows));
  } else if (part === "exporters") {
    tasks.push(show("/api/v1/exporters?size=200", showExporters));
  }
  const results = await Promise.allSettled(tasks);
  const failed = results.find((result) => result.status === "rejected");
  if (failed && mine === turn) showFailure(failed.reason);
}

function showFailure(problem) {
  if (problem.status === 401) {
    needToken(update);
  } else if (problem.status === 400) {
    byId("found").textContent = problem.message;
  } else {
    byId("state").textContent = "no answer";
    byId("state").className = "pill bad";
  }
}

async function round() {
  const isTyping = document.activeElement === byId("query");
  const keep = shownPart() === "flows" && (isTyping || window.getSelection()?.toString());
  if (!document.hidden && !keep && !byId("token-dialog").open) await update();
  setTimeout(round, PERIOD);
}

for (const id of Object.keys(chosen)) choice(id, update);

byId("theme").addEventListener("click", () => {
  const isDark = getComputedStyle(document.documentElement).getPropertyValue("--back").trim()
    === "#101318";
  const theme = isDark ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("theme", theme);
  update();
});
const theme = localStorage.getItem("theme");
if (theme) document.documentElement.dataset.theme = theme;

window.addEventListener("hashchange", () => {
  showPart();
  window.scrollTo(0, 0);
});
showPart();
setTimeout(round, PERIOD);
