// The tables of workers, of receive queues, and of the queues between threads.

import { grouped, scaled } from "/numbers.js";
import { cell, fill, heads, row } from "/table.js";

const byId = (id) => document.getElementById(id);
const perSecond = (rate) => (rate === undefined ? "" : scaled(rate, "/s"));

/** A row of a table, from columns: the head, what is in it, and whether it is a number. */
function line(columns) {
  return row(columns.map(([label, text, options]) => cell(text, { label, ...options })));
}

/** Shows a table, or nothing at all without a row. */
function show(id, lists) {
  byId(`${id}-card`).hidden = lists.length === 0;
  if (lists.length === 0) return;
  const names = lists[0].map(([name, , options]) => [name, options.number]);
  fill(byId(id), heads(names), lists.map(line), "");
}

const count = (name, number) => [name, grouped(number), { number: true }];
const rate = (name, number) => [name, perSecond(number), { number: true }];
const loss = (name, number) => [name, grouped(number), { number: true, bad: number > 0 }];

/** The columns of a worker that meters, or of one that collects. */
function worker(one, rates, live) {
  const columns = [["worker", `worker ${one.worker}`, { main: true }]];
  if (one.collected) {
    const { datagrams, records, kernel_dropped: lost } = one.collected;
    if (live) columns.push(rate("datagrams/s", rates.datagrams));
    columns.push(count("datagrams", datagrams), loss("lost", lost), count("records", records));
  } else {
    if (live) columns.push(rate("packets/s", rates.packets));
    columns.push(count("metered", one.metered.packets));
    if (one.lost !== undefined) columns.push(loss("lost", one.lost));
    columns.push(count("flows", one.kept.flows), count("records", one.ended.records));
  }
  if (live) columns.push(loss("dropped", one.dropped.records));
  return columns;
}

/** How full a queue is, with a bar. */
function fullness({ waiting, room }) {
  const element = cell(`${grouped(waiting)} of ${grouped(room)}`, { number: true });
  element.dataset.label = "waiting";
  const bar = document.createElement("span");
  bar.className = waiting > room / 2 ? "level bad" : "level";
  const part = document.createElement("span");
  part.style.width = `${Math.min(100, (100 * waiting) / Math.max(1, room))}%`;
  bar.append(part);
  element.append(bar);
  return element;
}

const ADVICE = {
  workers: "the stages or the only output were too slow: fewer rules, or a faster output, help",
  output: "this output was too slow: a nearer collector, a higher pps or a spool help",
};

function queues(list) {
  byId("queues-card").hidden = list.length === 0;
  const rows = list.map((one, at) => {
    const lost = one.dropped.records;
    const first = at === 0;
    return row([
      cell(first ? "behind the workers" : `to ${one.queue}`, { label: "queue", main: true }),
      fullness(one),
      cell(grouped(lost), { number: true, bad: lost > 0, label: "records dropped" }),
      cell(lost > 0 ? ADVICE[first ? "workers" : "output"] : "", { words: true }),
    ]);
  });
  fill(byId("queues"), heads([["queue"], ["waiting", true], ["records dropped", true],
    ["what helps"]]), rows, "");
}

/** Shows what the threads of the program do. */
export function showThreads({ statistics, rates, live }) {
  const { workers = [], interfaces = [] } = statistics;
  show("workers", workers.map((one, at) => worker(one, rates.workers?.[at] ?? {}, live)));
  const rings = interfaces.flatMap(({ name, queues: list = [] }) => list.map((one) => [
    ["interface", name, { main: true }], ["queue", one.queue, { number: true }],
    count("packets", one.frames), loss("lost", one.lost),
  ]));
  show("rings", rings);
  queues(statistics.queues ?? []);
}
