// The page: it asks the program once a second and shows what it says. Text from the network is
// only ever set as text, never as markup.

import { Chart, timeText } from "/chart.js";
import { ask, needToken } from "/ask.js";
import { showExporters } from "/exporters.js";
import { duration, grouped, scaled, words } from "/numbers.js";
import { cell, fill, row } from "/table.js";

const byId = (id) => document.getElementById(id);
const PARTS = ["traffic", "security", "flows", "exporters", "health"];

/** Time between two questions, in ms. */
const PERIOD = 1000;

// What the user has chosen. It stays for the next visit.

const chosen = { measure: "octets", span: "5m", "top-of": "source", "top-by": "octets" };

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
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.hash.slice(1) === shownPart();
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  update();
}

// Traffic.

const MEASURES = {
  octets: { unit: "b/s", factor: 8 },
  packets: { unit: "packets/s", factor: 1 },
  flows: { unit: "flows/s", factor: 1 },
};

const measure = () => MEASURES[chosen.measure];

/** Values of a class of traffic as rates. */
function rates(series, name) {
  const { factor } = measure();
  const values = series.classes[name]?.[chosen.measure] ?? [];
  return values.map((value) => (value * factor) / series.step);
}

const format = (value) => scaled(value, measure().unit);
const mark = (value) => scaled(value, "");

const traffic = new Chart(byId("chart-traffic"), { stacked: true, label: "Traffic", format, mark });

function showTraffic(series) {
  const colors = { tcp: "--c0", udp: "--c1", icmp: "--c2", other: "--c3" };
  traffic.show({
    start: series.start,
    step: series.step * 1000,
    series: Object.entries(colors).map(([name, color]) => (
      { name, color, values: rates(series, name) }
    )),
  });
}

function showTop(top) {
  const by = chosen["top-by"];
  const heads = [row(["#", words(chosen["top-of"]), "octets", "packets", "flows", "share"]
    .map((text, at) => cell(text, { head: true, number: at !== 1 })))];
  const whole = Math.max(1, top.all[by]);
  const rows = top.rows.map((one, at) => {
    const share = one[by] / whole;
    const name = cell(one.name, {});
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
  byId("top-note").textContent =
    `Of ${grouped(top.records)} flow records${since}${heaviest}; ${
      grouped(top.different)} different ones. `
    + `${table ? "Other flows come" : "A flow comes"} here at the end or the active timeout.`;
}

// Security.

const BOARDS = [
  ["syn_only", "TCP with SYN only", "SYN floods and scans: connections that nobody answered"],
  ["dns", "DNS", "Port 53 on either side: amplification, tunnels, broken resolvers"],
  ["ntp", "NTP", "Port 123 on either side: amplification by monlist"],
  ["udp_other", "Other UDP", "All UDP but DNS and NTP"],
  ["unreachable", "ICMP unreachable", "Backscatter of spoofed attacks, and answers to scans"],
];

/** A rate must reach this to be a spike, in packets a second. */
const SPIKE_FLOOR = 100;
const SPIKE_FACTOR = 4;

const boards = BOARDS.map(([name, title, note], at) => {
  const card = document.createElement("div");
  card.className = "card";
  const heading = document.createElement("h2");
  heading.textContent = title;
  const chartPlace = document.createElement("div");
  chartPlace.className = "chart";
  const spike = document.createElement("p");
  const text = document.createElement("p");
  text.className = "note";
  text.textContent = note;
  card.append(heading, text, chartPlace, spike);
  byId("boards").append(card);
  const packets = (value) => scaled(value, "packets/s");
  const options = { stacked: false, label: title, format: packets, mark };
  return { name, spike, color: `--c${at}`, chart: new Chart(chartPlace, options) };
});

function showBoards(series) {
  for (const { name, spike, color, chart } of boards) {
    const values = (series.classes[name]?.packets ?? []).map((value) => value / series.step);
    const start = series.start;
    const step = series.step * 1000;
    chart.show({ start, step, series: [{ name: words(name), color, values }] });
    const sorted = values.filter((value) => value > 0).sort((a, b) => a - b);
    const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
    const highest = Math.max(0, ...values);
    const isSpike = highest >= SPIKE_FLOOR && highest > SPIKE_FACTOR * median;
    spike.className = isSpike ? "spike" : "note";
    spike.textContent = isSpike
      ? `Spike: ${scaled(highest, "packets/s")} at ${
        timeText(start + values.indexOf(highest) * step)} UTC, usually ${
        scaled(median, "packets/s")}`
      : "No spike";
  }
}

function showIncidents({ alerts }) {
  const place = byId("incidents");
  if (alerts.length === 0) {
    const empty = document.createElement("p");
    empty.className = "empty";
    empty.textContent = "No incident.";
    place.replaceChildren(empty);
    return;
  }
  place.replaceChildren(...alerts.map((alert) => {
    const item = document.createElement("article");
    item.className = `incident s${Number(alert["event.severity"]) || 0}`;
    const heading = document.createElement("h3");
    heading.textContent = `${alert["rule.name"] ?? alert["rule.id"] ?? "incident"} — ${
      alert.open ? "open" : "over"}`;
    const reason = document.createElement("p");
    reason.textContent = alert["event.reason"] ?? "";
    const when = document.createElement("p");
    when.className = "note";
    const at = (name) => (name in alert ? `${timeText(alert[name], true)} UTC` : "");
    when.textContent = [
      `severity ${alert["event.severity"] ?? "?"}`, `rule ${alert["rule.id"] ?? "?"}`,
      at("event.start") && `since ${at("event.start")}`, at("event.end") && `to ${at("event.end")}`,
    ].filter(Boolean).join(" · ");
    item.append(heading, reason, when);
    return item;
  }));
}

// Flows.

const FLAGS = [[1, "F"], [2, "S"], [4, "R"], [8, "P"], [16, "A"], [32, "U"], [64, "E"], [128, "C"]];

function endpoint(address, port, isIcmp) {
  if (isIcmp || port === 0) return address;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** The tunnel that a flow came through: its ends are told where there is room. */
function tunnelCell({ tunnel }) {
  if (!tunnel) return cell("", {});
  const title = `${tunnel.source} to ${tunnel.destination}`;
  return cell(tunnel.id ? `${tunnel.type} ${tunnel.id}` : tunnel.type, { title });
}

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
      flags.join(""), grouped(flow.packets), scaled(flow.octets, "B"), flow.interface,
      flow.end_reason, flow.tags.join(" "),
    ];
    const cells = columns.map((text, at) => cell(text, { number: isNumber.includes(at) }));
    if (hasTunnels) cells.push(tunnelCell(flow));
    if (hasNames) cells.push(cell(flow.name ?? "", { title: flow.application ?? "" }));
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

// Health.

/** What to do about a cause of loss. */
const REMEDIES = {
  ring_full: "a larger --ring, more queues (ethtool -L) or more workers",
  fill_ring_empty: "a larger --ring, or more workers",
  packet_ring_full: "a larger --packet-ring, or more workers",
  nic_missed: "larger rings of the card (ethtool -G), more queues (ethtool -L)",
  not_captured: "the interface or a queue was not captured; see its state",
};

function showHealth(statistics) {
  const interfaces = statistics.interfaces ?? [];
  const heads = (list) => [row(list.map(([text, number]) => cell(text, { head: true, number })))];
  fill(
    byId("interfaces"),
    heads([["interface"], ["frames", true], ["lost", true], ["why, and what helps"], ["how"]]),
    interfaces.map((one) => {
      const causes = Object.entries(one.causes ?? {}).filter(([, count]) => count > 0);
      const text = causes.map(([cause, count]) => {
        const remedy = REMEDIES[cause] ? ` (${REMEDIES[cause]})` : "";
        return `${words(cause)} ${grouped(count)}${remedy}`;
      });
      return row([
        cell(one.name, {}), cell(grouped(one.frames), { number: true }),
        cell(grouped(one.lost), { number: true, bad: one.lost > 0 }),
        cell(text.join("; "), { words: true }),
        cell(one.capture, { bad: !one.captured, words: true }),
      ]);
    }),
    "Files are read, no interface.",
  );
  const outputs = statistics.outputs ?? [];
  const lost = (one) => (one.failed?.records ?? 0) + (one.dropped?.records ?? 0);
  fill(
    byId("outputs"),
    heads([["output"], ["records sent", true], ["lost", true], ["messages", true],
      ["octets", true], ["state"]]),
    outputs.map((one) => row([
      cell(one.output, {}), cell(grouped(one.sent?.records), { number: true }),
      cell(grouped(lost(one)), { number: true, bad: lost(one) > 0 }),
      cell(grouped(one.messages), { number: true }),
      cell(scaled(one.octets ?? 0, "B"), { number: true }),
      cell(one.error ?? "good", { bad: Boolean(one.error), words: true }),
    ])),
    "No output.",
  );
  const counters = [
    ["packets received", statistics.received?.packets],
    ["packets metered", statistics.metered?.packets],
    ["octets metered", statistics.metered?.octets],
    ...Object.entries(statistics.ignored ?? {}).filter(([, tally]) => tally.packets > 0)
      .map(([reason, tally]) => [`packets ignored: ${words(reason)}`, tally.packets]),
    ...Object.entries(statistics.ended ?? {})
      .map(([reason, tally]) => [`records ended: ${words(reason)}`, tally.records]),
    ["flows in the table", statistics.active_flows],
    ...Object.entries(statistics.collected ?? {}).filter(([, count]) => count > 0)
      .map(([name, count]) => [`collected: ${words(name)}`, count]),
    ...["fragments_unknown", "exceeding_wire", "clock_jumps", "clock_steps_back", "without_clock"]
      .filter((name) => statistics[name] > 0).map((name) => [words(name), statistics[name]]),
  ];
  fill(
    byId("counters"),
    heads([["counter"], ["count", true]]),
    counters.map(([name, count]) => row([cell(name, {}), cell(grouped(count), { number: true })])),
    "Nothing was counted yet.",
  );
}

// The head of the page.

function showSummary(summary) {
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
    ? [["packets", scaled(now.packets ?? 0, "/s")], ["traffic", scaled((now.octets ?? 0) * 8, "b/s")],
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
    ? "From flow records: each is spread over the time of its flow, and arrives when the flow ends"
      + " or after the active timeout. The rates at the head are the packet counters."
    : "By packet time, from flow records: each is spread over the time of its flow.";
  byId("exporters-link").hidden = !statistics.collected;
  if (shownPart() === "health") showHealth(statistics);
}

// The round.

let turn = 0;

/** Asks for what is shown. An answer that comes after a later question is not shown. */
async function update() {
  turn += 1;
  const mine = turn;
  const show = async (path, shown) => {
    const answer = await ask(path);
    if (mine === turn) shown(answer);
  };
  const span = chosen.span;
  const tasks = [show("/api/v1/summary", showSummary)];
  const part = shownPart();
  if (part === "traffic") {
    const top = `/api/v1/top?of=${chosen["top-of"]}&by=${chosen["top-by"]}&span=${span}&size=15`;
    tasks.push(show(`/api/v1/series?span=${span}`, showTraffic), show(top, showTop));
  } else if (part === "security") {
    tasks.push(show(`/api/v1/series?span=${span}`, showBoards), show("/api/v1/alerts", showIncidents));
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
