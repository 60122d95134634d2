// The health part: what each interface and output does, each loss with its cause, and what helps.

import { grouped, scaled, words } from "/numbers.js";
import { cell, fill, heads, row, several } from "/table.js";
import { showThreads } from "/workers.js";

/** Why packets were ignored, or what else was odd about them. */
const REASONS = {
  not_ip: "ARP, LLDP, spanning tree; no flow has them",
  cut_short: "the capture has not all of the headers; capture 512 octets or more of a packet",
  malformed: "a header contradicts itself",
  too_deep: "too many VLAN tags, labels or tunnels",
  link_type: "the link layer of a file is not known",
  unknown_interface: "the interface of a file is not known",
  not_sampled: "left out by --sample",
  filtered: "left out by --filter, or exports of this program itself",
  tunnel_fragment: "later fragments of packets of a tunnel",
  idle: "no packet for the idle timeout",
  active: "they went on for the active timeout; more records follow",
  end: "FIN or RST ended the connection",
  forced: "the input ended, or flowprobe ctl expire asked for it",
  evicted: "the table was full; a larger --max-flows, or shorter timeouts help",
  fragments_unknown: "metered with port 0: the first fragment did not come before",
  exceeding_wire: "metered: a packet says that it is longer than its frame",
  clock_jumps: "the time of packets went far ahead",
  clock_steps_back: "the time of packets went back",
  without_clock: "too many clocks at a time; each packet has a record of its own",
};

const perSecond = (rate, unit = "/s") => (rate === undefined ? "" : scaled(rate, unit));
/** Without what is false: a replay has no rates. */
const all = (...list) => list.filter(Boolean);

/** Causes of losses overlap. */
function interfaces(list, rates, live, texts) {
  const rows = list.map((one, at) => {
    const causes = Object.entries(one.causes ?? {}).filter(([, count]) => count > 0);
    const why = causes.map(([cause, count]) => (
      `${words(cause)} ${grouped(count)}${texts[cause] ? `: ${texts[cause]}` : ""}`
        .replaceAll("{}", () => one.name)));
    const isBad = one.lost > 0;
    return row(all(
      cell(one.name, { label: "interface", main: true }),
      live && cell(perSecond(rates[at]?.frames), { number: true, label: "packets" }),
      cell(grouped(one.frames), { number: true, label: "packets in all" }),
      live && cell(perSecond(rates[at]?.lost),
        { number: true, bad: rates[at]?.lost > 0, label: "lost" }),
      cell(grouped(one.lost), { number: true, bad: isBad, label: "lost in all" }),
      several(why, { label: "why, and what helps" }),
      cell(one.capture, { bad: !one.captured, words: true, label: "capture" }),
    ));
  });
  const names = all(["interface"], live && ["packets/s", true], ["packets", true],
    live && ["lost/s", true], ["lost", true], ["why, and what helps"], ["capture"]);
  fill(document.getElementById("interfaces"), heads(names), rows,
    "No interface is captured: files or datagrams are read.");
}

function outputs(list, lost, rates, live, texts) {
  const rows = list.map((one, at) => {
    const fates = texts.filter(([fate]) => one[fate]?.records > 0);
    const why = fates.map(([fate, text]) => (
      `${words(fate)} ${grouped(one[fate].records)}: ${text}`));
    const isLosing = rates[at]?.lost > 0;
    const works = isLosing ? `loses ${perSecond(rates[at].lost, "records/s")}` : "works";
    const state = one.removed ? "removed" : one.paused ? "paused" : one.error ?? works;
    return row(all(
      cell(one.output, { label: "output", main: true }),
      live && cell(perSecond(rates[at]?.records), { number: true, label: "records" }),
      cell(grouped(one.sent?.records), { number: true, label: "records in all" }),
      live && cell(perSecond(rates[at]?.octets, "B/s"), { number: true, label: "octets" }),
      cell(scaled(one.octets ?? 0, "B"), { number: true, label: "octets in all" }),
      cell(grouped(lost[at]), { number: true, bad: lost[at] > 0, label: "lost" }),
      several(why, { label: "not sent, and what helps" }),
      cell(state, { bad: Boolean(one.error) || isLosing, words: true, label: "state" }),
    ));
  });
  const names = all(["output"], live && ["records/s", true], ["records", true],
    live && ["octets/s", true], ["octets", true], ["lost", true], ["not sent, and what helps"],
    ["state"]);
  fill(document.getElementById("outputs"), heads(names), rows, "No output.");
}

function counters(statistics) {
  const odd = ["fragments_unknown", "exceeding_wire", "clock_jumps", "clock_steps_back",
    "without_clock"];
  const list = [
    ["packets received", statistics.received?.packets, "what capture delivered"],
    ["packets metered", statistics.metered?.packets, "in a flow; all others were ignored"],
    ["octets metered", statistics.metered?.octets, "of IP packets, headers included"],
    ...Object.entries(statistics.ignored ?? {}).filter(([, tally]) => tally.packets > 0)
      .map(([name, tally]) => [`packets ignored: ${words(name)}`, tally.packets, REASONS[name]]),
    ...Object.entries(statistics.ended ?? {})
      .map(([name, tally]) => [`records ended: ${words(name)}`, tally.records,
        REASONS[name]]),
    ["flows in the table", statistics.active_flows, ""],
    ...Object.entries(statistics.collected ?? {}).filter(([, count]) => count > 0)
      .map(([name, count]) => [`collected: ${words(name)}`, count, ""]),
    ...odd.filter((name) => statistics[name] > 0)
      .map((name) => [words(name), statistics[name], REASONS[name]]),
  ];
  fill(
    document.getElementById("counters"),
    heads([["counter"], ["count", true], ["what it means"]]),
    list.map(([name, count, text]) => row([
      cell(name, { main: true, label: "counter" }),
      cell(grouped(count), { number: true, label: "count" }),
      cell(text ?? "", { words: true, label: "" }),
    ])),
    "Nothing was counted yet.",
  );
}

export function showHealth(
  { statistics, lost_records: lost, rates, live },
  { causes, fates, version, memory },
) {
  showThreads({ statistics, rates, live });
  interfaces(statistics.interfaces ?? [], rates.interfaces ?? [], live, causes);
  outputs(statistics.outputs ?? [], lost, rates.outputs ?? [], live, fates);
  counters(statistics);
  document.getElementById("config").textContent =
    `flowprobe ${version}. This page has ${scaled(memory.octets, "B")} of memory at most `
    + `(--page-memory): for the last ${grouped(memory.records)} flow records, an hour of traffic `
    + `by the second and a day by the minute, also of ${memory.interfaces} interfaces.`;
}
