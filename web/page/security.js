// The security part: boards of traffic that floods and scans look like, and incidents.

import { Chart, timeText } from "/chart.js";
import { grouped, rounded, scaled, words } from "/numbers.js";

const BOARDS = [
  ["syn_only", "TCP with SYN only", "SYN floods and scans: connections that nobody answered"],
  ["dns", "DNS", "Port 53 on either side: amplification, tunnels, broken resolvers"],
  ["ntp", "NTP", "Port 123 on either side: amplification by monlist"],
  ["udp_other", "Other UDP", "All UDP but DNS and NTP"],
  ["unreachable", "ICMP unreachable", "Backscatter of spoofed attacks, and answers to scans"],
];

const boards = BOARDS.map(([name, title, note], at) => {
  const card = document.createElement("div");
  card.className = "card";
  const heading = document.createElement("h2");
  const unit = document.createElement("span");
  unit.className = "note";
  unit.textContent = "packets/s";
  heading.append(title, " ", unit);
  const chartPlace = document.createElement("div");
  chartPlace.className = "chart small";
  const spike = document.createElement("p");
  const text = document.createElement("p");
  text.className = "note";
  text.textContent = note;
  card.append(heading, text, chartPlace, spike);
  document.getElementById("boards").append(card);
  const packets = (value) => scaled(value, "packets/s");
  const mark = (value) => rounded(value, "");
  const options = { stacked: false, label: title, format: packets, mark };
  return { name, spike, color: `--c${at}`, chart: new Chart(chartPlace, options) };
});

export function showBoards(series, { spike: { rate, factor } }) {
  document.getElementById("spike-note").textContent =
    `A spike is more than ${grouped(rate)} packets/s, and more than ${factor} times what is usual`
    + " in the span of time that is shown. The rule traffic-spike has the same numbers by default.";
  for (const { name, spike, color, chart } of boards) {
    const values = (series.classes[name]?.packets ?? []).map((value) => value / series.step);
    const start = series.start;
    const step = series.step * 1000;
    const sorted = values.filter((value) => value > 0).sort((a, b) => a - b);
    const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
    const highest = Math.max(0, ...values);
    const isSpike = highest > rate && highest > factor * median;
    const at = isSpike ? values.indexOf(highest) : -1;
    chart.show({ start, step, series: [{ name: words(name), color, values }], spike: at });
    spike.className = isSpike ? "spike" : "note";
    spike.textContent = isSpike
      ? `Spike: ${scaled(highest, "packets/s")} at ${
        timeText(start + at * step)} UTC, usually ${
        scaled(median, "packets/s")}`
      : "No spike";
  }
}

/** From when to when an incident was, with the day once if it is the same. */
function period(start, end) {
  if (start === undefined) return "";
  const from = timeText(start);
  if (end === undefined) return `since ${from} UTC`;
  return `${from} to ${timeText(end, start)} UTC`;
}

/** An incident, with its numbers and its threshold in a sentence. */
function incident(alert) {
  const item = document.createElement("article");
  item.className = `incident s${Number(alert["event.severity"]) || 0}`;
  const heading = document.createElement("h3");
  const name = document.createElement("span");
  name.textContent = alert["rule.name"] ?? alert["rule.id"] ?? "incident";
  const state = document.createElement("span");
  state.className = `pill ${alert.open ? "bad" : ""}`;
  state.textContent = alert.open ? "open" : "over";
  heading.append(name, state);
  const reason = document.createElement("p");
  reason.textContent = alert["event.reason"] ?? "";
  const when = document.createElement("p");
  when.className = "note";
  const parts = [
    `severity ${alert["event.severity"] ?? "?"}`, `rule ${alert["rule.id"] ?? "?"}`,
    period(alert["event.start"], alert["event.end"]),
  ].filter(Boolean);
  when.append(...parts.flatMap((text, number) => {
    const part = document.createElement("span");
    part.textContent = text;
    return number === 0 ? [part] : [" · ", part];
  }));
  item.append(heading, reason, when);
  return item;
}

/** What was shown last: the list is not made again, and stays where it was scrolled to. */
let shown = "";

export function showIncidents({ alerts, more, detecting }) {
  const state = JSON.stringify([alerts, more, detecting]);
  if (state === shown) return;
  shown = state;
  const place = document.getElementById("incidents");
  const open = alerts.filter((alert) => alert.open).length;
  document.getElementById("incident-count").textContent =
    alerts.length
      ? `${open} open, ${alerts.length - open} over${more ? `, ${more} more not listed` : ""}`
      : "";
  place.classList.toggle("long", alerts.length > 3);
  if (alerts.length > 0) {
    place.replaceChildren(...alerts.map(incident));
    return;
  }
  const empty = document.createElement("p");
  empty.className = "empty";
  empty.textContent = detecting
    ? "No incident. The detectors look for scans, floods and abuse."
    : "No detector runs, so no incident is found. --alerts turns them on.";
  place.replaceChildren(empty);
}
