// The table of the exporters that flows are collected from.

import { duration, grouped } from "/numbers.js";
import { cell, fill, row } from "/table.js";

/** A clock that is off by more than this is bad, in ms. */
const CLOCK_MS = 60_000;

const NAMES = {
  netflow5: "NetFlow v5", netflow9: "NetFlow v9", ipfix: "IPFIX", sflow5: "sFlow v5",
};

const HEADS = [
  ["address"], ["name"], ["protocol"], ["domain", true], ["datagrams", true], ["records", true],
  ["templates", true], ["lost", true], ["restarts", true], ["sampling", true], ["clock", true],
  ["last seen", true],
];

function clock(offset) {
  if (Math.abs(offset) < 1000) return `${offset} ms`;
  const sign = offset < 0 ? "-" : "+";
  return sign + duration(Math.abs(offset) / 1000);
}

/** Time since the last datagram. */
function seen(one, now) {
  const ago = Math.max(0, now - one.last_seen_ms);
  return ago < 1000 ? "now" : `${duration(ago / 1000)} ago`;
}

/** Shows the answer of /api/v1/exporters. */
export function showExporters({ known, now_ms: now, exporters }) {
  const rows = exporters.map((one) => {
    const number = (value, bad) => cell(grouped(value), { number: true, bad });
    const sampling = one.sampling_interval > 1 ? `1:${grouped(one.sampling_interval)}` : "";
    const offset = one.clock_offset_ms;
    const cells = [
      cell(one.address, { main: true }), cell(one.name ?? "", { words: true }),
      cell(NAMES[one.protocol] ?? one.protocol, {}), cell(one.domain, { number: true }),
      number(one.datagrams), number(one.records), number(one.templates),
      number(one.lost, one.lost > 0), number(one.restarts),
      cell(sampling, { number: true }),
      cell(clock(offset), { number: true, bad: Math.abs(offset) > CLOCK_MS }),
      cell(seen(one, now), {
        number: true, title: new Date(one.last_seen_ms).toISOString(),
      }),
    ];
    cells.forEach((element, at) => { [element.dataset.label] = HEADS[at]; });
    return row(cells);
  });
  const heads = [row(HEADS.map(([text, number]) => cell(text, { head: true, number })))];
  const table = document.getElementById("exporter-table");
  fill(table, heads, rows, "No datagram of an exporter was decoded yet.");
  document.getElementById("exporters-note").textContent =
    `${grouped(exporters.length)} of ${grouped(known)} Observation Domains, those with the most `
    + "records first. Lost is what the sequence numbers miss: flows, records or datagrams. "
    + "Clock: that of the exporter less that of this host.";
}
